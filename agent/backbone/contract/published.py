"""The files of the contract, as they lie beside this module: whoever builds a platform needs nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agent.backbone.contract.asyncapi import asyncapi
from agent.backbone.contract.example import EXAMPLES
from agent.backbone.contract.schema import schema
from agent.backbone.contract.yaml import dump
from agent.durable import write_whole

if TYPE_CHECKING:
    from pathlib import Path

ASYNCAPI = "asyncapi.yaml"
SCHEMA = "schema.json"
READABLE = 0o644


def text(document: dict[str, Any]) -> str:
    """A JSON document as it is published: the same each time, so that a diff shows what changed."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def asyncapi_files() -> dict[str, str]:
    """The AsyncAPI document, by file name."""
    return {ASYNCAPI: dump(asyncapi())}


def schema_files(*, strict: bool = False) -> dict[str, str]:
    """The schemas, by file name."""
    return {SCHEMA: text(schema(strict=strict))}


def example_files(*names: str) -> dict[str, str]:
    """The examples of these messages, or of all, by file name."""
    return {f"examples/{name}.json": text(EXAMPLES[name]) for name in names or EXAMPLES}


def files() -> dict[str, str]:
    """Every published file, by its name below this directory."""
    return asyncapi_files() | schema_files() | example_files()


def write(directory: Path, made: dict[str, str]) -> None:
    """Write the files below `directory`, which is made if need be; what else lies there stays.

    Raises:
        OSError: one cannot be written.
    """
    for name, content in made.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content.encode(), READABLE)
