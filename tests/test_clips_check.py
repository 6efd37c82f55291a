"""The check finds each thing that can be wrong with a store, and nothing in a sound one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import kits
import pytest
from app_parts import Hands
from clips_footage import SAMPLE, Footage
from clips_keys import CITY, OTHER_KIT_KEY, RECIPIENTS, STRANGER
from kits import FOOTAGE, Kit, name

from agent.clips import check, hold, store
from agent.clips.check import Finding, View, check_clip, check_index, check_sealing
from agent.clips.manifest import manifest_path
from agent.errors import StorageError
from agent.words import say, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    kit = Kit(tmp_path, Hands(), seal="age", recipients=RECIPIENTS)
    kit.housekeeping.recover()
    yield kit
    kit.end()


def look(kit: Kit) -> View:
    return kit.journal.ask(check.view)


def index(kit: Kit) -> list[tuple[str, str]]:
    _, findings = check_index(kit.directory, lambda: look(kit))
    return [(finding.code, finding.what) for finding in findings]


def one(kit: Kit, *keys: object, outcome: object = None) -> list[tuple[str, str]]:
    """What is found about the first clip."""
    row = look(kit).clips[0]
    key = kit.identity.public
    found = check_clip(kit.directory, row, outcome, key, keys, lambda _: None)  # type: ignore[arg-type]
    return [(finding.code, finding.text.en) for finding in found]


def sealing(kit: Kit) -> list[tuple[str, str]]:
    found, _ = check_sealing([kit.state, kit.directory], sealed=True, progress=lambda _: None)
    return [(finding.code, finding.what) for finding in found]


def test_a_sound_store(kit: Kit) -> None:
    """With a clip under way and one on its way out, nothing is broken."""
    kit.clip(1)
    kit.cut(2)
    going = kit.clip(3)
    kit.journal.ask(lambda tx: store.mark_garbage(tx, [going.id]))

    seen, findings = check_index(kit.directory, lambda: look(kit))
    assert [("garbage", going.path, False)] == [(f.code, f.what, f.broken) for f in findings]
    assert [name(1)] == [row.record.id for row in seen.clips]
    assert [] == one(kit)
    assert [] == one(kit, CITY)
    assert [] == sealing(kit)


def test_a_file_that_has_gone(kit: Kit) -> None:
    """The row is named."""
    clip = kit.clip(1)
    (kit.directory / clip.path).unlink()
    assert [("missing", clip.path)] == index(kit)


def test_what_is_erased_meanwhile_is_not_missing(kit: Kit) -> None:
    """Between the first look and the second the agent deleted it."""
    clip = kit.clip(1)
    before = look(kit)
    (kit.directory / clip.path).unlink()
    kit.journal.ask(lambda tx: store.mark_garbage(tx, [clip.id]))
    looks = iter([before, look(kit)])
    _, findings = check_index(kit.directory, lambda: next(looks))
    assert [] == findings


def test_a_directory_that_is_not_there(kit: Kit) -> None:
    """One finding, not one for every clip."""
    kit.clip(1)
    kit.directory.rename(kit.state / "elsewhere")
    assert [("absent", str(kit.directory))] == index(kit)


def test_a_store_that_was_never_used(tmp_path: Path) -> None:
    """No directory, no mark, no finding."""
    kit = Kit(tmp_path, Hands())
    kit.directory.rmdir()
    assert [] == index(kit)
    kit.end()


def test_a_hold_that_only_one_of_both_knows(kit: Kit) -> None:
    """It is named, and breaks nothing: the clip stays. One that both know is sound, and no stray."""
    both, row, file = kit.clip(1), kit.clip(2), kit.clip(3)
    for clip in (both, row):
        kit.journal.ask(lambda tx, clip=clip: store.hold(tx, clip.id, held=True))  # type: ignore[misc]
    for clip in (both, file):
        hold.put(kit.directory, clip.id, "olena", "case 12", kit.clock.stamp())
    _, findings = check_index(kit.directory, lambda: look(kit))
    assert [
        ("hold", row.path, "its hold is in the index alone", False),
        ("hold", file.path, "its hold lies beside it alone", False),
    ] == [(f.code, f.what, f.text.en, f.broken) for f in findings]
    assert [] == sealing(kit)


def test_strays(kit: Kit) -> None:
    """Files of clips that no row knows are named; other people's files are not ours to judge."""
    clip = kit.clip(1)
    for path in (clip.path.replace("01", "02"), f"{name(7)}.json"):
        shutil.copy(kit.directory / clip.path, kit.directory / path)
    (kit.directory / "lost+found").mkdir()
    assert [("stray", f"{name(2)}.mp4.age"), ("stray", f"{name(7)}.json")] == index(kit)


def test_damage_is_told_with_its_second_when_a_key_is_there(kit: Kit) -> None:
    """Without it the file is known to differ."""
    path = kit.directory / kit.clip(1).path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert [("altered", "altered; the file is another than was signed")] == one(kit)
    [(code, text)] = one(kit, CITY)
    assert ("altered", True) == (code, " to 6.0 s" in text)
    assert ["altered"] == [code for code, _ in one(kit, STRANGER)]


