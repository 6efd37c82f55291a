"""Reading a clip back from the card, once, after it was closed: what was written is not always what is there.

A worn card takes writes, says that all is well, and gives something else back. That is found out here while
the event is still news, not in court. `readback` keeps what was found of each clip; a clip without a row is
still to be read.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agent.clips.sink import refused

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS readback (clip TEXT PRIMARY KEY, outcome TEXT NOT NULL) STRICT;
"""

Outcome = Literal["good", "mismatch", "unreadable"]

RATE_BYTES_S = 4_000_000  # a third of a slow card's reading: recording and the database go first
CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Due:
    """A clip that was not read back yet: its file's name, length and SHA-256 as they were written."""

    clip: str
    path: str
    bytes: int
    sha256: str


def due(tx: sqlite3.Connection) -> list[Due]:
    """The clips not read back yet, oldest first."""
    rows = tx.execute(
        "SELECT id, path, bytes, sha256 FROM clips WHERE id NOT IN (SELECT clip FROM readback) ORDER BY seq"
    )
    return [Due(*row) for row in rows]


def note(tx: sqlite3.Connection, clip: str, outcome: Outcome) -> None:
    """Keep what was found; clips that are gone are forgotten."""
    tx.execute("DELETE FROM readback WHERE clip NOT IN (SELECT id FROM clips)")
    tx.execute("INSERT OR REPLACE INTO readback SELECT id, ? FROM clips WHERE id = ?", (outcome, clip))


def outcomes(tx: sqlite3.Connection) -> dict[str, Outcome]:
    """What was found of the clips that still exist."""
    return dict(tx.execute("SELECT clip, outcome FROM readback WHERE clip IN (SELECT id FROM clips)"))


def card_sha256(path: Path, pause: Callable[[float], object], rate: float = RATE_BYTES_S) -> tuple[int, str]:
    """(length, SHA-256) of the file as its device gives it, read at `rate` bytes per second.

    `pause` waits for so many seconds. The pages that the kernel still holds of the file are dropped before:
    a synced file has no dirty ones, so what is read comes from the device. What a card holds in a memory of
    its own nobody can drop.

    Raises:
        FileNotFoundError: there is no such file.
        StorageError: the disk refuses.
    """
    sha256, length = hashlib.sha256(), 0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            while chunk := os.read(descriptor, CHUNK):
                sha256.update(chunk)
                length += len(chunk)
                pause(len(chunk) / rate)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # others need the memory more
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise refused(path, "read back", error) from None
    return length, sha256.hexdigest()
