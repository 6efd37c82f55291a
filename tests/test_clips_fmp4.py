"""The muxer, against real decoders."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import pytest
from clips_footage import SAMPLE, TICKS, Footage, decoded, encoded, ffmpeg_plays, ffprobe, from_mp4
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.clips.fmp4 import FragmentMuxer
from agent.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


def mux(footage: Footage) -> list[bytes]:
    """The fragments as they are handed on."""
    out: list[bytes] = []
    muxer = FragmentMuxer(footage.info, out.append)
    for packet in footage.packets:
        muxer.packet(packet)
    muxer.close()
    return out


def without_parameter_sets(footage: Footage) -> Footage:
    """As some cameras send it: SPS and PPS beside the stream, not in it."""
    code = b"\x00\x00\x00\x01"
    sets = b""
    packets = []
    for packet in footage.packets:
        units = re.split(rb"\x00?\x00\x00\x01", packet.data)[1:]
        aside = [u for u in units if u[0] & 0x1F in {7, 8}]
        sets = sets or b"".join(code + u for u in aside)
        packets.append(replace(packet, data=b"".join(code + u for u in units if u not in aside)))
    return Footage(replace(footage.info, extradata=sets), packets)


def test_copies_packets_of_an_mp4_file(tmp_path: Path) -> None:
    """Packets with lengths (avcC): every picture, unaltered, at its own time; ffmpeg is content too."""
    footage = from_mp4(SAMPLE)
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"".join(mux(footage)))
    assert footage.pictures() == decoded(clip)
    probe = ffprobe(clip)
    assert ("271", 27.1, 0.0) == (
        probe["nb_read_frames"],
        float(probe["duration"]),
        float(probe["start_time"]),
    )
    ffmpeg_plays(clip)


def test_copies_packets_of_an_encoder(tmp_path: Path) -> None:
    """Packets with start codes, parameter sets only in the key frames, B-frames: the same."""
    footage = encoded()
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"".join(mux(footage)))
    assert footage.pictures() == decoded(clip)
    probe = ffprobe(clip)
    assert ("60", 6.0, "avc1") == (
        probe["nb_read_frames"],
        float(probe["duration"]),
        probe["codec_tag_string"],
    )
    ffmpeg_plays(clip)


def test_copies_packets_whose_parameter_sets_are_beside_them() -> None:
    """Start codes with SPS and PPS in the extradata only, as RTSP cameras send them."""
    footage = without_parameter_sets(encoded())
    assert b"\x00\x00\x01\x67" not in footage.packets[0].data
    assert encoded().pictures() == decoded(b"".join(mux(footage)))


def test_rebases_a_clip_that_begins_late(tmp_path: Path) -> None:
    """A clip cut out of the middle starts at 0 and keeps every distance."""
    whole = encoded()
    footage = Footage(whole.info, whole.packets[20:])
    assert footage.packets[0].keyframe
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"".join(mux(footage)))
    assert [Fraction(i, 10) for i in range(40)] == [t for t, _ in decoded(clip)]
    assert 0.0 == float(ffprobe(clip)["start_time"])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.integers(1, 3 * TICKS), min_size=24, max_size=24), b_frames=st.sampled_from([0, 2]))
def test_keeps_uneven_times_exactly(steps: list[int], b_frames: int) -> None:
    """However uneven the times of the pictures (a frame rate that varies), each is shown at its own."""
    times = [sum(steps[:i]) for i in range(24)]
    footage = encoded(pictures=24, gop=8, b_frames=b_frames, times=tuple(times), width=160)
    assert [Fraction(t, TICKS) for t in times] == [t for t, _ in decoded(b"".join(mux(footage)))]


def test_hands_on_each_gop_as_soon_as_the_next_begins() -> None:
    """One fragment per GOP, complete, without waiting for anything else."""
    footage = encoded()
    out: list[bytes] = []
    muxer = FragmentMuxer(footage.info, out.append)
    counts = []
    for packet in footage.packets:
        muxer.packet(packet)
        counts.append(len(out))
    muxer.close()
    assert [i // 10 for i in range(60)] == counts
    assert 6 == len(out)
    assert b"ftyp" == out[0][4:8]
    assert [b"moof"] * 5 == [fragment[4:8] for fragment in out[1:]]


@pytest.mark.parametrize(("turn", "seen"), [(90, 90), (180, -180), (270, -90), (-90, -90), (0, 0)])
def test_keeps_the_rotation(turn: int, seen: int, tmp_path: Path) -> None:
    """A turned camera's picture stands upright in a player."""
    footage = encoded()
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"".join(mux(Footage(replace(footage.info, rotation=turn), footage.packets))))
    with av.open(str(clip)) as container:
        assert seen == next(container.decode(video=0)).rotation
    ffmpeg_plays(clip)


def test_cuts_a_long_gop_into_seconds() -> None:
    """A camera with a key frame every ten seconds still has a fragment a second, and all decode in order."""
    footage = encoded(gop=600)
    out = mux(footage)
    assert 1 == sum(p.keyframe for p in footage.packets)
    assert 6 == len(out)
    assert footage.pictures() == decoded(b"".join(out))


