"""The packets of the board's own encoder."""

from __future__ import annotations

from agent.capture.hardware_encoder import HardwareStream, InFlight
from agent.types import Packet, StreamInfo

START = b"\0\0\0\1"
SPS, PPS, IDR, SLICE = b"\x67\x42\x80\x1e", b"\x68\xce", b"\x65\x88", b"\x41\x9a"


def test_what_is_in_flight() -> None:
    """A packet finds the time of its picture; one that was skipped inside is forgotten with the next."""
    inside = InFlight()
    for number in range(4):
        inside.add(number * 100, number / 10)
    assert 0.0 == inside.take(0)
    assert 0.2 == inside.take(200)
    assert 1 == len(inside)
    assert inside.take(250) is None
    assert 0.3 == inside.take(300)


def test_nothing_before_the_first_key_frame_with_headers() -> None:
    """A decoder could not use it."""
    stream = HardwareStream(640, 480, 10)
    assert [] == list(stream.feed(START + SLICE, 1.0, keyframe=False))
    assert [] == list(stream.feed(START + IDR, 1.1, keyframe=True))
    info, packet = stream.feed(START + SPS + START + PPS + START + IDR, 1.2, keyframe=True)
    assert isinstance(info, StreamInfo)
    assert isinstance(packet, Packet)
    assert (640, 480, START + SPS + START + PPS) == (info.width, info.height, info.extradata)
    assert (108_000, 108_000, 9000, True, 1.2) == (
        packet.pts,
        packet.dts,
        packet.duration,
        packet.keyframe,
        packet.t,
    )


def test_repeated_headers_are_no_new_stream() -> None:
    """Only other ones are; and two pictures of one tick are a tick apart."""
    stream = HardwareStream(640, 480, 10)
    group = START + SPS + START + PPS + START + IDR
    assert 2 == len(list(stream.feed(group, 1.0, keyframe=True)))
    (packet,) = stream.feed(group, 1.0, keyframe=True)
    assert 90_001 == packet.dts
    other = START + SPS + b"\1" + START + PPS + START + IDR
    assert [StreamInfo, Packet] == [type(item) for item in stream.feed(other, 2.0, keyframe=True)]
