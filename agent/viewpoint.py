"""What was drawn on the picture on the spot, privacy masks and zones: a layer over the kit's own file.

It lies in the state directory, which survives updates and a read-only root. Invariants:
- It is changed by renames of whole files with their checksums: a power cut leaves what was drawn before, or
  after.
- There are two copies, and one that is sound is enough.
- What was drawn and cannot be read is not forgotten: the whole picture is masked (`LOST`) until it is drawn
  anew, since nobody can tell any more what had to be hidden. The agent begins with that whatever the other
  layers want: rules that name zones have them (`stand_ins`).
"""

from __future__ import annotations

import errno
import json
import logging
import os
from typing import TYPE_CHECKING, Any

from agent import checkedfile
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NAME = "drawn.json"
COPY = "drawn.copy.json"
ALLOWED = {"privacy": {"masks"}, "view": {"zones"}, "capture": {"reencode"}}
"""The keys that may be drawn; the last is needed to burn masks into what a camera sends encoded."""
WHOLE = [[0, 0], [1, 0], [1, 1], [0, 1]]
LOST: dict[str, dict[str, Any]] = {
    "privacy": {"masks": [{"name": "unreadable", "polygon": WHOLE}]},
    "capture": {"reencode": True},
}
"""The layer in place of one that cannot be read."""
RULES = ("loitering", "gathering", "after_hours")
"""The sections that may name zones, beside lines."""

_LOG = logging.getLogger(__name__)


def read(state: Path) -> dict[str, dict[str, Any]]:
    """What was drawn, as sections with keys; empty when nothing was. Its values are not checked.

    Who may not enter the directory gets nothing: the agent is at home there, so it is somebody else who asks.
    """
    lost = False
    for path in (state / NAME, state / COPY):
        try:
            body = checkedfile.read(path)
            there = body is not None or path.exists()
        except StorageError as error:
            hidden = error.errno == errno.EACCES and not os.access(state, os.X_OK)
            if hidden or error.errno == errno.ENOTDIR:  # in what is no directory nothing was kept
                return {}
            body, there = None, True
        values = None if body is None else _understood(body)
        if values is not None:
            return values
        lost |= there
    if lost:
        _LOG.error("%s: what was drawn cannot be read; the whole picture is masked", state / NAME)
    return LOST if lost else {}


def write(state: Path, values: dict[str, dict[str, Any]]) -> None:
    """Keep these values in place of what was drawn before.

    Raises:
        StorageError: the disk refuses.
    """
    body = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
    # The copy first: should the other one be damaged later, the copy must not lead further back than that.
    for name in (COPY, NAME):
        checkedfile.write(state / name, body)


def stand_ins(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Zones in place of those that were drawn and lost: one of the whole picture for each that is named.

    Empty when these settings have all zones that they name. They are not checked, and may be anything.
    """
    view = _table(values, "view")
    tables = [_table(values, section) for section in RULES]
    tables += [line for line in _listed(view, "lines") if isinstance(line, dict)]
    named = {name for table in tables for name in _listed(table, "zones") if isinstance(name, str)}
    there = {zone.get("name") for zone in _listed(view, "zones") if isinstance(zone, dict)}
    return [] if named <= there else [{"name": name, "polygon": WHOLE} for name in sorted(named)]


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = values.get(key)
    return table if isinstance(table, dict) else {}


def _listed(table: Mapping[str, Any], key: str) -> Sequence[Any]:
    items = table.get(key)
    return items if isinstance(items, list | tuple) else ()


def _understood(body: bytes) -> dict[str, dict[str, Any]] | None:
    """Sections with keys, none of which may not be drawn; None for anything else."""
    try:
        values = json.loads(body)
    except ValueError:
        return None
    fits = isinstance(values, dict) and all(
        isinstance(table, dict) and table.keys() <= ALLOWED.get(section, set())
        for section, table in values.items()
    )
    return values if fits else None
