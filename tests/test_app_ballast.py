"""The room that is kept for a full disk, on real small disks."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from clips_footage import small_disk

from agent.app import ballast
from agent.app.ballast import BALLAST_BYTES, NAME, ROOM, Ballast
from agent.app.schemas import DATABASE, SCHEMAS
from agent.database import WAL_LIMIT_BYTES, Database
from agent.errors import StorageError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

BIG_KB = (ROOM + BALLAST_BYTES) // 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """With room for the ballast, and for little else."""
    with small_disk(tmp_path / "disk", BIG_KB) as place:
        yield place


def fill(directory: Path) -> None:
    """To the last byte."""
    with (directory / "filler").open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def use(directory: Path) -> None:
    """Open the database, write, close."""
    database = Ballast(directory).database(directory / DATABASE, SCHEMAS)
    database.ask(lambda tx: tx.execute("INSERT OR IGNORE INTO active_alarms VALUES ('a.b')"), 10)
    database.close()


def test_a_full_disk_is_started_on(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The ballast goes, the database opens and takes writes; without a ballast it would not."""
    use(disk)
    fill(disk)
    with pytest.raises(StorageError, match="cannot be opened"):
        use(disk)

    (disk / "filler").unlink()
    Ballast(disk).take()
    fill(disk)
    use(disk)
    assert not (disk / NAME).exists()
    assert "tried again with the room of" in caplog.text


def test_a_full_disk_is_lived_on(disk: Path) -> None:
    """With the ballast's room commits go on for ever: the log is begun anew before that is used up."""
    Ballast(disk).take()
    database = Database(disk / DATABASE, ["CREATE TABLE IF NOT EXISTS said (what BLOB) STRICT"])

    def say(tx: sqlite3.Connection) -> None:
        tx.execute("DELETE FROM said")
        tx.execute("INSERT INTO said VALUES (randomblob(40000))")

    with contextlib.closing(database):
        database.ask(say, 10)
        fill(disk)
        with pytest.raises(StorageError, match="full"):
            database.ask(say, 10)
        assert Ballast(disk).drop()
        for _ in range(4 * WAL_LIMIT_BYTES // 40_000):
            database.ask(say, 10)


def test_it_is_there_in_full(disk: Path) -> None:
    """Its room is taken from the disk, not only promised; taking it again changes nothing."""
    Ballast(disk).take()
    Ballast(disk).take()
    assert (disk / NAME).stat().st_blocks * 512 >= BALLAST_BYTES
    assert Ballast(disk).drop()
    assert not Ballast(disk).drop()


def test_it_is_taken_only_where_there_is_room(tmp_path: Path) -> None:
    """A disk that is nearly full needs the rest."""
    with small_disk(tmp_path / "disk", ROOM // 1024 - 64) as disk:
        Ballast(disk).take()
        assert [] == list(disk.iterdir())


def test_a_disk_that_refuses_it_has_none_of_it(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No half of it is left behind."""
    monkeypatch.setattr(ballast, "BALLAST_BYTES", 10 * BIG_KB * 1024)
    Ballast(disk).take()
    assert [] == list(disk.iterdir())
