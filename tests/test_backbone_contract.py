"""The published contract, checked by a validator that is not pydantic."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from backbone_samples import cleared, clip, erased, event, raised, snapshot, stat
from jsonschema import Draft202012Validator, ValidationError

from agent.backbone.contract import EXAMPLES, MESSAGES, parse, schema
from agent.backbone.drafts import HEADER, Draft
from agent.types import Phase


@cache
def document(*, strict: bool) -> dict[str, Any]:
    made = schema(strict=strict)
    Draft202012Validator.check_schema(made)
    return made


def check(name: str, value: object, *, strict: bool = True) -> None:
    reference = {"$ref": f"#/$defs/{MESSAGES[name].__name__}", "$defs": document(strict=strict)["$defs"]}
    Draft202012Validator(reference).validate(value)


def test_every_message_has_an_example_and_the_other_way_round() -> None:
    """A message without an example is not documented."""
    assert sorted(MESSAGES) == sorted(EXAMPLES)


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_example_is_valid_and_complete(name: str) -> None:
    """The schema accepts the example, the model reads it, and writes the very same back."""
    check(name, EXAMPLES[name])
    message = parse(name, json.dumps(EXAMPLES[name]).encode())

    assert EXAMPLES[name] == json.loads(message.model_dump_json(by_alias=True))


@pytest.mark.parametrize("name", sorted(set(MESSAGES) - {"ack"}))
def test_consumers_may_ignore_what_they_do_not_know_and_the_kit_may_not_say_it(name: str) -> None:
    """The contract grows by adding fields, and the kit adds none by accident."""
    grown = {**EXAMPLES[name], "added-in-v1.7": 1}
    check(name, grown, strict=False)
    with pytest.raises(ValidationError):
        check(name, grown)


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_schema_asks_for_every_required_field(name: str) -> None:
    """A field that is always sent is required: a consumer may count on it."""
    definition = document(strict=False)["$defs"][MESSAGES[name].__name__]
    for field in definition["required"]:
        with pytest.raises(ValidationError):
            check(name, {k: v for k, v in EXAMPLES[name].items() if k != field})
    assert "state" in definition["required"] or "state" not in definition["properties"]


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("evt", event(1)),
        ("evt", event(1, Phase.END)),
        ("snap", snapshot(1)),
        ("clip.available", clip(1)),
        ("clip.erased", erased(1)),
        ("stat", stat()),
        ("alm", raised()),
        ("alm.cleared", cleared()),
    ],
)
def test_what_the_outbox_renders_fits_the_schema(name: str, made: Draft) -> None:
    """Payload or header: what is sent is what the contract says."""
    found = made.render("9f2c1a7e", 3)
    text = dict(found.user).get(HEADER) or found.payload

    check(name, json.loads(text))
    assert ("9f2c1a7e", 3) == (json.loads(text)["stream"], json.loads(text)["seq"])


def test_schema_is_one_deterministic_document() -> None:
    """Two runs print the same, so that a diff shows a change of the contract and nothing else."""
    assert json.dumps(schema()) == json.dumps(schema())
    assert "https://json-schema.org/draft/2020-12/schema" == schema()["$schema"]