def test_a_short_file(kit: Kit) -> None:
    """What is missing at its end is told."""
    path = kit.directory / kit.clip(1).path
    path.write_bytes(path.read_bytes()[:-1000])
    [(code, text)] = one(kit)
    assert ("altered", True) == (code, text.startswith("truncated"))


def test_manifests(kit: Kit) -> None:
    """None, or another kit's: it proves nothing, which is not the same as altered."""
    beside = manifest_path(kit.directory / kit.clip(1).path)
    row = look(kit).clips[0]
    [found] = check_clip(kit.directory, row, None, OTHER_KIT_KEY.public, [], lambda _: None)
    assert "unproven" == found.code
    beside.unlink()
    assert ["unproven"] == [code for code, _ in one(kit)]


def test_a_clip_that_was_read_back_wrong(kit: Kit) -> None:
    """What the card gave once is not forgotten because it gives the right thing now."""
    kit.clip(1)
    assert ["damaged"] == [code for code, _ in one(kit, outcome="mismatch")]


def test_a_clip_that_was_signed_and_does_not_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours, not of the card: found by decoding only."""
    kit = Kit(tmp_path, Hands(), seal="age", recipients=RECIPIENTS)
    monkeypatch.setattr(kits, "FOOTAGE", Footage(FOOTAGE.info, FOOTAGE.packets[:1]))
    kit.clip(1)
    row = look(kit).clips[0]
    longer = replace(row, record=replace(row.record, duration=9.0))
    found = check_clip(kit.directory, longer, None, kit.identity.public, [CITY], lambda _: None)
    assert [("unplayable", "0.1 s of it decode, 9.0 s are in its row")] == [
        (f.code, f.text.en) for f in found
    ]
    assert [] == check_clip(kit.directory, longer, None, kit.identity.public, [], lambda _: None)
    kit.end()


@pytest.mark.parametrize("place", ["state", "clips", "deep"])
def test_open_footage_anywhere(kit: Kit, place: str) -> None:
    """In the state directory, among the clips or below: each file once, though the roots overlap."""
    kit.clip(1)
    where = {"state": kit.state, "clips": kit.directory, "deep": kit.state / "a" / "b"}[place]
    where.mkdir(parents=True, exist_ok=True)
    shutil.copy(SAMPLE, where / "left.bin")
    assert [("open", str(where / "left.bin"))] == sealing(kit)


def test_a_sealed_clip_that_is_none(kit: Kit) -> None:
    """A file that is called sealed and is not."""
    (kit.directory / f"{name(5)}.mp4.age").write_bytes(b"anything else")
    assert [("open", str(kit.directory / f"{name(5)}.mp4.age"))] == sealing(kit)


def test_a_picture_in_the_database(kit: Kit) -> None:
    """The database is searched, its log too."""
    kit.journal.ask(lambda tx: tx.execute("CREATE TABLE t (b BLOB)"))
    kit.journal.ask(
        lambda tx: tx.execute("INSERT INTO t VALUES (?)", (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(99),))
    )
    assert [("open", str(kit.state / "agent.db-wal"))] == sealing(kit)


def test_without_sealing_there_is_nothing_to_seek(kit: Kit) -> None:
    """It is told, and breaks no promise that was given."""
    found, scanned = check_sealing([kit.state], sealed=False, progress=lambda _: None)
    assert ([("unsealed", False)], 0) == ([(f.code, f.broken) for f in found], scanned)


def test_what_cannot_be_read_is_an_error(kit: Kit) -> None:
    """A disk that refuses proves nothing."""
    file = kit.state / "file"
    file.write_text("")
    with pytest.raises(StorageError, match="cannot be read"):
        check_index(file, lambda: look(kit))


def test_findings_are_data() -> None:
    """For --json."""
    expected = {"code": "stray", "what": "b", "text": "no row knows this file", "fix": "d", "broken": True}
    assert expected == Finding("stray", "b", say("no row knows this file"), verbatim("d")).as_dict()


def test_a_clip_that_the_disk_does_not_give(kit: Kit) -> None:
    """Not altered: nobody knows."""
    path = kit.directory / kit.clip(1).path
    path.unlink()
    path.mkdir()
    [(code, text)] = one(kit)
    assert ("unreadable", "a directory lies in its place") == (code, text)


def test_a_clip_that_is_no_video_was_recorded_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unsealed ones are decoded without any key; pictures that do not decode are a finding."""
    kit = Kit(tmp_path, Hands())
    broken = [replace(p, data=b"\0\0\0\1\x41" + b"\xff" * 50) for p in FOOTAGE.packets[1:]]
    monkeypatch.setattr(kits, "FOOTAGE", Footage(FOOTAGE.info, [FOOTAGE.packets[0], *broken]))
    kit.clip(1)
    [(code, _)] = one(kit)
    assert "unplayable" == code
    kit.end()


def test_files_that_go_while_they_are_sought(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note, a log, a clip: what was deleted meanwhile is no finding."""
    kit.clip(1)
    listed = [*check.files([kit.state]), (kit.directory / f"{name(3)}.mp4.age", 100), (kit.state / "gone", 5)]
    monkeypatch.setattr(check, "files", lambda _: listed)
    assert [] == sealing(kit)
