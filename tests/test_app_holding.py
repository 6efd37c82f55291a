"""Holds: a file beside each clip and a word in the index, which may be parted at any moment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import Hands
from kits import Kit, name

from agent.app import holding
from agent.app.deletion import erase, sweep
from agent.clips import hold as holds
from agent.clips import store
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ONE, TWO = name(1), name(2)


def hold(kit: Kit, *clips: str) -> str | None:
    return holding.hold(kit.journal, kit.directory, clips, by="olena", why="case 12", now=kit.clock.stamp())


def held(kit: Kit) -> dict[str, bool]:
    return {row.record.id: row.held for row in kit.journal.ask(store.clips)}


def test_a_hold_says_who_and_why_and_goes_with_the_release(open_kit: Callable[..., Kit]) -> None:
    """The first one's words stay when it is held once more; the file is the group's to read."""
    kit = open_kit()
    clip = kit.clip(1)
    assert hold(kit, ONE) is None
    path = holds.hold_path(kit.directory / clip.path)
    told = json.loads(path.read_text())
    stamp = {"boot": "aaaaaaaa", "mono": kit.clock.t, "ts": None, "clk": "none"}
    assert {"v": 1, "clip": ONE, "by": "olena", "why": "case 12", "held": stamp} == told
    assert 0o640 == path.stat().st_mode & 0o777

    holding.hold(kit.journal, kit.directory, [ONE], by="b", why="c", now=kit.clock.stamp())
    assert told == json.loads(path.read_text())
    assert {ONE: True} == held(kit)

    assert holding.release(kit.journal, kit.directory, [ONE]) is None
    assert ({ONE: False}, [clip.path]) == (held(kit), kit.files())
    assert holding.release(kit.journal, kit.directory, [ONE]) is None


def test_one_that_is_not_there_changes_nothing(open_kit: Callable[..., Kit]) -> None:
    """Neither a row nor a file of the others."""
    kit = open_kit()
    clip = kit.clip(1)
    assert TWO == hold(kit, ONE, TWO)
    assert ({ONE: False}, [clip.path]) == (held(kit), kit.files())
    hold(kit, ONE)
    assert TWO == holding.release(kit.journal, kit.directory, [ONE, TWO])
    assert {ONE: True} == held(kit)
    assert holds.stands(kit.directory, ONE)


def test_a_clip_that_goes_while_it_is_held_leaves_no_hold(
    open_kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do those that were to be held with it; what was held before stays so."""
    kit = open_kit()
    gone, before, new = kit.clip(1), kit.clip(2), kit.clip(3)
    hold(kit, before.id)
    put = holds.put

    def put_late(directory: Path, clip: str, *about: Any) -> bool:  # noqa: ANN401 - passed on
        if clip == gone.id:
            erase(kit.journal, kit.reporter, [gone], "request")
            sweep(kit.journal, kit.directory)
        return put(directory, clip, *about)

    monkeypatch.setattr(holds, "put", put_late)
    assert gone.id == hold(kit, gone.id, before.id, new.id)
    assert sorted([before.path, f"{before.id}.hold", new.path]) == kit.files()
    assert {before.id: True, new.id: False} == held(kit)


def test_a_hold_outlives_the_database(open_kit: Callable[..., Kit]) -> None:
    """Damaged, it is begun anew; the clips are adopted, and evidence is evidence still."""
    first = open_kit()
    evidence, other = first.clip(1), first.clip(2)
    hold(first, evidence.id)
    first.end()
    (first.state / "agent.db").write_bytes(b"no database" * 1000)

    clock = Hands(boot="bbbbbbbb")
    later = open_kit(clock, retention_h=1)
    later.housekeeping.recover()
    assert {evidence.id: True, other.id: False} == held(later)

    clock.t += 100 * 3600
    later.housekeeping.run(None)
    assert [f"{evidence.id}.hold", evidence.path] == later.files()

    holding.release(later.journal, later.directory, [evidence.id])
    later.housekeeping.run(None)
    assert ([], {}) == (later.files(), held(later))


@pytest.mark.parametrize("start", ["anew", "never"])
def test_a_cut_between_the_steps_leaves_it_held(open_kit: Callable[..., Kit], start: str) -> None:
    """The file alone will do: at the next start, and before retention would take the clip."""
    clock = Hands()
    kit = open_kit(clock, retention_h=1)
    clip, other = kit.clip(1), kit.clip(2)
    kit.housekeeping.run(None)
    holds.put(kit.directory, clip.id, "olena", "case 12", clock.stamp())
    if start == "anew":
        kit.end()
        kit = open_kit(clock, retention_h=1)
        kit.housekeeping.recover()
        assert {clip.id: True, other.id: False} == held(kit)
    clock.t += 100 * 3600
    kit.housekeeping.run(None)
    assert {clip.id: True} == held(kit)
    assert [f"{clip.id}.hold", clip.path] == kit.files()


def test_one_that_went_meanwhile_takes_no_other_with_it(open_kit: Callable[..., Kit]) -> None:
    """Retention's plan is older than what a person has erased since."""
    kit = open_kit()
    clip = kit.clip(2)
    for each in (ONE, clip.id):
        holds.put(kit.directory, each, "olena", "case 12", kit.clock.stamp())
    holding.keep_noted(kit.journal, kit.directory, [ONE, clip.id])
    assert {clip.id: True} == held(kit)


def test_what_the_index_alone_holds_gets_its_file(open_kit: Callable[..., Kit]) -> None:
    """Held by an older version. A disk that refuses is tried again at the next start; house is kept."""
    kit = open_kit()
    clip, other = kit.clip(1), kit.clip(2)
    kit.journal.ask(lambda tx: store.hold(tx, clip.id, held=True))
    obstacle = kit.directory / f"{clip.id}.hold.new"
    obstacle.mkdir()
    holding.settle(kit.journal, kit.directory, kit.clock.stamp())
    assert not holds.stands(kit.directory, clip.id)
    obstacle.rmdir()

    kit.housekeeping.recover()
    assert sorted([clip.path, f"{clip.id}.hold", other.path]) == kit.files()


def test_a_disk_that_refuses_is_told(open_kit: Callable[..., Kit]) -> None:
    """Then the row does not claim what would not outlive it, or the file stays."""
    kit = open_kit()
    kit.clip(1)
    obstacle = kit.directory / f"{ONE}.hold.new"
    obstacle.mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        hold(kit, ONE)
    assert {ONE: False} == held(kit)
    obstacle.rename(kit.directory / f"{ONE}.hold")
    with pytest.raises(StorageError, match="cannot be removed"):
        holding.release(kit.journal, kit.directory, [ONE])
