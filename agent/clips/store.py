"""The index of clips: rows that commit together with the messages that speak of them.

Every function works on the connection of a unit of work (`Database.submit`) and commits nothing itself.

Invariants:
- A row of `clips` names a file that is complete, synced and playable.
- A file that was begun has a row of `open_clips` until its row of `clips` is there.
- A file on its way out has a row of `garbage` from before it is unlinked until after; what lies beside it
  (manifest, note, hold) goes with it.
- `clip_chain` is the end of the chain of manifests: it moves in the transaction that enters the clip.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from agent.clips.hold import hold_path
from agent.clips.journal import OpenClip
from agent.clips.manifest import Link, manifest_path
from agent.clips.part import part_path
from agent.clips.sink import refused
from agent.durable import sync_directory
from agent.types import ClipRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS clips (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    id        TEXT    NOT NULL UNIQUE,
    path      TEXT    NOT NULL UNIQUE,
    events    TEXT    NOT NULL,
    started   REAL    NOT NULL,
    duration  REAL    NOT NULL,
    boot      TEXT    NOT NULL,
    ts        TEXT,
    clk       TEXT    NOT NULL,
    bytes     INTEGER NOT NULL,
    sha256    TEXT    NOT NULL,
    codec     TEXT    NOT NULL,
    width     INTEGER NOT NULL,
    height    INTEGER NOT NULL,
    sealed    TEXT    NOT NULL,
    part      INTEGER NOT NULL,
    truncated INTEGER NOT NULL,
    recipients TEXT   NOT NULL,
    manifest  TEXT    NOT NULL,
    prev      TEXT    NOT NULL,
    sig       TEXT    NOT NULL,
    held      INTEGER NOT NULL DEFAULT 0,
    announced INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS open_clips (
    id      TEXT    PRIMARY KEY,
    path    TEXT    NOT NULL UNIQUE,
    events  TEXT    NOT NULL,
    started REAL    NOT NULL,
    boot    TEXT    NOT NULL,
    ts      TEXT,
    clk     TEXT    NOT NULL,
    codec   TEXT    NOT NULL,
    width   INTEGER NOT NULL,
    height  INTEGER NOT NULL,
    sealed  TEXT    NOT NULL,
    part    INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS garbage (path TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS clip_chain (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    number   INTEGER NOT NULL,
    head     TEXT    NOT NULL
) STRICT;
"""

_OPEN_FIELDS = [field.name for field in fields(OpenClip)]
_CLIP_FIELDS = [field.name for field in fields(ClipRecord)]
_LISTS = {"events", "recipients"}


@dataclass(frozen=True, slots=True)
class StoredClip:
    """A row of the index. `seq` rises with every clip, `announced`: its message was delivered."""

    seq: int
    record: ClipRecord
    held: bool = False
    announced: bool = False


def begin_clip(tx: sqlite3.Connection, clip: OpenClip) -> None:
    """Note that a clip's file is about to be written, or what changed about it since."""
    _put(tx, "INSERT OR REPLACE", "open_clips", _OPEN_FIELDS, clip)


def finish_clip(tx: sqlite3.Connection, clip: ClipRecord) -> None:
    """Enter a clip whose file is complete; its intent ends."""
    _put(tx, "INSERT", "clips", _CLIP_FIELDS, clip)
    drop_intent(tx, clip.id)


def chain_end(tx: sqlite3.Connection) -> Link:
    """The last link of the chain of manifests."""
    row = tx.execute("SELECT number, head FROM clip_chain").fetchone()
    return Link(*row) if row else Link()


def extend_chain(tx: sqlite3.Connection, last: Link, head: str) -> None:
    """Add the manifest with the digest `head` behind `last`.

    Raises:
        ValueError: `last` is not the end of the chain.
    """
    if chain_end(tx) != last:
        raise ValueError(f"the chain of manifests does not end with number {last.number}")
    tx.execute("INSERT OR REPLACE INTO clip_chain VALUES (1, ?, ?)", (last.number + 1, head))


def drop_intent(tx: sqlite3.Connection, clip: str) -> None:
    """Forget a clip that came to nothing."""
    tx.execute("DELETE FROM open_clips WHERE id = ?", (clip,))


