"""JSON documents as YAML 1.2 that people can read; every other way to write YAML is left to libraries."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WORD = re.compile(r"[A-Za-z_$][A-Za-z0-9_$./-]*")
_NO_WORD = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # YAML 1.1 reads these otherwise
_END = "\n"
_SHORT = 90  # characters of a list or mapping that stays in its line


def dump(document: dict[str, Any]) -> str:
    """The document; text of several lines stands as it is, all other text in JSON's quotes or bare."""
    return _END.join(_mapping(document)) + _END


def _mapping(found: dict[str, Any]) -> Iterator[str]:
    for key, value in found.items():
        yield from _entry(f"{_text(key)}:", value)


def _entry(before: str, value: object) -> Iterator[str]:
    """What stands after a key."""
    if isinstance(value, str):
        lines = value.removesuffix(_END).split(_END)
        if len(lines) > 1 and value.strip() == _END.join(lines) and all(map(str.isprintable, lines)):
            yield f"{before} {'|' if value.endswith(_END) else '|-'}"
            yield from _indented(lines)
        else:
            yield f"{before} {_text(value)}"
        return
    short = json.dumps(value, ensure_ascii=False)
    if len(short) > _SHORT and isinstance(value, dict):
        yield before
        yield from _indented(_mapping(value))
    elif len(short) > _SHORT and isinstance(value, list):
        yield before
        for item in value:
            yield f"  - {json.dumps(item, ensure_ascii=False)}"
    else:
        yield f"{before} {short}"


def _text(text: str) -> str:
    bare = _WORD.fullmatch(text) and text.lower() not in _NO_WORD
    return text if bare else json.dumps(text, ensure_ascii=False)


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" if line else "" for line in lines)
