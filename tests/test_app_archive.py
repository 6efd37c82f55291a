"""The store in a person's hands, beside a running agent."""

from __future__ import annotations

import json
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, check, kept, settings
from clips_keys import CITY, RECIPIENTS
from kits import EVENT, Kit, name

from agent.app.archive import Archive
from agent.clips import hold, readback, store
from agent.device.account import asker
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    kit = Kit(tmp_path, Hands(ts="2026-05-01T10:00:00.000Z"), seal="age", recipients=RECIPIENTS)
    kit.housekeeping.recover()
    yield kit
    kit.end()


@pytest.fixture
def archive(kit: Kit) -> Archive:
    return Archive(kit.settings, kit.clock)


def test_clips_are_read_while_the_agent_writes(kit: Kit, archive: Archive) -> None:
    """What is committed is seen; the connection cannot write."""
    first = kit.clip(1)
    assert [first] == [row.record for row in archive.clips()]
    assert [first] == [row.record for row in archive.clips(event=EVENT)]
    assert [] == archive.clips(event="another")
    with pytest.raises(StorageError, match="readonly"):
        archive.read(lambda tx: tx.execute("DELETE FROM clips"))


def test_a_part_of_an_id_will_do(kit: Kit, archive: Archive) -> None:
    """If it fits one clip alone; a whole id always does; each clip comes once."""
    one, two = kit.clip(1), kit.clip(21)
    assert [two, one] == [row.record for row in archive.find(["0021", one.id.lower(), "0021"])]
    for wrong, problem in (("0000", "fits 2 clips"), ("21", "no such clip"), ("ZZZZ", "no such clip")):
        with pytest.raises(StorageError, match=problem):
            archive.find([wrong])


def test_holding_changes_all_or_none(kit: Kit, archive: Archive) -> None:
    """A clip that went meanwhile is told, and the others stay as they were."""
    one, two = kit.clip(1), kit.clip(2)
    rows = archive.clips()
    archive.hold(rows, held=True)
    told = json.loads((kit.directory / f"{one.id}.hold").read_text())
    assert (asker(), "clips hold", "2026-05-01T10:00:00.000Z") == (
        told["by"],
        told["why"],
        told["held"]["ts"],
    )
    assert [True, True] == [row.held for row in archive.clips()]
    archive.hold(rows, held=False)
    kit.journal.ask(lambda tx: store.mark_garbage(tx, [two.id]))
    with pytest.raises(StorageError, match="no such clip"):
        archive.hold(rows, held=True)
    assert [(one.id, False)] == [(row.record.id, row.held) for row in archive.clips()]


def test_erasing_gives_a_receipt_and_tells_the_city(kit: Kit, archive: Archive) -> None:
    """Row, file, manifest are gone; the receipt has what proves it, and the message has its number."""
    clip, stays = kit.clip(1), kit.clip(2)
    [receipt] = archive.erase(archive.find([clip.id]), "court order 12")

    assert [f"{name(2)}.mp4.age"] == kit.files()
    assert [stays.id] == [row.record.id for row in archive.clips()]
    message = kept(kit.state)[-1]
    assert "ClipErased" == check(message)
    assert ("erased", clip.id, "court order 12") == (message["state"], message["clip"], message["why"])
    assert {"stream": message["stream"], "seq": message["seq"]} == receipt["message"]
    assert (clip.id, clip.sha256, clip.manifest, clip.sig, "court order 12", kit.settings.kit.id) == (
        receipt["clip"],
        receipt["file"]["sha256"],
        receipt["manifest"]["sha256"],
        receipt["manifest"]["sig"],
        receipt["why"],
        receipt["kit"],
    )
    assert "2026-05-01T10:00:00.000Z" == receipt["erased"]["ts"]
    kit.clip(3)
    assert [1, 2, 3, 4] == [m["seq"] for m in kept(kit.state)]


def test_a_held_clip_is_not_erased(kit: Kit, archive: Archive) -> None:
    """Nor any other of the same command."""
    kit.clip(1)
    held = kit.clip(2)
    archive.hold(archive.find([held.id]), held=True)
    with pytest.raises(StorageError, match="is on hold"):
        archive.erase(archive.clips(), "request")
    assert 2 == len(archive.clips())
    archive.hold(archive.find([held.id]), held=False)
    hold.put(kit.directory, held.id, "olena", "cut off before the index knew", kit.clock.stamp())
    with pytest.raises(StorageError, match="is on hold"):
        archive.erase(archive.clips(), "request")
    archive.hold(archive.find([held.id]), held=False)
    assert 2 == len(archive.erase(archive.clips(), "request"))


