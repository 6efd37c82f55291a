"""The H.264 encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from agent.capture.encoder import H264Encoder
from agent.picture import Picture

if TYPE_CHECKING:
    from agent.types import Packet, StreamInfo


def picture(n: int, width: int = 160, height: int = 120, *, grey: bool = False) -> Picture:
    y = np.full((height, width), 60, np.uint8)
    y[:, n * 8 % width :][:, :16] = 200
    if grey:
        return Picture(y)
    half = ((height + 1) // 2, (width + 1) // 2)
    return Picture(y, np.full(half, 100, np.uint8), np.full(half, 150, np.uint8))


def decode(info: StreamInfo, packets: list[Packet]) -> list[av.VideoFrame]:
    """The pictures that a decoder of its own makes of it."""
    context = av.CodecContext.create("h264", "r")
    context.extradata = info.extradata
    frames = []
    for packet in packets:
        raw = av.Packet(packet.data)
        raw.pts, raw.dts, raw.time_base = packet.pts, packet.dts, info.time_base
        frames += context.decode(raw)
    return frames + context.decode(None)


def test_one_picture_in_one_packet_out() -> None:
    """No delay: what was just seen can be in the clip that is just cut."""
    encoder = H264Encoder(160, 120, 10, 500, 1.0)
    assert [1] * 25 == [len(encoder.encode(picture(n), n / 10)) for n in range(25)]
    assert [] == encoder.flush()


def test_it_decodes_to_what_went_in() -> None:
    """Size, times and brightness survive; the parameter sets of StreamInfo are all a decoder needs."""
    encoder = H264Encoder(160, 120, 10, 500, 1.0)
    packets = [p for n in range(12) for p in encoder.encode(picture(n), n / 10)]
    frames = decode(encoder.info, packets)
    assert (12, 160, 120) == (len(frames), frames[0].width, frames[0].height)
    assert [n / 10 for n in range(12)] == [f.pts / 90_000 for f in frames]
    y = np.frombuffer(memoryview(frames[5].planes[0]), np.uint8).reshape(120, -1)[:, :160].astype(int)
    assert np.abs(y - picture(5).y).mean() < 3


def test_key_frames_come_each_second_of_time() -> None:
    """Also with uneven times, and after a pause at once."""
    encoder = H264Encoder(160, 120, 12.5, 500, 1.0)
    times = [n * 0.08 for n in range(50)] + [9.0, 9.5, 10.0, 10.1]
    keys = [p.t for n, t in enumerate(times) for p in encoder.encode(picture(n), t) if p.keyframe]
    assert [0, 1.04, 2.0, 3.04, 9.0, 10.0] == pytest.approx(keys)


def test_groups_are_as_long_as_configured() -> None:
    """A key frame each half second, or each two."""
    for gop_s, expected in ((0.5, [0, 0.5, 1.0, 1.5, 2.0]), (2.0, [0, 2.0])):
        encoder = H264Encoder(160, 120, 10, 500, gop_s)
        packets = [p for n in range(21) for p in encoder.encode(picture(n), n / 10)]
        assert expected == pytest.approx([p.t for p in packets if p.keyframe])


def test_dts_rises_whatever_the_times() -> None:
    """Two pictures of the same moment are a tick apart, for a file takes no two of one time."""
    encoder = H264Encoder(160, 120, 10, 500, 1.0)
    packets = [p for n, t in enumerate((5.0, 5.0, 5.0, 5.1)) for p in encoder.encode(picture(n), t)]
    assert [450_000, 450_001, 450_002, 459_000] == [p.dts for p in packets]
    assert [5.0, 5.0, 5.0, 5.1] == [p.t for p in packets]
    assert {9000} == {p.duration for p in packets}


def test_odd_sizes_are_cropped_and_grey_is_taken() -> None:
    """4:2:0 has no odd sizes; a grey picture has no colour."""
    encoder = H264Encoder(161, 121, 10, 500, 1.0)
    packets = encoder.encode(picture(0, 161, 121, grey=True), 0)
    frame = decode(encoder.info, packets)[0]
    assert (160, 120) == (encoder.info.width, encoder.info.height) == (frame.width, frame.height)
    u = np.frombuffer(memoryview(frame.planes[1]), np.uint8)
    assert abs(int(u[0]) - 128) <= 1


def test_the_bitrate_is_a_ceiling_and_stillness_costs_little() -> None:
    """Noise is held to the bitrate; a still picture uses a fraction of it."""
    random = np.random.default_rng(1)
    half = np.full((120, 160), 128, np.uint8)
    wild, still = H264Encoder(320, 240, 10, 300, 1.0), H264Encoder(320, 240, 10, 300, 1.0)
    calm = picture(3, 320, 240)
    loud = quiet = 0
    for n in range(40):
        noise = Picture(random.integers(16, 235, (240, 320), dtype=np.uint8), half, half)
        loud += sum(len(p.data) for p in wild.encode(noise, n / 10))
        quiet += sum(len(p.data) for p in still.encode(calm, n / 10))
    assert loud * 8 / 4 < 300_000 * 1.6
    assert quiet < loud / 20
