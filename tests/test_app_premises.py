"""Where and when a clip may begin."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, query
from kits import EVENT, FOOTAGE, Kit, name

from agent.app.premises import Premises
from agent.clips.journal import OpenClip
from agent.clips.premises import MARK
from agent.clips.writer import ClipWriter
from agent.errors import StorageError
from agent.types import ClipRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPEN = OpenClip(name(9), f"{name(9)}.mp4", (EVENT,), 1.0, "aaaaaaaa", None, "none", "h264", 320, 240, "none")


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    kit = Kit(tmp_path, Hands(), reserve_mb=100)
    yield kit
    kit.end()


def test_the_first_clip_marks_the_directory(kit: Kit) -> None:
    """The index knows the mark, and the intent is there."""
    kit.premises.opened(OPEN)
    mark = (kit.directory / MARK).read_text().strip()
    assert [(mark,)] == query(kit.state, "SELECT mark FROM clip_directory")
    assert [(OPEN.id,)] == query(kit.state, "SELECT id FROM open_clips")


def test_a_mark_that_is_there_already_is_taken_over(kit: Kit) -> None:
    """The database was lost, the clips were not."""
    (kit.directory / MARK).write_text("0123456789abcdef\n")
    kit.premises.check()
    assert [("0123456789abcdef",)] == query(kit.state, "SELECT mark FROM clip_directory")


def test_no_clip_begins_without_room(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the reserve belongs to the messages; a clip under way may take another event still."""
    free = 51_000_000
    monkeypatch.setattr("agent.app.premises.health.free_bytes", lambda _: free)
    kit.premises.opened(OPEN)
    free = 49_000_000
    kit.premises.opened(replace(OPEN, events=(EVENT, EVENT)))
    with pytest.raises(StorageError, match="49 MB are free, too few to begin a clip") as refusal:
        kit.premises.opened(replace(OPEN, id=name(8), path=f"{name(8)}.mp4"))
    assert errno.ENOSPC == refusal.value.errno
    assert [(OPEN.id,)] == query(kit.state, "SELECT id FROM open_clips")


def test_clips_under_way_are_known(kit: Kit) -> None:
    """From before the file is there until the row is, or the recorder gave it up."""
    told: list[str] = []
    premises = Premises(kit.settings, kit.journal, lambda: told.append("closed"))
    premises.opened(OPEN)
    premises.opened(replace(OPEN, id=name(8), path=f"{name(8)}.mp4"))
    with premises.no_clip_begins() as under_way:
        assert {OPEN.id, name(8)} == under_way
    premises.left(name(8))

    writer = ClipWriter(kit.directory / OPEN.path, FOOTAGE.info, 2.0)
    for packet in FOOTAGE.packets:
        writer.packet(packet)
    written = writer.close()
    fields = {field: getattr(OPEN, field) for field in OPEN.__dataclass_fields__}
    record = ClipRecord(
        **fields, duration=written.duration, bytes=written.file.bytes, sha256=written.file.sha256
    )
    premises.closed(record, written.plain)

    with premises.no_clip_begins() as under_way:
        assert set() == under_way
    assert ["closed"] == told


def test_what_the_journal_refuses_is_not_under_way(kit: Kit) -> None:
    """Nothing was begun, so nothing is left out of recovery for it."""
    kit.premises.check()
    kit.database._connection.execute("PRAGMA query_only=1")
    with pytest.raises(StorageError, match=r"agent\.db: cannot be written"):
        kit.premises.opened(OPEN)
    kit.database._connection.execute("PRAGMA query_only=0")
    with kit.premises.no_clip_begins() as under_way:
        assert set() == under_way