def test_nothing_is_held_on_a_disk_that_is_not_there(kit: Kit, archive: Archive) -> None:
    """The hold would lie on another one, where no clip is."""
    kit.clip(1)
    kit.directory.rename(kit.state / "away")
    with pytest.raises(StorageError, match="its disk is not mounted"):
        archive.hold(archive.clips(), held=True)
    assert [False] == [row.held for row in archive.clips()]


def test_a_clip_is_erased_once(kit: Kit, archive: Archive) -> None:
    """Who comes second gets no receipt, and the city no second message."""
    kit.clip(1)
    rows = archive.clips()
    assert 1 == len(archive.erase(rows, "request"))
    assert [] == archive.erase(rows, "request")
    assert 2 == len(kept(kit.state))


def test_nothing_is_erased_on_a_disk_that_is_not_there(kit: Kit, archive: Archive) -> None:
    """The file would stay, and nobody would know of it."""
    kit.clip(1)
    kit.directory.rename(kit.state / "away")
    with pytest.raises(StorageError, match="its disk is not mounted"):
        archive.erase(archive.clips(), "request")
    assert 1 == len(archive.clips())


def test_nobody_is_told_in_nobodys_name(kit: Kit) -> None:
    """Without the kit's own settings there would be no topic for the message."""
    kit.clip(1)
    nobody = settings(kit.state, kit={"id": "0000000000"}, clips={"seal": "none"})
    archive = Archive(nobody, kit.clock)
    with pytest.raises(ConfigError, match=r"kit\.id: not set"):
        archive.erase(archive.clips(), "request")
    assert 1 == len(archive.clips())


def test_a_busy_database_is_waited_for(kit: Kit, archive: Archive) -> None:
    """A transaction of the agent's is let finish."""
    kit.clip(1)
    begun, end = threading.Event(), threading.Event()

    def slow(tx: sqlite3.Connection) -> None:
        tx.execute("UPDATE clips SET announced = 1")
        begun.set()
        end.wait(10)

    future = kit.database.submit(slow)
    begun.wait(10)
    threading.Timer(0.3, end.set).start()
    archive.hold(archive.clips(), held=True)
    future.result()
    assert [(True, True)] == [(row.held, row.announced) for row in archive.clips()]


def test_a_description_has_everything(kit: Kit, archive: Archive) -> None:
    """What list and show print, and what programs read."""
    clip = kit.clip(1)
    kit.journal.ask(lambda tx: readback.note(tx, clip.id, "good"))
    [told] = archive.described(archive.clips())
    assert (clip.id, False, False, "good", "age", list(clip.recipients)) == (
        told["clip"],
        told["held"],
        told["announced"],
        told["readback"],
        told["file"]["sealed"],
        told["file"]["recipients"],
    )


def test_exporting_writes_over_nothing_unasked(kit: Kit, archive: Archive, tmp_path: Path) -> None:
    """Nor does an opened clip ever land on the kit's card."""
    kit.clip(1)
    [row] = archive.clips()
    target = tmp_path.parent / f"{tmp_path.name}-out.mp4"
    target.write_bytes(b"precious")
    with pytest.raises(StorageError, match="is there already"):
        archive.export(row, target, [CITY], force=False, progress=lambda _: None)
    assert b"precious" == target.read_bytes()
    assert archive.export(row, target, [CITY], force=True, progress=lambda _: None).opened
    with pytest.raises(StorageError, match="must not lie on the kit's card"):
        archive.export(row, kit.state / "open.mp4", [CITY], force=True, progress=lambda _: None)
    with pytest.raises(StorageError, match=r"stick: is no directory\. Fix: make it, or mount"):
        archive.export(row, tmp_path / "stick" / "clip.mp4", [], force=False, progress=lambda _: None)


def test_without_a_database_there_is_no_store(tmp_path: Path) -> None:
    """The path says where it was sought; a database of something else is told as well."""
    with pytest.raises(StorageError, match=r"agent\.db: there is no such database"):
        Archive(settings(tmp_path), Hands())
    sqlite3.connect(tmp_path / "agent.db").execute("CREATE TABLE t (a)").connection.close()
    with pytest.raises(StorageError, match=r"cannot be read .no such table"):
        Archive(settings(tmp_path), Hands()).clips()
