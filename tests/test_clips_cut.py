"""Sealed clips cut anywhere: whole age files up to their last sync, without any secret."""

from __future__ import annotations

import hashlib
import random
import shutil
from typing import TYPE_CHECKING

import pytest
from clips_footage import decoded, hashed, long_footage
from clips_keys import KEY_IDS, SEALED_TO, age, age_complains

from agent.clips import part
from agent.clips.cut import cut_plain, cut_sealed
from agent.clips.seal import SealingSink
from agent.clips.writer import ClipWriter

if TYPE_CHECKING:
    from pathlib import Path

    from agent.clips.part import Note

NAME = "01KAMZ7A0000000000000000AA.mp4.age"
SECONDS = 12


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a clip under way after 11.9 s, synced every 2 s, as it lies on the disk."""
    directory = tmp_path_factory.mktemp("running")
    footage = long_footage(SECONDS)
    writer = ClipWriter(
        directory / NAME, footage.info, 2.0, open_sink=lambda path: SealingSink(path, SEALED_TO)
    )
    for packet in footage.packets:
        writer.packet(packet)
    writer.abandon()
    return directory


@pytest.fixture
def clip(running: Path, tmp_path: Path) -> Path:
    """A copy of it to be spoilt."""
    shutil.copytree(running, tmp_path / "clips")
    return tmp_path / "clips" / NAME


def noted(clip: Path) -> list[Note]:
    with part.part_path(clip).open("rb") as file:
        return list(part.notes(file))


def plays(clip: Path) -> int:
    """Pictures of the opened clip."""
    return len(decoded(age(clip)))


def test_a_power_cut_leaves_a_whole_file(clip: Path) -> None:
    """What was synced opens to its end and plays; the record is true of the file and of its plaintext."""
    found = cut_sealed(clip)
    assert found is not None
    data, opened = clip.read_bytes(), age(clip)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (found.bytes, found.sha256)
    assert found.plain == hashed(opened, found.plain)
    assert (10.0, "h264", 320, 240, KEY_IDS, True) == (
        found.duration,
        found.codec,
        found.width,
        found.height,
        found.recipients,
        found.truncated,
    )
    assert 100 == plays(clip)


def test_without_recovery_age_still_gives_what_is_whole(clip: Path) -> None:
    """A card that is read elsewhere: `age` complains at the end, having given every whole chunk."""
    given, complaint = age_complains(clip)
    assert 0 == len(given) % (64 * 1024)
    assert len(given) > 0
    assert "error" in complaint


def test_cutting_again_gives_the_same(clip: Path) -> None:
    """Killed right after, or in the middle of putting the end in place, the next start does it again."""
    first = cut_sealed(clip)
    once = clip.read_bytes()
    assert first == cut_sealed(clip)
    with clip.open("ab") as file:
        file.truncate(len(once) - 10)
    assert first == cut_sealed(clip)
    assert once == clip.read_bytes()


def test_cut_at_random_bytes(clip: Path) -> None:
    """Wherever the file ends: all up to the last sync before it, and never less than a sync interval."""
    chance = random.Random(3)  # noqa: S311 - a test, not a key
    marks = noted(clip)
    data = clip.read_bytes()
    ends = {0, 1, len(data), *(note.sound + d for note in marks for d in (-1, 0, 1))}
    ends |= {chance.randrange(len(data)) for _ in range(20)}
    for end in sorted(ends):
        clip.write_bytes(data[:end])
        sound = [note for note in marks if note.sound <= end]
        found = cut_sealed(clip)
        if not sound:
            assert found is None
            continue
        assert found is not None
        assert (sound[-1].end, sound[-1].bytes) == (found.duration, found.plain.bytes)
        assert found.plain == hashed(age(clip), found.plain)
        assert round(sound[-1].end * 10) == plays(clip)


def test_the_note_cut_at_random_bytes(clip: Path) -> None:
    """A torn note costs the syncs that it lost, no more."""
    chance = random.Random(4)  # noqa: S311 - the same
    path = part.part_path(clip)
    sealed, data = clip.read_bytes(), path.read_bytes()
    for _ in range(20):
        path.write_bytes(data[: chance.randrange(len(data))])
        left = noted(clip)
        clip.write_bytes(sealed)
        found = cut_sealed(clip)
        assert (left[-1].end if left else None) == (found.duration if found else None)


def test_blocks_of_zeros_are_not_taken_for_sealed_data(clip: Path) -> None:
    """A file system may keep the length and lose the data: cut to the last sync before the hole."""
    marks = noted(clip)
    hole = (marks[1].sound + marks[2].sound) // 2
    with clip.open("r+b") as file:
        file.seek(hole)
        file.write(bytes(4096))
    found = cut_sealed(clip)
    assert found is not None
    assert marks[1].end == found.duration
    assert round(marks[1].end * 10) == plays(clip)


def test_a_finished_clip_is_left_as_it_is(tmp_path: Path) -> None:
    """Killed between the end of the file and its row: nothing is cut, and nothing is called truncated."""
    clip = tmp_path / NAME
    footage = long_footage(5)
    writer = ClipWriter(clip, footage.info, 2.0, open_sink=lambda path: SealingSink(path, SEALED_TO))
    for packet in footage.packets:
        writer.packet(packet)
    written = writer.close()
    found = cut_sealed(clip)
    assert found is not None
    assert (written.file.sha256, written.plain, False) == (found.sha256, found.plain, found.truncated)
    assert written.duration == pytest.approx(found.duration)


@pytest.mark.parametrize("note", [None, b"", b"rubbish"])
def test_nothing_synced_is_nothing(clip: Path, note: bytes | None) -> None:
    """Without a note nobody can say that any of it is sound."""
    path = part.part_path(clip)
    path.unlink()
    if note is not None:
        path.write_bytes(note)
    assert cut_sealed(clip) is None


def test_an_unsealed_clip_needs_no_note(tmp_path: Path) -> None:
    """It is read itself; stretches and whole are hashed the same way."""
    clip = tmp_path / "01KAMZ7A0000000000000000AA.mp4"
    writer = ClipWriter(clip, long_footage(5).info, 2.0)
    for packet in long_footage(5).packets:
        writer.packet(packet)
    written = writer.close()
    found = cut_plain(clip)
    assert found is not None
    assert (written.plain, written.file.sha256) == (found.plain, found.sha256)
    clip.write_bytes(b"rubbish")
    assert cut_plain(clip) is None
