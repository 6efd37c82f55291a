"""The check as a whole, and what it repairs."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, kept
from clips_footage import SAMPLE
from clips_keys import CITY, RECIPIENTS
from kits import Kit, name

from agent.app import wear
from agent.app.archive import Archive
from agent.app.inspection import inspect
from agent.clips import readback, store
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.app.inspection import Inspection


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    kit = Kit(tmp_path, Hands(), seal="age", recipients=RECIPIENTS)
    kit.housekeeping.recover()
    yield kit
    kit.end()


def look(kit: Kit, *keys: object, repair: bool = False) -> Inspection:
    archive = Archive(kit.settings, kit.clock)
    told: dict[str, list[int]] = {}

    def progress(step: str, count: int, total: int) -> None:
        done = told.setdefault(step, [0, total])
        done[0] += count

    found = inspect(archive, kit.identity.public, keys, repair=repair, progress=progress)  # type: ignore[arg-type]
    for done, total in told.values():
        assert 0 < done <= total
    return found


def test_a_sound_store(kit: Kit) -> None:
    """Everything is counted, and the days of wear are shown."""
    clips = [kit.clip(1), kit.clip(2)]
    kit.journal.ask(lambda tx: wear._add(tx, "2026-05-01", 1234))
    found = look(kit, CITY)
    assert ([], ()) == (found.broken, found.findings)
    assert (2, sum(clip.bytes for clip in clips), True) == (found.clips, found.bytes, found.decoded)
    assert found.scanned > found.bytes
    told = json.loads(json.dumps(found.as_dict()))
    assert (True, [{"day": "2026-05-01", "bytes": 1234}]) == (told["sound"], told["wear"])


def test_each_fault_is_found(kit: Kit) -> None:
    """One store with all of them."""
    altered, missing, damaged = kit.clip(1), kit.clip(2), kit.clip(3)
    path = kit.directory / altered.path
    path.write_bytes(path.read_bytes()[:-7])
    (kit.directory / missing.path).unlink()
    kit.journal.ask(lambda tx: readback.note(tx, damaged.id, "mismatch"))
    shutil.copy(SAMPLE, kit.state / "left.mp4")
    shutil.copy(kit.directory / damaged.path, kit.directory / f"{name(7)}.mp4.age")

    found = look(kit)
    assert {"altered", "missing", "damaged", "open", "stray"} == {finding.code for finding in found.findings}
    assert 5 == len(found.broken)
    assert not found.as_dict()["sound"]


def test_repair_forgets_what_has_gone_and_ends_deletions(kit: Kit) -> None:
    """The city is told of a lost clip, on hold or not; what is there is never touched."""
    held, going, stays = kit.clip(1), kit.clip(2), kit.clip(3)
    kit.journal.ask(lambda tx: store.hold(tx, held.id, held=True))
    (kit.directory / held.path).unlink()
    kit.journal.ask(lambda tx: store.mark_garbage(tx, [going.id]))

    found = look(kit, repair=True)

    assert {"missing", "garbage"} == {finding.code for finding in found.repaired}
    assert () == found.findings
    assert [stays.path] == kit.files()
    assert ("missing", held.id) == (kept(kit.state)[-1]["why"], kept(kit.state)[-1]["clip"])
    assert () == look(kit, repair=True).repaired


def test_a_replaced_disk_is_accepted_on_demand(kit: Kit) -> None:
    """Without --repair it is one finding; with it the new directory is the one from now on."""
    kit.clip(1)
    kit.directory.rename(kit.state / "old")
    kit.directory.mkdir()
    assert ["absent"] == [finding.code for finding in look(kit).broken]
    with pytest.raises(StorageError, match="its disk is not mounted"):
        kit.premises.check()

    found = look(kit, repair=True)
    assert ["absent", "missing"] == [finding.code for finding in found.repaired]
    assert () == found.findings
    kit.premises.check()
    assert [] == kit.journal.ask(store.clips)


def test_what_is_deleted_meanwhile_is_no_finding(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip that retention took while it was being read was never altered."""
    clip = kit.clip(1)
    verify = inspect.__globals__["check"].check_clip

    def deleted(*arguments: object) -> object:
        kit.journal.ask(lambda tx: store.mark_garbage(tx, [clip.id]))
        store.unlink_garbage(kit.directory, [clip.path])
        return verify(*arguments)

    monkeypatch.setattr("agent.clips.check.check_clip", deleted)
    assert [] == look(kit).broken


def test_an_unsealed_kit_is_not_searched(tmp_path: Path) -> None:
    """It says that it is unsealed; that is a choice, not a fault."""
    kit = Kit(tmp_path, Hands())
    kit.clip(1)
    found = look(kit)
    assert (["unsealed"], [], 0) == ([f.code for f in found.findings], found.broken, found.scanned)
    kit.end()
