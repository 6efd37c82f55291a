"""Each cause of a refusal has its alarm."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from clips_footage import small_disk

from agent.app.trouble import CODES, FAILING, FULL, GONE, OTHER, READ_ONLY, Trouble
from agent.clips.sink import refused
from agent.database import Database
from agent.doctor.registry import ALARMS
from agent.errors import StorageError


class Alarms:
    """Notes what is raised."""

    def __init__(self) -> None:
        self.active: set[str] = set()

    def alarm(self, code: str, *, active: bool, detail: str = "") -> None:
        """See Announcer."""
        assert code in ALARMS
        assert bool(detail) == active
        (self.active.add if active else self.active.discard)(code)


def why(number: int) -> StorageError:
    return refused(Path("/card/x"), "written", OSError(number, os.strerror(number)))


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, FULL),
        (errno.EDQUOT, FULL),
        (errno.EROFS, READ_ONLY),
        (errno.EIO, FAILING),
        (errno.ENODEV, GONE),
        (errno.EACCES, OTHER),
    ],
)
def test_a_cause_is_an_alarm_until_it_is_over(tmp_path: Path, number: int, code: str) -> None:
    """Raised once the disk says so, cleared once nobody complains."""
    alarms = Alarms()
    trouble = Trouble(alarms, [tmp_path])  # type: ignore[arg-type]
    trouble.judge([None, why(number), None])
    assert ({code}, {code}) == (alarms.active, set(trouble.codes))
    trouble.judge([None])
    assert (set(), set()) == (alarms.active, set(trouble.codes))


def test_several_causes_at_once(tmp_path: Path) -> None:
    """Clips and database may lie on two disks, each ill in its own way."""
    alarms = Alarms()
    trouble = Trouble(alarms, [tmp_path])  # type: ignore[arg-type]
    trouble.judge([why(errno.ENOSPC), why(errno.EIO)])
    trouble.judge([why(errno.ENOSPC), StorageError("no errno", fix="none")])
    assert {FULL, OTHER} == alarms.active


def test_every_code_has_its_text() -> None:
    """In the registry, in both languages."""
    assert set(CODES) <= ALARMS.keys()


def test_a_database_on_a_full_card_says_so(tmp_path: Path) -> None:
    """SQLite's own words are translated."""
    with small_disk(tmp_path / "card", 400) as card:
        database = Database(card / "agent.db", ["CREATE TABLE IF NOT EXISTS t (b BLOB)"])
        work = "INSERT INTO t VALUES (zeroblob(4000000))"
        refusal = database.submit(lambda tx: tx.execute(work)).exception()
        database.close()
        assert isinstance(refusal, StorageError)
        assert errno.ENOSPC == refusal.errno


def test_an_io_error_on_a_read_only_card_is_that(tmp_path: Path) -> None:
    """SQLite tells both as an I/O error: the file system is asked."""
    with small_disk(tmp_path / "card", 400) as card:
        alarms = Alarms()
        trouble = Trouble(alarms, [tmp_path, card])  # type: ignore[arg-type]
        trouble.judge([why(errno.EIO)])
        assert {FAILING} == alarms.active
        subprocess.run(["mount", "-o", "remount,ro", card], check=True)
        trouble.judge([why(errno.EIO)])
        assert {READ_ONLY} == alarms.active
