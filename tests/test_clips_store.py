"""The index, in a real database."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent.clips.journal import OpenClip
from agent.clips.store import (
    SCHEMA,
    StoredClip,
    begin_clip,
    clips,
    drop_intent,
    finish_clip,
    garbage,
    hold,
    mark_announced,
    mark_garbage,
    open_clips,
    sweep_garbage,
    unlink_garbage,
)
from agent.database import Database
from agent.errors import StorageError
from agent.types import ClipRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

INTENT = OpenClip("A", "A.mp4", ("e1",), 12.5, "b00t", None, "none", "h264", 640, 480, "none", 2)
RECORD = ClipRecord(
    id="A",
    path="A.mp4",
    events=("e1", "e2"),
    started=12.5,
    duration=10.0,
    boot="b00t",
    ts="2026-05-01T10:00:00.000Z",
    clk="ntp",
    bytes=1000,
    sha256="ab" * 32,
    codec="h264",
    width=640,
    height=480,
    sealed="none",
    part=2,
    truncated=True,
)


class Store:
    """A database whose units of work are run and waited for."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path, [SCHEMA])

    def __call__(self, work: Callable[..., Any], *args: object, **keys: object) -> Any:  # noqa: ANN401 - as work
        """What `work` returns, once it is on disk."""
        return self.database.submit(lambda tx: work(tx, *args, **keys)).result()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "agent.db")
    yield store
    store.database.close()


def test_an_intent_becomes_a_clip(store: Store) -> None:
    """Begun, changed, finished: exactly one of the two tables knows it; every field comes back."""
    store(begin_clip, INTENT)
    changed = replace(INTENT, events=("e1", "e2"))
    store(begin_clip, changed)
    assert ([changed], []) == (store(open_clips), store(clips))
    store(finish_clip, RECORD)
    assert ([], [StoredClip(1, RECORD)]) == (store(open_clips), store(clips))


def test_a_clip_that_came_to_nothing_is_dropped(store: Store) -> None:
    """Its intent goes."""
    store(begin_clip, INTENT)
    store(drop_intent, "A")
    assert [] == store(open_clips)


def test_survives_a_restart(tmp_path: Path) -> None:
    """What was committed is there when the database is opened again."""
    store = Store(tmp_path / "agent.db")
    store(begin_clip, INTENT)
    store(finish_clip, replace(RECORD, id="B", path="B.mp4"))
    store.database.close()
    again = Store(tmp_path / "agent.db")
    assert ([INTENT], ["B"]) == (again(open_clips), [c.record.id for c in again(clips)])
    again.database.close()


def test_finishing_and_telling_commit_together(store: Store) -> None:
    """A unit of work that fails after `finish_clip` leaves the intent as it was."""
    store(begin_clip, INTENT)

    def half(tx: sqlite3.Connection) -> None:
        finish_clip(tx, RECORD)
        raise ValueError("no message")

    with pytest.raises(ValueError, match="no message"):
        store(half)
    assert ([INTENT], []) == (store(open_clips), store(clips))


def test_a_name_is_never_used_twice(store: Store) -> None:
    """Two rows for one file would let one deletion take the other's evidence."""
    store(finish_clip, RECORD)
    with pytest.raises(sqlite3.IntegrityError, match="path"):
        store(finish_clip, replace(RECORD, id="B"))


def test_finds_the_clips_of_an_event(store: Store) -> None:
    """Parts and shared clips, in order; a name that is only part of another's is not it."""
    for number, events in enumerate([("e1",), ("e1", "e2"), ("e2",), ("e11",)]):
        store(finish_clip, replace(RECORD, id=f"C{number}", path=f"C{number}.mp4", events=events))
    assert ["C0", "C1"] == [c.record.id for c in store(clips, event="e1")]
    assert ["C1", "C2"] == [c.record.id for c in store(clips, event="e2")]
    assert [] == store(clips, event="e3")


def test_holding_and_announcing_are_kept(store: Store) -> None:
    """Both flags can be set, the first one also taken back."""
    store(finish_clip, RECORD)
    assert store(hold, "A", held=True)
    store(mark_announced, ["A"])
    assert [(True, True)] == [(c.held, c.announced) for c in store(clips)]
    assert store(hold, "A", held=False)
    assert [(False, True)] == [(c.held, c.announced) for c in store(clips)]
    assert not store(hold, "none", held=True)


def test_deletion_in_its_steps(store: Store, tmp_path: Path) -> None:
    """Row first, then the file, then the garbage row: killed between any two, nothing is forgotten."""
    for name in ("A.mp4", "A.json", "A.hold"):
        (tmp_path / name).write_bytes(b"x")
    store(finish_clip, RECORD)
    store(mark_garbage, ["A"])
    assert ([], ["A.mp4"]) == (store(clips), store(garbage))
    unlink_garbage(tmp_path, ["A.mp4"])
    unlink_garbage(tmp_path, ["A.mp4"])
    assert [] == list(tmp_path.glob("A.*"))
    store(sweep_garbage, ["A.mp4"])
    assert [] == store(garbage)


def test_a_held_clip_is_never_marked(store: Store) -> None:
    """Held between plan and deletion: it stays."""
    store(finish_clip, RECORD)
    store(hold, "A", held=True)
    store(mark_garbage, ["A"])
    assert (["A"], []) == ([c.record.id for c in store(clips)], store(garbage))


def test_a_number_is_never_given_twice(store: Store) -> None:
    """`seq` tells the order of recording even after deletions."""
    store(finish_clip, RECORD)
    store(mark_garbage, ["A"])
    store(finish_clip, replace(RECORD, id="B", path="B.mp4"))
    assert [2] == [c.seq for c in store(clips)]


def test_removal_names_what_it_cannot_remove(tmp_path: Path) -> None:
    """A directory in the file's place is an error with its path; no directory at all is no work."""
    (tmp_path / "A.mp4").mkdir()
    with pytest.raises(StorageError, match=r"A\.mp4: cannot be removed"):
        unlink_garbage(tmp_path, ["A.mp4"])
    unlink_garbage(tmp_path / "none", ["A.mp4"])
