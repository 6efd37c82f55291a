"""Parameter sets in H.264 streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
from capture_videos import ffmpeg, make

from agent.capture.h264 import ParameterSets

if TYPE_CHECKING:
    from pathlib import Path

SPS_A, SPS_B, PPS = b"\x67\x42\x00\x1e\xaa", b"\x67\x42\x00\x1f\xbb", b"\x68\xce\x3c\x80"
IDR = b"\x65\x88\x84\x21"
AVCC_A = b"\x01\x42\x00\x1e\xff\xe1\x00\x05" + SPS_A + b"\x01\x00\x04" + PPS
AVCC_B = b"\x01\x42\x00\x1f\xff\xe1\x00\x05" + SPS_B + b"\x01\x00\x04" + PPS


def annex_b(*units: bytes) -> bytes:
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def lengths(*units: bytes) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def test_repeated_sets_are_nothing_new() -> None:
    """Cameras send them with every key frame; a clip goes on."""
    sets = ParameterSets(annex_b(SPS_A, PPS))
    assert not sets.renew(annex_b(SPS_A, PPS, IDR))
    assert not sets.renew(annex_b(IDR))
    assert annex_b(SPS_A, PPS) == sets.extradata


def test_changed_sets_replace_the_old() -> None:
    """In annex B and in avcC, in the form the stream itself has."""
    sets = ParameterSets(annex_b(SPS_A, PPS))
    assert sets.renew(annex_b(b"\x09\xf0", SPS_B, PPS, IDR))
    assert annex_b(SPS_B, PPS) == sets.extradata
    packed = ParameterSets(AVCC_A)
    assert not packed.renew(lengths(SPS_A, PPS, IDR))
    assert packed.renew(lengths(SPS_B, PPS, IDR))
    assert AVCC_B == packed.extradata


def test_sets_behind_a_slice_are_left_to_the_next_packet() -> None:
    """Only what comes before the picture belongs to it."""
    assert not ParameterSets(annex_b(SPS_A, PPS)).renew(annex_b(IDR, SPS_B))


def test_a_stream_without_extradata_learns_it() -> None:
    """Some cameras describe themselves only in the stream."""
    sets = ParameterSets(b"")
    assert sets.renew(annex_b(SPS_A, PPS, IDR))
    assert annex_b(SPS_A, PPS) == sets.extradata


def test_broken_records_are_survived() -> None:
    """A record that ends early holds no sets, and raises nothing."""
    for cut in range(len(AVCC_A)):
        ParameterSets(AVCC_A[:cut]).renew(lengths(SPS_A, IDR)[: cut + 3])


def test_real_files_know_their_own_sets(tmp_path: Path) -> None:
    """Of a real encoder's file no packet brings news, in either form."""
    mp4 = make(tmp_path / "a.mp4")
    ffmpeg("-i", mp4, "-c", "copy", tmp_path / "a.ts")
    for path in (mp4, tmp_path / "a.ts"):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            sets = ParameterSets(stream.codec_context.extradata or b"")
            assert not any(sets.renew(bytes(p)) for p in container.demux(stream))
