"""Looking for open footage."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from capture_videos import ffmpeg
from clips_footage import SAMPLE, encoded

from agent.capture.snapshot import still
from agent.clips.fmp4 import FragmentMuxer
from agent.clips.scan import CHUNK, HEAD_MAX, Footage, scan_file
from agent.errors import StorageError
from agent.picture import Picture

if TYPE_CHECKING:
    from pathlib import Path


def scan(tmp_path: Path, data: bytes) -> Footage | None:
    path = tmp_path / "file"
    path.write_bytes(data)
    return scan_file(path, lambda _: None)


def written(tmp_path: Path, form: str) -> bytes:
    """The sample in another container, by ffmpeg."""
    path = tmp_path / f"out.{form}"
    ffmpeg("-i", SAMPLE, "-t", "1", "-an", "-c:v", "mpeg4", "-f", form, path)
    return path.read_bytes()


def snapshot() -> bytes:
    return still(Picture(np.random.default_rng(1).integers(0, 256, (90, 160)).astype(np.uint8)), 8000).jpeg


PLACES = [0, 1, HEAD_MAX - 3, CHUNK - 5, CHUNK, 2 * CHUNK - HEAD_MAX - 1, 2 * CHUNK + 100]


@pytest.mark.parametrize("place", PLACES)
def test_a_snapshot_anywhere(tmp_path: Path, place: int) -> None:
    """In the middle of a database, over the edge of what is read at once: it is found where it lies."""
    data = bytes(place) + snapshot() + bytes(1000)
    assert Footage("JPEG", place) == scan(tmp_path, data)


def test_what_begins_at_the_very_end(tmp_path: Path) -> None:
    """The last bytes of a file are judged as well."""
    data = bytes(CHUNK - 20) + b"\x89PNG\r\n\x1a\n"
    assert Footage("PNG", CHUNK - 20) == scan(tmp_path, data)


@pytest.mark.parametrize(
    ("form", "kind"),
    [("mp4", "MP4"), ("mov", "MP4"), ("matroska", "Matroska"), ("avi", "AVI"), ("mpegts", "MPEG-TS")],
)
def test_containers(tmp_path: Path, form: str, kind: str) -> None:
    """What libav writes is known by its head."""
    assert Footage(kind, 0) == scan(tmp_path, written(tmp_path, form))


def test_bare_h264(tmp_path: Path) -> None:
    """A stream without any container, as it comes from a camera."""
    packets = encoded(pictures=10).packets
    data = os.urandom(100) + b"".join(packet.data for packet in packets)
    assert Footage("H.264", 100) == scan(tmp_path, data)


def test_a_torn_clip_is_found_by_its_fragments(tmp_path: Path) -> None:
    """Without its beginning, one of our clips is known by the next fragment."""
    footage, out = encoded(pictures=30), bytearray()
    muxer = FragmentMuxer(footage.info, out.extend)
    for packet in footage.packets:
        muxer.packet(packet)
    muxer.close()
    found = scan(tmp_path, bytes(out[1000:]))
    assert found is not None
    assert found.offset <= len(out) // 2


def test_noise_is_no_footage(tmp_path: Path) -> None:
    """Sealed data looks like this: nothing is found in four megabytes of it, nor in zeros."""
    generator = np.random.default_rng(3)
    assert scan(tmp_path, generator.bytes(4 << 20)) is None
    assert scan(tmp_path, bytes(2 << 20)) is None
    assert scan(tmp_path, b"") is None


def test_near_misses_are_none(tmp_path: Path) -> None:
    """Words that happen to stand in a text are no heads."""
    for text in (
        b"the box ftypical",
        b"the RIFF and AVI LISTED",
        b"avcC",
        b"mvhd",
        b"mfhd",
        b"\xff\xd8\xff\x00",
    ):
        assert scan(tmp_path, b"some text " + text + b" and more text after it" * 20) is None


def test_progress_is_told(tmp_path: Path) -> None:
    """All bytes are accounted for."""
    path = tmp_path / "file"
    path.write_bytes(bytes(CHUNK + 10))
    told: list[int] = []
    scan_file(path, told.append)
    assert [CHUNK, 10] == told


def test_files_that_go_or_refuse(tmp_path: Path) -> None:
    """A file deleted meanwhile holds nothing; one that cannot be read is told."""
    assert scan_file(tmp_path / "gone", lambda _: None) is None
    with pytest.raises(StorageError, match="cannot be read"):
        scan_file(tmp_path, lambda _: None)