def give_up(tx: sqlite3.Connection, clip: str, path: str) -> None:
    """A file that never became a clip, and never will: it is garbage from the commit on."""
    tx.execute("INSERT OR IGNORE INTO garbage VALUES (?)", (path,))
    drop_intent(tx, clip)


def open_clips(tx: sqlite3.Connection) -> list[OpenClip]:
    """The clips begun and not finished, oldest first."""
    rows = tx.execute(f"SELECT {', '.join(_OPEN_FIELDS)} FROM open_clips ORDER BY id")  # noqa: S608 - own names
    return [OpenClip(**_fields(_OPEN_FIELDS, row)) for row in rows]


def clips(tx: sqlite3.Connection, *, event: str | None = None) -> list[StoredClip]:
    """The clips in the order in which they were entered; only those of `event` when given."""
    rows = tx.execute(f"SELECT seq, held, announced, {', '.join(_CLIP_FIELDS)} FROM clips ORDER BY seq")  # noqa: S608 - own names
    found = [
        StoredClip(seq, _record(_fields(_CLIP_FIELDS, row)), bool(held), bool(announced))
        for seq, held, announced, *row in rows
    ]
    return [clip for clip in found if event is None or event in clip.record.events]


def has(tx: sqlite3.Connection, clip: str) -> bool:
    """Whether there is a clip of this id."""
    return tx.execute("SELECT 1 FROM clips WHERE id = ?", (clip,)).fetchone() is not None


def hold(tx: sqlite3.Connection, clip: str, *, held: bool) -> bool:
    """Keep a clip whatever happens, or no longer; whether there is such a clip."""
    return tx.execute("UPDATE clips SET held = ? WHERE id = ?", (held, clip)).rowcount == 1


def mark_announced(tx: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Note that the messages of these clips were delivered."""
    tx.executemany("UPDATE clips SET announced = 1 WHERE id = ?", [(clip,) for clip in ids])


def mark_garbage(tx: sqlite3.Connection, ids: Iterable[str]) -> list[str]:
    """Take clips out of the index; their files are garbage from the commit on. Held ones stay.

    Returns the ids of those that went: a plan may be older than a hold, or than somebody else's deletion.
    """
    gone = []
    for clip in ids:
        tx.execute("INSERT OR IGNORE INTO garbage SELECT path FROM clips WHERE id = ? AND held = 0", (clip,))
        if tx.execute("DELETE FROM clips WHERE id = ? AND held = 0", (clip,)).rowcount:
            gone.append(clip)
    return gone


def garbage(tx: sqlite3.Connection) -> list[str]:
    """The names of files that must go."""
    return [path for (path,) in tx.execute("SELECT path FROM garbage ORDER BY path")]


def unlink_garbage(directory: Path, names: Iterable[str]) -> None:
    """Remove the files; those already gone are well. Needs no transaction.

    Raises:
        StorageError: a file or the directory cannot be changed.
    """
    path = directory
    try:
        for name in names:
            clip = directory / name
            for path in (part_path(clip), manifest_path(clip), hold_path(clip), clip):
                path.unlink(missing_ok=True)
        if directory.exists():
            sync_directory(directory)
    except OSError as error:
        raise refused(path, "removed", error) from None


def sweep_garbage(tx: sqlite3.Connection, names: Iterable[str]) -> None:
    """Forget files that were removed and whose removal is on disk."""
    tx.executemany("DELETE FROM garbage WHERE path = ?", [(name,) for name in names])


def _put(
    tx: sqlite3.Connection, verb: str, table: str, names: list[str], clip: OpenClip | ClipRecord
) -> None:
    values = {name: getattr(clip, name) for name in names}
    values |= {name: json.dumps(values[name]) for name in _LISTS & values.keys()}
    places = ", ".join(f":{name}" for name in names)
    tx.execute(f"{verb} INTO {table} ({', '.join(names)}) VALUES ({places})", values)


def _fields(names: list[str], row: Iterable[Any]) -> dict[str, Any]:
    values = dict(zip(names, row, strict=True))
    return values | {name: tuple(json.loads(values[name])) for name in _LISTS & values.keys()}


def _record(values: dict[str, Any]) -> ClipRecord:
    return ClipRecord(**values | {"truncated": bool(values["truncated"])})
