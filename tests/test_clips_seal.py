"""Sealed clips: what lies on the disk opens for the city at every sync, and for nobody else ever."""

from __future__ import annotations

import hashlib
import itertools
import tracemalloc
from typing import TYPE_CHECKING

import pyrage
import pytest
from clips_footage import decoded, encoded, ffprobe, hashed, long_footage, small_disk
from clips_keys import CITY, ESCROW, KEY_IDS, SEALED_TO, STRANGER, age
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clips import part
from agent.clips.agefile import CHUNK
from agent.clips.boxes import whole_fragments
from agent.clips.fmp4 import filling
from agent.clips.fragment import Progress
from agent.clips.seal import Recipients, SealingSink
from agent.clips.sink import Stored
from agent.clips.writer import ClipWriter
from agent.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from clips_footage import Footage

    from agent.clips.writer import Written

NAME = "01KAMZ7A0000000000000000AA.mp4.age"
OPEN_FOOTAGE = (b"ftypiso", b"moof", b"mdat", b"avcC", b"\x00\x00\x00\x01\x67")


def progress(data: bytes) -> Progress:
    return Progress("h264", 64, 48, len(data), 1.0, ())


def whole(path: Path) -> bytes:
    """The file as its last note makes it."""
    with part.part_path(path).open("rb") as file:
        *_, note = part.notes(file)
    return path.read_bytes()[: note.sound] + note.tail


def record(path: Path, footage: Footage, sync_s: float = 2.0) -> Written:
    writer = ClipWriter(path, footage.info, sync_s, open_sink=lambda p: SealingSink(p, SEALED_TO))
    for packet in footage.packets:
        writer.packet(packet)
    return writer.close()


def test_age_opens_a_clip_and_it_plays(tmp_path: Path) -> None:
    """Debian's `age` and either key; ffprobe has nothing to warn of; every picture is the camera's."""
    path = tmp_path / NAME
    footage = long_footage(10)
    written = record(path, footage)
    data = path.read_bytes()
    assert Stored(len(data), hashlib.sha256(data).hexdigest(), KEY_IDS) == written.file
    opened = tmp_path / "clip.mp4"
    for identity in (CITY, ESCROW):
        opened.write_bytes(age(path, identity))
        assert written.plain == hashed(opened.read_bytes(), written.plain)
    assert "100" == ffprobe(opened)["nb_read_frames"]
    assert footage.pictures() == decoded(opened)
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(data, [STRANGER])


def test_the_disk_shows_nothing_at_any_time(tmp_path: Path) -> None:
    """After each packet neither the clip nor its note holds what a video begins with, or any of its bytes."""
    path = tmp_path / NAME
    footage = encoded()
    writer = ClipWriter(path, footage.info, 1.0, open_sink=lambda p: SealingSink(p, SEALED_TO))
    for packet in footage.packets:
        writer.packet(packet)
        on_disk = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert [] == [mark for mark in OPEN_FOOTAGE if mark in on_disk]
        if packet.keyframe:
            assert packet.data[-64:] not in on_disk
    writer.close()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.integers(1, 3 * CHUNK), st.sampled_from([1, CHUNK - 1, CHUNK, CHUNK + 1]), st.just("sync")
        ),
        max_size=12,
    )
)
def test_every_sync_leaves_a_whole_file(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int | str]
) -> None:
    """Whatever is written between two syncs: clip and note together open to all of it, filling included."""
    path = tmp_path_factory.mktemp("clip") / NAME
    sink = SealingSink(path, SEALED_TO)
    data = b""
    for number, step in enumerate([*steps, "sync", "finish"]):
        if isinstance(step, int):
            more = bytes([number + 1]) * step
        else:
            missing = sink.missing()
            assert missing <= CHUNK
            more = filling(missing) if missing else b""
        sink.write(more)
        data += more
        if step == "sync":
            sink.sync(progress(data))
            assert data == pyrage.decrypt(whole(path), [CITY])
    stored = sink.finish(progress(data))
    sink.close()
    assert data == pyrage.decrypt(path.read_bytes(), [ESCROW])
    assert path.read_bytes() == whole(path)
    assert stored.bytes == path.stat().st_size


def test_syncing_twice_costs_nothing(tmp_path: Path) -> None:
    """With nothing new there is nothing to fill, and the end stays the same."""
    sink = SealingSink(tmp_path / NAME, SEALED_TO)
    sink.write(b"x" * 100)
    sink.sync(progress(b""))
    first = whole(tmp_path / NAME)
    assert 0 == sink.missing()
    sink.sync(progress(b""))
    assert first == whole(tmp_path / NAME)
    sink.close()


def test_a_slow_stream_is_filled_up_and_plays(tmp_path: Path) -> None:
    """Syncs within one chunk fill it: the clip grows, every player passes over it, nothing else changes."""
    path = tmp_path / NAME
    footage = encoded(pictures=60, width=64)
    written = record(path, footage, sync_s=0.5)
    opened = tmp_path / "clip.mp4"
    opened.write_bytes(age(path))
    assert opened.read_bytes().count(b"free") >= 4
    assert footage.pictures() == decoded(opened)
    assert "60" == ffprobe(opened)["nb_read_frames"]
    with opened.open("rb") as file:
        extent = whole_fragments(file)
    assert (6, pytest.approx(6.0)) == (extent.fragments, extent.duration)
    assert written.plain.bytes == sum(piece.bytes for piece in written.plain.fragments)


def test_memory_is_bounded(tmp_path: Path) -> None:
    """64 MiB go through with less than a MiB held."""
    sink = SealingSink(tmp_path / NAME, SEALED_TO)
    block = bytes(1 << 18)
    sink.write(block)
    tracemalloc.start()
    try:
        for _ in range(256):
            sink.write(block)
            sink.sync(progress(b""))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        sink.close()
    assert peak < 1 << 20


def test_a_full_disk_is_told_and_what_was_synced_stays(tmp_path: Path) -> None:
    """ENOSPC in the middle of a chunk: the clip is still good up to its last sync."""
    with small_disk(tmp_path / "disk", 512) as disk:
        path = disk / NAME
        sink = SealingSink(path, SEALED_TO)
        sink.write(b"a" * 100_000)
        sink.sync(progress(b""))

        def fill() -> None:
            for _ in itertools.count():
                sink.write(b"b" * 100_000)

        with pytest.raises(StorageError, match=r"mp4\.age: cannot be written.*free space"):
            fill()
        sink.close()
        assert b"a" * 100_000 == pyrage.decrypt(whole(path), [CITY])


def test_a_taken_name_is_refused(tmp_path: Path) -> None:
    """Neither a clip nor a note is ever written over."""
    path = tmp_path / NAME
    path.write_bytes(b"evidence")
    with pytest.raises(StorageError, match=r"mp4\.age: cannot be created"):
        SealingSink(path, SEALED_TO)
    with pytest.raises(StorageError, match=r"\.part: cannot be created"):
        SealingSink(path, SEALED_TO)
    assert b"evidence" == path.read_bytes()


def test_a_failed_close_lets_go_of_both(tmp_path: Path) -> None:
    """The second close tells; no descriptor is left behind by it."""
    sink = SealingSink(tmp_path / NAME, SEALED_TO)
    sink.close()
    with pytest.raises(StorageError, match="closed"):
        sink.close()


def test_recipients_are_named_by_their_ids() -> None:
    """In the order of the configuration; a wrong one is refused."""
    assert (KEY_IDS, 2) == (SEALED_TO.ids, len(SEALED_TO.keys))
    with pytest.raises(ValueError, match="age recipient"):
        Recipients.of(["age1nobody"])
