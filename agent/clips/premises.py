"""Whether the directory of clips is the one that the index speaks of.

A disk that is not mounted leaves an empty directory in its place: every clip would seem to have gone, and new
ones would land on the wrong disk. So the directory carries a mark that the index knows. Without it nothing is
missing and nothing is recorded: the directory is not there.
"""

from __future__ import annotations

import errno
import secrets
from typing import TYPE_CHECKING

from agent.clips.sink import refused
from agent.durable import write_whole
from agent.errors import StorageError
from agent.words import say

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS clip_directory (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    mark     TEXT    NOT NULL
) STRICT;
"""

MARK = ".stairwell-clips"
MARK_MODE = 0o640
MARK_BYTES = 8  # random: two kits' disks are never taken for one another
MARK_MAX = 64  # read at most: a larger file is no mark of ours


def known_mark(tx: sqlite3.Connection) -> str | None:
    """The mark of the directory that the index speaks of; None before there was one."""
    row = tx.execute("SELECT mark FROM clip_directory").fetchone()
    return row[0] if row else None


def keep_mark(tx: sqlite3.Connection, mark: str) -> None:
    """From now on the index speaks of the directory with this mark."""
    tx.execute("INSERT OR REPLACE INTO clip_directory VALUES (1, ?)", (mark,))


def read_mark(directory: Path) -> str | None:
    """The mark that the directory carries; None when it carries none, or is not there.

    Raises:
        StorageError: the disk refuses to say.
    """
    try:
        with (directory / MARK).open("rb") as file:
            return file.read(MARK_MAX).decode("ascii", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refused(directory / MARK, "read", error) from None


def make_mark(directory: Path) -> str:
    """Mark the directory, made if need be; the mark that it carries then, which may be an earlier one.

    Raises:
        StorageError: the disk refuses.
    """
    found = read_mark(directory)
    if found:
        return found
    mark = secrets.token_hex(MARK_BYTES)
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        write_whole(directory / MARK, f"{mark}\n".encode(), MARK_MODE)
    except OSError as error:
        raise refused(directory / MARK, "written", error) from None
    return mark


def check_premises(directory: Path, mark: str) -> None:
    """Return if the directory carries this mark.

    Raises:
        StorageError: it doesn't, or the disk refuses to say.
    """
    if read_mark(directory) == mark:
        return
    raise StorageError(
        say(
            "{path}: is not the directory that the clip index knows ({mark} is missing or another's), "
            "its disk is not mounted",
            path=directory,
            mark=MARK,
        ),
        fix=say("mount the disk; if it was replaced on purpose, run `stairwell clips check --repair`"),
        errno=errno.ENODEV,
    )