@pytest.mark.parametrize("base", [Fraction(1, 10), Fraction(1, 1000), Fraction(1001, 30_000)])
def test_keeps_the_time_base(base: Fraction, tmp_path: Path) -> None:
    """However coarse or odd the source's ticks are, no time is rounded."""
    whole = encoded(b_frames=0)
    packets = [replace(p, pts=i, dts=i, duration=1) for i, p in enumerate(whole.packets)]
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"".join(mux(Footage(replace(whole.info, time_base=base), packets))))
    assert [i * base for i in range(60)] == [t for t, _ in decoded(clip)]
    assert round(float(60 * base), 3) == round(float(ffprobe(clip)["duration"]), 3)


def test_takes_start_codes_of_either_length_and_padding() -> None:
    """Three bytes or four, zeros behind a unit, rubbish before the first code: the same pictures."""
    footage = encoded()
    short = [replace(p, data=p.data.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01")) for p in footage.packets]
    padded = [replace(p, data=p.data + b"\x00\x00\x00") for p in footage.packets]
    begun = [replace(p, data=b"\xab" + q.data) for p, q in zip(footage.packets, short, strict=True)]
    once = b"".join(mux(footage))
    for packets in (short, padded, begun):
        assert once == b"".join(mux(Footage(footage.info, packets)))


def test_leaves_out_what_shows_nothing() -> None:
    """A packet without any NAL unit is no picture; the one before lasts until the next."""
    footage = encoded(b_frames=0)
    empty = replace(footage.packets[15], data=b"\xff" * 9)
    out = b"".join(mux(Footage(footage.info, [*footage.packets[:15], empty, *footage.packets[16:]])))
    assert [Fraction(i, 10) for i in range(60) if i != 15] == [t for t, _ in decoded(out)]


@pytest.mark.parametrize("told", [0, -1, 1 << 40])
def test_the_last_picture_lasts_like_the_one_before(told: int, tmp_path: Path) -> None:
    """A source that knows no durations, or tells impossible ones, still gives a clip of the right length."""
    footage = encoded(durations=False)
    last = replace(footage.packets[-1], duration=told)
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"".join(mux(Footage(footage.info, [*footage.packets[:-1], last]))))
    assert 6.0 == float(ffprobe(clip)["duration"])


def test_refuses_what_is_not_h264() -> None:
    """Another codec is told with its remedy."""
    with pytest.raises(StorageError, match=r"hevc.*reencode"):
        FragmentMuxer(replace(encoded().info, codec="hevc"), lambda _: None)


def test_refuses_a_slanted_picture() -> None:
    """A matrix for 45 degrees is not written."""
    with pytest.raises(StorageError, match="45 degrees"):
        FragmentMuxer(replace(encoded().info, rotation=45), lambda _: None)


def test_refuses_to_begin_between_key_frames() -> None:
    """A clip that nothing can decode is a bug of the caller."""
    muxer = FragmentMuxer(encoded().info, lambda _: None)
    with pytest.raises(ValueError, match="key frame"):
        muxer.packet(encoded().packets[1])


def test_refuses_a_stream_without_parameter_sets() -> None:
    """Without SPS and PPS anywhere nothing could be decoded."""
    footage = without_parameter_sets(encoded())
    muxer = FragmentMuxer(encoded().info, lambda _: None)
    with pytest.raises(StorageError, match="parameter sets"):
        muxer.packet(footage.packets[0])


def test_refuses_to_begin_with_nothing() -> None:
    """A key frame that shows nothing is the source's fault, not the caller's: recording is tried again."""
    footage = encoded()
    muxer = FragmentMuxer(footage.info, lambda _: None)
    with pytest.raises(StorageError, match="without any NAL unit"):
        muxer.packet(replace(footage.packets[0], data=b""))


@pytest.mark.parametrize("size", [1, 5, 9, 20])
def test_refuses_an_avcc_that_is_cut_short(size: int) -> None:
    """A damaged file's header ends no thread."""
    footage = from_mp4(SAMPLE)
    with pytest.raises(StorageError, match=rf"avcC ends after {size} bytes.*reencode"):
        FragmentMuxer(replace(footage.info, extradata=footage.info.extradata[:size]), lambda _: None)


def test_refuses_time_stamps_that_go_back() -> None:
    """They are named, not smoothed over."""
    footage = encoded(b_frames=0)
    muxer = FragmentMuxer(footage.info, lambda _: None)
    muxer.packet(footage.packets[0])
    muxer.packet(footage.packets[2])
    with pytest.raises(StorageError, match=f"dts {footage.packets[1].dts}"):
        muxer.packet(footage.packets[1])


def test_refuses_a_picture_shown_before_it_is_decoded() -> None:
    """Nothing could play it."""
    footage = encoded(b_frames=0)
    muxer = FragmentMuxer(footage.info, lambda _: None)
    muxer.packet(footage.packets[0])
    with pytest.raises(StorageError, match=r"pts 1, dts 9000.*reencode"):
        muxer.packet(replace(footage.packets[1], pts=1, dts=9000))


def test_refuses_a_gap_that_no_fragment_can_hold() -> None:
    """A picture lasts 32 bits of ticks at most: thirteen hours here."""
    footage = encoded(b_frames=0)
    muxer = FragmentMuxer(footage.info, lambda _: None)
    muxer.packet(footage.packets[0])
    with pytest.raises(StorageError, match="reencode"):
        muxer.packet(replace(footage.packets[1], pts=1 << 33, dts=1 << 33))
