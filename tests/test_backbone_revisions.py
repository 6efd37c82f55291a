"""The revisions that a kit keeps: counted before they are tried, and never tried for ever."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from clips_footage import small_disk
from killed import killed_at

from agent.backbone.revisions import GOOD, OWN, STATE, Kept, Revision, Revisions
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def numbered(rev: int, hours: int = 24) -> Revision:
    return Revision(rev=rev, values={"clips": {"retention_h": hours}})


def proven(directory: Path, rev: int) -> Revisions:
    """A kit whose last good revision is `rev`."""
    kept = Revisions(directory)
    kept.take(numbered(rev))
    kept.prove(kept.begin())
    return kept


def test_a_new_kit_has_its_own_file_only(tmp_path: Path) -> None:
    """Revision 0 without values, and nothing is written for it."""
    kept = Revisions(tmp_path)

    assert OWN == kept.begin() == kept.good == Revisions.next(tmp_path)
    assert (None, "applied") == (kept.answer.rev, kept.answer.fate)
    assert [] == list(tmp_path.iterdir())


def test_a_revision_goes_from_trial_to_good(tmp_path: Path) -> None:
    """Taken: pending, and run by the next start. Proven: what there is to fall back to, for ever after."""
    kept = proven(tmp_path, 3)
    kept.take(numbered(5))
    assert (numbered(3), numbered(5)) == (kept.good, Revisions.next(tmp_path))
    assert "pending" == kept.answer.fate

    kept = Revisions(tmp_path)
    assert numbered(5) == kept.begin()
    kept.prove(numbered(5))

    for one in (kept, Revisions(tmp_path)):
        assert (numbered(5), numbered(5)) == (one.good, one.begin())
        assert (5, "applied") == (one.answer.rev, one.answer.fate)


def test_two_starts_without_proof_are_all(tmp_path: Path) -> None:
    """Whatever ended them: the third start has the last good one, and so has every later one."""
    proven(tmp_path, 3).take(numbered(5))

    assert [5, 5, 3, 3] == [Revisions(tmp_path).begin().rev for _ in range(4)]
    answer = Revisions(tmp_path).answer
    assert (5, "rolled-back") == (answer.rev, answer.fate)
    assert "ended 2 times" in answer.detail


def test_why_it_failed_is_kept_for_the_report(tmp_path: Path) -> None:
    """A process that could still say how it ended, said it."""
    proven(tmp_path, 3).take(numbered(5))
    for _ in range(2):
        kept = Revisions(tmp_path)
        kept.note(kept.begin(), "analysis: nothing done for 21 s")
    kept = Revisions(tmp_path)
    kept.begin()

    assert "analysis: nothing done for 21 s" in kept.answer.detail


def test_a_wanted_end_is_no_failure(tmp_path: Path) -> None:
    """A reboot or an update during the trial takes nothing from it."""
    proven(tmp_path, 3).take(numbered(5))
    for _ in range(5):
        kept = Revisions(tmp_path)
        assert numbered(5) == kept.begin()
        kept.forgive(numbered(5))


def test_it_can_be_rolled_back_at_once(tmp_path: Path) -> None:
    """What cannot be started with is not tried a second time."""
    kept = proven(tmp_path, 3)
    kept.take(numbered(5))
    kept.roll_back(kept.begin(), "the camera cannot do that")

    assert numbered(3) == kept.begin() == Revisions(tmp_path).begin()
    assert "the camera cannot do that" == Revisions(tmp_path).answer.detail


@pytest.mark.parametrize(
    ("rev", "hours", "known", "old"),
    [(4, 24, None, True), (5, 24, "applied", False), (5, 36, None, True), (6, 24, None, False)],
)
def test_what_is_old(tmp_path: Path, rev: int, hours: int, known: str | None, *, old: bool) -> None:
    """Only a higher number is new; the same one with the same values is what is known of it."""
    kept = proven(tmp_path, 5)
    answer = kept.known(numbered(rev, hours))

    assert (known, old) == (answer and answer.fate, kept.is_old(numbered(rev, hours)))


def test_a_refused_one_may_be_judged_anew_and_none_below_it(tmp_path: Path) -> None:
    """The same document may fit a later agent, or a mended file; its number is spent all the same."""
    kept = proven(tmp_path, 3)
    kept.refuse(numbered(7), "wrong-keys", "…", {"clips.seal": "may be set on the kit only"})
    kept = Revisions(tmp_path)

    assert (None, False) == (kept.known(numbered(7)), kept.is_old(numbered(7)))
    assert kept.is_old(numbered(6))
    assert kept.is_old(numbered(7, hours=1))
    assert {"clips.seal": "may be set on the kit only"} == kept.answer.errors
    assert numbered(3) == kept.begin()


def test_a_rolled_back_one_is_not_taken_again(tmp_path: Path) -> None:
    """The broker delivers it at every connection: it stays rolled back until a higher one comes."""
    kept = proven(tmp_path, 3)
    kept.take(numbered(5))
    kept.roll_back(kept.begin(), "…")

    known = Revisions(tmp_path).known(numbered(5))
    assert known is not None
    assert "rolled-back" == known.fate


def test_a_refusal_does_not_end_a_trial(tmp_path: Path) -> None:
    """Seven is on trial when eight is refused: seven goes on, can be proven, and the refusal stays told."""
    kept = proven(tmp_path, 3)
    kept.take(numbered(7))
    running = kept.begin()
    kept.refuse(numbered(8), "wrong-keys", "…", {})
    assert numbered(7) == Revisions.next(tmp_path)
    kept.prove(running)

    assert (numbered(7), 8, "refused") == (kept.good, kept.answer.rev, kept.answer.fate)


def test_a_newer_one_takes_the_place_of_a_trial(tmp_path: Path) -> None:
    """Seven was never proven: what eight falls back to is three, and seven's run proves nothing of eight."""
    kept = proven(tmp_path, 3)
    kept.take(numbered(7))
    seven = kept.begin()
    kept.take(numbered(8))
    for step in (kept.prove, kept.forgive):
        step(seven)
    kept.note(seven, "…")
    kept.roll_back(seven, "…")

    assert (numbered(3), numbered(8)) == (kept.good, Revisions(tmp_path).begin())


