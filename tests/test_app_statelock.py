"""One agent on one state directory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from clips_footage import small_disk

from agent.app.statelock import ERASURE, LOCK, StateLock
from agent.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from agent.app.statelock import StateLock
StateLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def fill(card: Path) -> None:
    """Take all that is free."""
    with (card / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(1024))


def test_a_second_one_is_told_who_works_there(tmp_path: Path) -> None:
    """The error names the directory and the process, and is the one of the state directory (exit code 6)."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert b"held\n" == other.stdout.readline()
        with pytest.raises(StorageError, match=rf"{tmp_path}.*process {other.pid}\)") as refused:
            StateLock(tmp_path)
        other.kill()

    assert 6 == refused.value.exit_code
    StateLock(tmp_path).release()  # the kernel let go of what the killed one held


def test_a_kit_that_is_being_erased(tmp_path: Path) -> None:
    """No agent begins anew on what is left of it; who erases may go on."""
    (tmp_path / ERASURE).write_text("")
    with pytest.raises(StorageError, match=r"being erased, and that was cut off\. Fix: sudo stairwell erase"):
        StateLock(tmp_path)
    StateLock(tmp_path, erasing=True).release()


def test_released_it_is_free(tmp_path: Path) -> None:
    """Held until released, within one process too."""
    lock = StateLock(tmp_path / "new" / "state")
    assert f"{os.getpid()}\n" == (tmp_path / "new" / "state" / LOCK).read_text()
    with pytest.raises(StorageError, match="another agent"):
        StateLock(tmp_path / "new" / "state")

    lock.release()
    StateLock(tmp_path / "new" / "state").release()


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A file in its place is told with its path."""
    (tmp_path / "state").write_text("")
    with pytest.raises(StorageError, match=r"state/agent\.lock: cannot be opened"):
        StateLock(tmp_path / "state")


@pytest.mark.parametrize("kind", ["link", "name", "pipe"])
def test_what_lies_elsewhere_is_not_written(tmp_path: Path, kind: str) -> None:
    """Whoever rules the agent may lay what he likes there, and root writes nothing but a lock."""
    victim, state = tmp_path / "victim", tmp_path / "state"
    state.mkdir()
    victim.write_text("of root's\n")
    match kind:
        case "link":
            (state / LOCK).symlink_to(victim)
        case "name":
            (state / LOCK).hardlink_to(victim)
        case "pipe":
            os.mkfifo(state / LOCK)
    for erasing in (True, False):
        with pytest.raises(StorageError, match=r"agent\.lock: a link, or one name of several"):
            StateLock(state, erasing=erasing)
    assert "of root's\n" == victim.read_text()


def test_a_full_card_holds_a_lock(tmp_path: Path) -> None:
    """Without room for the process id the lock holds, and the other one is told what is known."""
    with small_disk(tmp_path / "card", 64) as card:
        (card / LOCK).touch()
        fill(card)
        lock = StateLock(card)
        with pytest.raises(StorageError, match="another agent"):
            StateLock(card)
        lock.release()
