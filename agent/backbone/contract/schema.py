"""The contract as JSON Schema 2020-12, generated from the models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from agent.backbone.contract.table import MESSAGES

if TYPE_CHECKING:
    from pydantic import BaseModel


_CLOSED = {"v", "state", "phase", "status"}
"""Fields whose words tell what a message is: within v1 they get no others."""


def schema(*, strict: bool = False) -> dict[str, Any]:
    """One JSON Schema 2020-12 document: a message is valid if it fits `$defs/<class name>`.

    Consumers pass over fields and words that they don't know, so that the contract can grow; with `strict`
    these are errors, which is what the kit itself is held to.
    """
    _, document = models_json_schema([(row.model, "validation") for row in MESSAGES.values()])
    definitions = document["$defs"]
    for name, definition in definitions.items():
        _tell_as_sent(definition)
        if not strict:
            _open(name, definition)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Messages of the stairwell agent, v1",
        "description": "By message: "
        + ", ".join(f"{name} = {row.model.__name__}" for name, row in MESSAGES.items()),
        "$defs": {name: definitions[name] for name in sorted(definitions)},
    }


def _tell_as_sent(definition: dict[str, Any]) -> None:
    """From what may be given to a model, to what is on the wire: None is absent, a default is sent."""
    definition.pop("title", None)
    required = definition.get("required", [])
    for name, field in definition.get("properties", {}).items():
        field.pop("title", None)
        if "default" not in field:
            continue
        if field.pop("default") is not None:
            required.append(name)
        else:
            given = [option for option in field.pop("anyOf") if option != {"type": "null"}]
            field.update(given[0])
    if required:
        definition["required"] = sorted(set(required))


def _open(name: str, one: dict[str, Any]) -> None:
    """Let a field or class pass what is unknown today; the words of today stay as examples."""
    if one.get("additionalProperties") is False:
        del one["additionalProperties"]
    if name.lower() not in _CLOSED:
        words = one.pop("enum", None) or ([one.pop("const")] if "const" in one else [])
        one.update({"examples": words} if words else {})
    for field, below in one.get("properties", {}).items():
        _open(field, below)
    for option in one.get("anyOf", ()):
        _open(name, option)


def parse(name: str, payload: bytes) -> BaseModel:
    """The message `name` of `MESSAGES` out of its JSON.

    Raises:
        ValidationError: it breaks the contract.
    """
    return MESSAGES[name].model.model_validate_json(payload)