@pytest.mark.parametrize("damage", [b"", b"x", b"0" * 64 + b"\n{}\n", None])
def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: bytes | None) -> None:
    """The last good revision counts, what was on trial is gone; the damaged file is kept for inquiry."""
    proven(tmp_path, 3).take(numbered(5))
    path = tmp_path / STATE
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"attempts":0', b'"attempts":1') if damage is None else damage)
    assert numbered(3) == Revisions.next(tmp_path)

    kept = Revisions(tmp_path)

    assert numbered(3) == kept.begin()
    assert [tmp_path / f"{STATE}.corrupt-1"] == kept.set_aside
    assert not path.exists()
    assert kept.is_old(numbered(2))
    kept.take(numbered(5))
    assert numbered(5) == Revisions(tmp_path).begin()


def test_both_files_damaged_leave_the_kits_own(tmp_path: Path) -> None:
    """Nothing is guessed: the file on the kit counts until the broker delivers what the city wants."""
    proven(tmp_path, 3)
    for name in (STATE, GOOD):
        (tmp_path / name).write_bytes(b"nothing")
    kept = Revisions(tmp_path)

    assert OWN == kept.begin()
    assert 2 == len(kept.set_aside)


def test_a_file_of_another_agent_is_damaged_too(tmp_path: Path) -> None:
    """What cannot be understood is not half understood."""
    kept = Revisions(tmp_path)
    with pytest.raises(ValueError, match="not the latest"):
        Kept(trial=numbered(3), highest=2)
    kept._put(STATE, Revision(rev=4, values={}))
    assert OWN == Revisions(tmp_path).begin()


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    """Nothing is taken, and nothing is tried that could not be counted."""
    with small_disk(tmp_path / "disk", 64) as disk:
        kept = proven(disk, 3)
        kept.take(numbered(5))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

        assert numbered(3) == kept.begin()
        with pytest.raises(StorageError, match="cannot be written"):
            kept.take(numbered(6))
        assert (5, "pending") == (kept.answer.rev, kept.answer.fate)


def test_a_directory_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    """An unreadable file is no damaged one: it is not pushed aside."""
    (tmp_path / STATE).mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        Revisions(tmp_path)


STEPS = ("open", "write", "fsync", "rename", "unlink", "close")


def survives(directory: Path, number: int, change: Callable[[Revisions], object]) -> bool:
    """Whether a process that is killed at its step `number` comes to the end of the change before that."""
    child = os.fork()
    if child == 0:
        kept = Revisions(directory)
        with killed_at(number, STEPS):
            change(kept)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (lambda kept: kept.take(numbered(7)), (3, 5, 1), (3, 7, 0)),
        (lambda kept: kept.begin(), (3, 5, 1), (3, 5, 2)),
        (lambda kept: kept.prove(numbered(5)), (3, 5, 1), (5, None, 0)),
        (lambda kept: kept.forgive(numbered(5)), (3, 5, 1), (3, 5, 0)),
        (lambda kept: kept.roll_back(numbered(5), "…"), (3, 5, 1), (3, None, 0)),
        (lambda kept: kept.refuse(numbered(7), "wrong-keys", "…", {}), (3, 5, 1), (3, 5, 1)),
    ],
    ids=["take", "begin", "prove", "forgive", "roll back", "refuse"],
)
def test_a_kill_at_any_step_leaves_before_or_after(
    tmp_path: Path,
    change: Callable[[Revisions], object],
    before: tuple[int, int | None, int],
    after: tuple[int, int | None, int],
) -> None:
    """SIGKILL before each system call of each change: the state is one of the two, and goes on."""

    def state(directory: Path) -> tuple[int, int | None, int]:
        kept = Revisions(directory)
        assert [] == kept.set_aside
        return (
            kept.good.rev,
            kept._kept.trial.rev if kept._kept.trial else None,
            kept._kept.attempts,
        )

    found = []
    for number in range(100):
        directory = tmp_path / str(number)
        directory.mkdir()
        kept = proven(directory, 3)
        kept.take(numbered(5))
        kept.begin()
        assert before == state(directory)
        done = survives(directory, number, change)
        found.append(state(directory))
        Revisions(directory).take(numbered(9))
        assert numbered(9) == Revisions(directory).begin()
        if done:
            break

    assert {before, after} == set(found)
    assert after == found[-1]
    assert len(found) > len(STEPS)
