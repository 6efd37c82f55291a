"""The published documents, read by those who will read them: AsyncAPI's own parser, and ajv."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from outsiders import ask

from agent.backbone.contract.asyncapi import PARAMETERS, asyncapi
from agent.backbone.contract.example import EXAMPLES
from agent.backbone.contract.published import files
from agent.backbone.contract.schema import schema
from agent.backbone.contract.table import MESSAGES, Carrier
from agent.backbone.contract.yaml import dump

if TYPE_CHECKING:
    from pathlib import Path

FEW_KEYWORDS = {
    "$ref", "additionalProperties", "allOf", "anyOf", "const", "default", "description", "enum", "examples",
    "format", "if", "items", "maximum", "maxItems", "maxLength", "maxProperties", "minimum", "minItems",
    "minLength", "pattern", "patternProperties", "properties", "propertyNames", "required", "then", "type",
    "uniqueItems",
}  # fmt: skip
"""Of schemas that mean the same in draft-07, which AsyncAPI reads, and in 2020-12."""


@cache
def spoilt() -> list[tuple[str, Any]]:
    """(class, value): every example, whole, with each of its fields missing, and with each one ill-typed."""
    found: list[tuple[str, Any]] = []
    for name, example in EXAMPLES.items():
        kind = MESSAGES[name].model.__name__
        found.append((kind, example))
        for field, value in example.items():
            found.append((kind, {k: v for k, v in example.items() if k != field}))
            found.append((kind, {**example, field: [value]}))
    return found


def verdicts(*, strict: bool) -> list[bool]:
    """What jsonschema says of them."""
    document = schema(strict=strict)
    validators = {
        row.model.__name__: Draft202012Validator({**document, "$ref": f"#/$defs/{row.model.__name__}"})
        for row in MESSAGES.values()
    }
    return [validators[kind].is_valid(value) for kind, value in spoilt()]


def test_asyncapis_own_parser_accepts_the_document(tmp_path: Path) -> None:
    """No error and no warning; of a spoilt one it does find what is wrong."""
    text = files()["asyncapi.yaml"]
    wrong = text.replace("action: receive", "action: hear").replace('messages/gap"', 'messages/gaps"', 1)
    (tmp_path / "whole.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text(wrong, encoding="utf-8")

    whole, broken = ask("documents.cjs", tmp_path / "whole.yaml", tmp_path / "wrong.yaml")

    assert [] == serious(whole)
    assert asyncapi() == whole["document"]
    assert {"operations/ack/action", "operations/gap/messages/0/$ref"} <= set(serious(broken))


def serious(found: dict[str, Any]) -> list[str]:
    """Where the parser sees an error or a warning. It also remarks that there is an AsyncAPI 3.1."""
    return ["/".join(one["path"]) for one in found["diagnostics"] if one["severity"] < 2]


@pytest.mark.parametrize("strict", [False, True])
def test_two_validators_agree(strict: bool) -> None:
    """Ajv and jsonschema say the same of every example, whole and spoilt; whole ones are valid."""
    cases = [(f"#/$defs/{kind}", value) for kind, value in spoilt()]

    found = ask("schemas.cjs", "2020", given={"schema": schema(strict=strict), "values": cases})

    assert verdicts(strict=strict) == found
    assert all(valid for valid, (_, value) in zip(found, cases, strict=True) if value in EXAMPLES.values())
    assert found.count(False) > found.count(True) > len(EXAMPLES)


def test_the_document_says_what_the_schema_says() -> None:
    """Its schemas are of another dialect, and judge the same values the same."""
    schemas = asyncapi()["components"]["schemas"]
    cases = [(f"#/components/schemas/{kind}", value) for kind, value in spoilt()]

    found = ask(
        "schemas.cjs", "draft-07", given={"schema": {"components": {"schemas": schemas}}, "values": cases}
    )

    assert verdicts(strict=False) == found
    assert set() == keywords(schemas) - FEW_KEYWORDS


def keywords(schemas: dict[str, Any]) -> set[str]:
    """Every keyword in schemas by name."""
    found: set[str] = set()
    for one in schemas.values():
        found |= one.keys()
        found |= keywords(one.get("properties", {}))
        found |= keywords(one.get("patternProperties", {}))
        nested = (one.get(word) for word in ("items", "additionalProperties", "propertyNames", "if", "then"))
        below = [*one.get("allOf", ()), *one.get("anyOf", ()), *nested]
        found |= keywords({str(i): option for i, option in enumerate(below) if isinstance(option, dict)})
    return found


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_found_from_its_topic(name: str) -> None:
    """Operation, channel, address, parameters, QoS, schema, example: nothing has to be guessed."""
    row, document = MESSAGES[name], asyncapi()
    [operation] = [
        one
        for one in document["operations"].values()
        if name in {reference["$ref"].split("/")[-1] for reference in one["messages"]}
    ]
    binding = operation["bindings"]["mqtt"]
    channel = document["channels"][operation["channel"]["$ref"].split("/")[-1]]
    message = document["components"]["messages"][name]

    assert {"kit": "send", "platform": "receive"}[row.sender] == operation["action"]
    assert (row.qos, row.retained) == (binding["qos"], binding["retain"])
    assert (row.expiry is None) == ("messageExpiryInterval" not in binding)
    assert row.address == channel["address"]
    assert re.findall(r"\{(\w+)\}", row.address) == list(channel["parameters"])
    answers = [
        reference["$ref"].split("/")[-1] for reference in operation.get("reply", {}).get("messages", ())
    ]
    assert ([row.reply] if row.reply else []) == answers
    reference = {"$ref": f"#/components/schemas/{row.model.__name__}"}
    if row.carrier is Carrier.PAYLOAD:
        assert (reference, EXAMPLES[name]) == (message["payload"], message["examples"][0]["payload"])
    else:
        assert reference == message["headers"]["properties"]["header"]["contentSchema"]
        assert EXAMPLES[name] == json.loads(message["examples"][0]["headers"]["header"])


def test_every_parameter_is_explained_and_used() -> None:
    """What stands in braces in a topic has a meaning and an example; nothing else is explained."""
    used = {name for row in MESSAGES.values() for name in re.findall(r"\{(\w+)\}", row.address)}
    assert used == PARAMETERS.keys()
    for parameter in PARAMETERS.values():
        assert parameter["description"]
        assert all(isinstance(example, str) for example in parameter["examples"])


def test_yaml_says_what_json_says(tmp_path: Path) -> None:
    """Words that YAML takes for something else, text of all forms, empty things, depths of lists."""
    words = ["no", "n", "null", "~", "1e3", "0x10", "12:30", "-", "#a", "'", '"', "\\", "2026-11-22", "="]
    words += ["- a", "a: b", " a", "a ", "", "\t"]
    texts = [
        "a\nb",
        "a\nb\n",
        "a\n\n",
        "\na",
        " a\nb",
        "a\n  b\n\nc",
        "a\r\nb",
        "a\u2028b\nc",
        "k: |\n  - no",
    ]
    document = {
        "asyncapi": "3.0.0",
        "words": {word: word for word in words},
        "texts": {str(number): text for number, text in enumerate(texts)},
        "list of texts": [*texts, "і " * 100],
        "empty": {"list": [], "mapping": {}, "in list": [[], {}, None, True, 1.5, -3]},
        "deep": [[{"a": [{"b": "c" * 100}]}], {"d": {"e": {"f": "g" * 100}}}],
    }
    (tmp_path / "odd.yaml").write_text(dump(document), encoding="utf-8")

    [found] = ask("documents.cjs", tmp_path / "odd.yaml")

    assert document == found["document"]
