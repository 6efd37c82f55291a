"""Whether the directory is the one that the index knows."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from agent.clips.premises import (
    MARK,
    MARK_MAX,
    SCHEMA,
    check_premises,
    keep_mark,
    known_mark,
    make_mark,
    read_mark,
)
from agent.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_index_remembers_one_mark() -> None:
    """None before the first; the last one kept after."""
    with closing(sqlite3.connect(":memory:")) as tx:
        tx.executescript(SCHEMA)
        assert known_mark(tx) is None
        keep_mark(tx, "a")
        keep_mark(tx, "b")
        assert "b" == known_mark(tx)


def test_a_directory_is_marked_once(tmp_path: Path) -> None:
    """Made if need be; its mark stays, and no two directories get the same."""
    clips = tmp_path / "deep" / "clips"
    assert read_mark(clips) is None
    mark = make_mark(clips)
    assert mark == make_mark(clips) == read_mark(clips)
    assert mark != make_mark(tmp_path / "other")
    check_premises(clips, mark)


@pytest.mark.parametrize("there", ["nothing", "no mark", "another's", "a long file"])
def test_another_directory_is_told(tmp_path: Path, there: str) -> None:
    """Unmounted, replaced or a stranger's: the error says what to do, and is known by its errno."""
    clips = tmp_path / "clips"
    if there != "nothing":
        clips.mkdir()
    if there == "another's":
        make_mark(clips)
    if there == "a long file":
        (clips / MARK).write_bytes(b"0123456789abcdef" * MARK_MAX)
    with pytest.raises(StorageError, match="its disk is not mounted") as refusal:
        check_premises(clips, "0123456789abcdef")
    assert errno.ENODEV == refusal.value.errno


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    """A mark that cannot be read, or written, is an error with its path."""
    (tmp_path / MARK).mkdir()
    with pytest.raises(StorageError, match=r"\.stairwell-clips: cannot be read"):
        read_mark(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"\.stairwell-clips: cannot be written"):
        make_mark(tmp_path / "file" / "clips")
