"""The published contract, checked by a validator that is not pydantic."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from backbone_samples import TOPICS, Here, cleared, clip, erased, event, raised, snapshot, stat, uploaded
from jsonschema import Draft202012Validator, ValidationError

import agent.backbone.contract
from agent.backbone import commands, desired, docket, standing, wire
from agent.backbone.contract import published
from agent.backbone.contract.example import EXAMPLES
from agent.backbone.contract.schema import parse, schema
from agent.backbone.contract.table import MESSAGES, Carrier
from agent.backbone.drafts import HEADER, Draft, heartbeat
from agent.backbone.examination import CORRELATION_MAX
from agent.backbone.messages import NUMBERED
from agent.backbone.orders import LIFE_MAX_S, ORDER_MAX, ORDERS
from agent.backbone.outbox import Numbers
from agent.backbone.presence import Heartbeat
from agent.config import Outbox as OutboxSettings
from agent.types import Phase

NUMBERS = Numbers("9f2c1a7e", 0, 1, 1, 0, None, 0, 0)
COMMITTED = Path(agent.backbone.contract.__file__).parent


@cache
def document(*, strict: bool) -> dict[str, Any]:
    made = schema(strict=strict)
    Draft202012Validator.check_schema(made)
    return made


def check(name: str, value: object, *, strict: bool = True) -> None:
    reference = {
        "$ref": f"#/$defs/{MESSAGES[name].model.__name__}",
        "$defs": document(strict=strict)["$defs"],
    }
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


@pytest.mark.parametrize("name", sorted(name for name, row in MESSAGES.items() if row.sender == "kit"))
def test_consumers_may_ignore_what_they_do_not_know_and_the_kit_may_not_say_it(name: str) -> None:
    """The contract grows by adding fields, and the kit adds none by accident."""
    grown = {**EXAMPLES[name], "added-in-v1.7": 1}
    check(name, grown, strict=False)
    with pytest.raises(ValidationError):
        check(name, grown)


@pytest.mark.parametrize(
    ("name", "grown"),
    [("evt", {"type": "fall"}), ("gap", {"why": "moved"}), ("hb", {"seal": "hpke"}), ("alm", {"clk": "gps"})],
)
def test_consumers_let_new_words_pass_and_the_kit_says_none(name: str, grown: dict[str, str]) -> None:
    """A kind or a reason that is added must not make a platform of today refuse the message."""
    check(name, {**EXAMPLES[name], **grown}, strict=False)
    with pytest.raises(ValidationError):
        check(name, {**EXAMPLES[name], **grown})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("st.birth", {"state": "offline"}),
        ("clip.erased", {"state": "available"}),
        ("evt", {"phase": "paused"}),
        ("evt", {"v": 2}),
        ("evt", {"type": 5}),
        ("evt", {"seq": 0}),
        ("alm", {"text": {"uk": "камера"}}),
    ],
)
def test_lenient_is_not_blind(name: str, wrong: dict[str, Any]) -> None:
    """Another version, another message and a field of another form are refused by consumers too."""
    with pytest.raises(ValidationError):
        check(name, {**EXAMPLES[name], **wrong}, strict=False)


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_schema_asks_for_every_required_field(name: str) -> None:
    """A field that is always sent is required: a consumer may count on it."""
    definition = document(strict=False)["$defs"][MESSAGES[name].model.__name__]
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
        ("clip.uploaded", uploaded(1)),
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


@pytest.mark.parametrize(
    "made",
    [event(1), snapshot(1), clip(1), uploaded(1), erased(1), stat(), raised(), cleared()],
    ids=lambda d: d.topic,
)
def test_what_is_sent_travels_as_the_table_says(made: Draft) -> None:
    """Topic, QoS, retained or not, and whether the message is the payload."""
    found = made.render("9f2c1a7e", 3)
    [row] = [row for row in MESSAGES.values() if row.model is NUMBERED[type(made.body)]]
    carrier = Carrier.PAYLOAD if not found.user else Carrier.PICTURE if found.payload else Carrier.EMPTY

    assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", row.address), found.topic)
    assert (row.qos, row.retained, row.carrier) == (found.qos, found.retain, carrier)


def test_status_and_heartbeats_travel_as_the_table_says() -> None:
    """The same for what does not go through the outbox."""
    for name, found in {
        "st.birth": Here().birth(1, NUMBERS),
        "st.stopped": Here().stopped(1, "shutdown", "9f2c1a7e"),
        "st.will": Here().will(1),
        "hb": heartbeat(TOPICS, Heartbeat.model_validate(EXAMPLES["hb"]), 30.0),
    }.items():
        row = MESSAGES[name]
        assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", row.address), found.topic)
        assert (row.qos, row.retained, Carrier.PAYLOAD) == (found.qos, found.retain, row.carrier)
        assert (row.expiry is None) == (found.expiry_s is None)


@pytest.mark.parametrize("period_s", [1.0, 30.0, 3600.0])
def test_expiry_of_heartbeats(period_s: float) -> None:
    """Whatever their period, within what the table says."""
    found = heartbeat(TOPICS, Heartbeat.model_validate(EXAMPLES["hb"]), period_s).expiry_s
    expiry = MESSAGES["hb"].expiry

    assert expiry is not None
    assert found is not None
    assert expiry.least_s <= found <= expiry.most_s


def test_published_files_are_those_of_the_models() -> None:
    """What lies in the package is what the code says: nothing missing, stale or left over.

    Made anew by `stairwell contract asyncapi`, `schema` and `examples` with `-o agent/backbone/contract`.
    """
    found = {
        path.relative_to(COMMITTED).as_posix(): path.read_text(encoding="utf-8")
        for path in COMMITTED.rglob("*.*")
        if path.suffix in {".json", ".yaml"}
    }
    assert published.files() == found


def test_schema_is_one_deterministic_document() -> None:
    """Two runs print the same, so that a diff shows a change of the contract and nothing else."""
    assert json.dumps(schema()) == json.dumps(schema())
    assert "https://json-schema.org/draft/2020-12/schema" == schema()["$schema"]


def test_the_rules_state_the_numbers_of_the_code() -> None:
    """What a platform is told to count on is what the kit does."""
    rules = " ".join((COMMITTED / "rules.md").read_text(encoding="utf-8").split())
    for told in (
        (
            f"sends again what it sent, first after {wire.RESEND_MIN_S:.0f} s, "
            f"and on a new connection after {wire.RESEND_NEW_S:.0f} s"
        ),
        f"and some jitter ({standing.SILENT_S:.0f} s by default) is silent",
        f"keeps what was sent for {['', 'one', 'two', 'three'][round(OutboxSettings().keep_h / 24)]} days",
        f"correlation data of up to {CORRELATION_MAX} bytes",
        f"after a random time of up to {commands.GROUP_S:.0f} s",
        f"A command has at most {ORDER_MAX // 1024} KiB",
        f"The kit remembers the last {docket.KEPT} for {docket.KEPT_S / 3600:.0f} hours",
        f"at most {LIFE_MAX_S / 60:.0f} minutes ahead",
        f"at most {desired.LIFE_MAX_S / 86400:.0f} days ahead",
    ):
        assert told in rules
    for name, kind in ORDERS.items():
        assert f"`{name}`" in rules
        signed = rules.split("MUST be signed:")[1].split(". ")[0]
        assert kind.signed == (f"`{name}`" in signed)
