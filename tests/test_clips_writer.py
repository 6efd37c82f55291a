"""A clip's writer on a real disk."""

from __future__ import annotations

import gc
import hashlib
import weakref
from typing import TYPE_CHECKING

import pytest
from clips_footage import Footage, decoded, encoded, ffmpeg_plays, hashed, long_footage, small_disk

from agent.clips.boxes import whole_fragments
from agent.clips.sink import FileSink, Stored
from agent.clips.writer import ClipWriter, Written
from agent.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


class Diary(FileSink):
    """A file that notes how much of it was on disk at each sync."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path
        self.synced: list[int] = []

    def flush(self) -> None:
        """Sync and note."""
        super().flush()
        self.synced.append(self.path.stat().st_size)


def write(path: Path, footage: Footage, sync_s: float = 2.0) -> Written:
    writer = ClipWriter(path, footage.info, sync_s)
    for packet in footage.packets:
        writer.packet(packet)
    return writer.close()


def test_tells_what_it_wrote(tmp_path: Path) -> None:
    """Bytes, hash, length and times are those of the file; the file plays."""
    path = tmp_path / "clip.mp4"
    footage = long_footage(10)
    written = write(path, footage)
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    pieces = written.plain.fragments
    assert [float(second) for second in range(10)] == [piece.t for piece in pieces]
    plain = hashed(data, written.plain)
    assert Written(Stored(len(data), sha256), plain, pytest.approx(10.0), 0.0, 9.9) == written
    assert footage.pictures() == decoded(path)
    ffmpeg_plays(path)


def test_a_writer_goes_with_its_last_reference(tmp_path: Path) -> None:
    """No cycle keeps the last pictures and the hashes of a clip until the garbage collector finds them."""
    footage = long_footage(10)
    gc.disable()
    try:
        writer = ClipWriter(tmp_path / "clip.mp4", footage.info, 2.0)
        for packet in footage.packets:
            writer.packet(packet)
        writer.close()
        gone = weakref.ref(writer)
        del writer
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("gop", [10, 200])
@pytest.mark.parametrize(("sync_s", "loss"), [(2.0, 2.0), (3.5, 3.0), (0.1, 1.0), (60.0, 20.0)])
def test_never_has_more_at_stake_than_agreed(tmp_path: Path, gop: int, sync_s: float, loss: float) -> None:
    """Between two syncs lie at most `sync_s` seconds of pictures, or one fragment, however long the GOP."""
    diaries: list[Diary] = []

    def open_sink(path: Path) -> Diary:
        diaries.append(Diary(path))
        return diaries[0]

    footage = long_footage(20) if gop == 10 else encoded(pictures=200, gop=gop, b_frames=0)
    path = tmp_path / "clip.mp4"
    writer = ClipWriter(path, footage.info, sync_s, open_sink=open_sink)
    at_stake = []
    for index, packet in enumerate(footage.packets, start=1):
        writer.packet(packet)
        synced = diaries[0].synced[-1] if diaries[0].synced else 0
        safe = whole_fragments_up_to(path, synced)
        at_stake.append(index / 10 - safe)
    writer.close()
    assert loss >= max(at_stake) - 0.11
    assert path.stat().st_size == diaries[0].synced[-1]


def whole_fragments_up_to(path: Path, size: int) -> float:
    """Seconds that play in the first `size` bytes."""
    cut = path.with_suffix(".cut")
    cut.write_bytes(path.read_bytes()[:size])
    with cut.open("rb") as file:
        return whole_fragments(file).duration


def test_an_abandoned_clip_plays_as_far_as_it_went(tmp_path: Path) -> None:
    """Every whole GOP written so far is in the file, and nothing else is needed to play it."""
    path = tmp_path / "clip.mp4"
    footage = encoded()
    writer = ClipWriter(path, footage.info, 2.0)
    for packet in footage.packets[:35]:
        writer.packet(packet)
    writer.abandon()
    assert footage.pictures()[:30] == decoded(path)


def test_a_full_disk_is_an_error_and_the_file_stays(tmp_path: Path) -> None:
    """ENOSPC while recording: told with path and remedy, and what was written before still plays."""
    footage = long_footage(60)

    def fill(writer: ClipWriter) -> None:
        for packet in footage.packets:
            writer.packet(packet)

    with small_disk(tmp_path / "disk", 128) as place:
        path = place / "clip.mp4"
        writer = ClipWriter(path, footage.info, 2.0)
        with pytest.raises(StorageError, match=r"clip\.mp4: cannot be written.*free space"):
            fill(writer)
        writer.abandon()
        with path.open("rb") as file:
            extent = whole_fragments(file)
        assert extent.fragments >= 1
        assert extent.fragments * 10 == len(decoded(path.read_bytes()[: extent.bytes]))


def test_abandoning_twice_is_well(tmp_path: Path) -> None:
    """The error that led to it was told; letting go adds none."""
    writer = ClipWriter(tmp_path / "clip.mp4", encoded().info, 2.0)
    writer.abandon()
    writer.abandon()


def test_a_clip_without_pictures_cannot_be_finished(tmp_path: Path) -> None:
    """An empty file is never called a clip."""
    writer = ClipWriter(tmp_path / "clip.mp4", encoded().info, 2.0)
    with pytest.raises(ValueError, match="without pictures"):
        writer.close()
    writer.abandon()
