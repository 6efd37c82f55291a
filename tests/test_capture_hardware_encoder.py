"""The board's own encoder: probing, and its packets."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

import pytest

from agent.capture.hardware_encoder import HardwareStream, InFlight, probe
from agent.types import Packet, StreamInfo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = b"\0\0\0\1"
SPS, PPS, IDR, SLICE = b"\x67\x42\x80\x1e", b"\x68\xce", b"\x65\x88", b"\x41\x9a"


def device(capabilities: int, pixels: bytes) -> Callable[[int, int, bytearray], None]:
    """An ioctl that answers as linux/videodev2.h lays it out."""

    def ioctl(_fd: int, request: int, answer: bytearray) -> None:
        # _IOC: direction in the top bits, size of the structure in 14 bits below.
        assert len(answer) == request >> 16 & 0x3FFF
        if request & 0xFF == 0:
            struct.pack_into(
                "16s32s32sIII", answer, 0, b"bcm2835-codec", b"bcm2835-codec-encode", b"", 6, 0, capabilities
            )
            return
        index, kind = struct.unpack_from("II", answer)
        assert (0, 9) == (index, kind)
        struct.pack_into("4s", answer, 44, pixels)

    return ioctl


@pytest.fixture
def node(tmp_path: Path) -> Path:
    path = tmp_path / "video11"
    path.touch()
    return path


def test_an_encoder_is_known_by_what_it_gives(node: Path) -> None:
    """Memory to memory, and H.264 comes out. A decoder of the same driver gives pictures."""
    assert probe(node, device(0x4000, b"H264"))
    assert not probe(node, device(0x4000, b"YU12"))


def test_other_devices(node: Path) -> None:
    """A webcam that compresses is no encoder; a device that knows none of the questions neither."""
    assert not probe(node, device(0x1, b"H264"))

    def refuses(*_: object) -> None:
        raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")

    assert not probe(node, refuses)


def test_no_device(tmp_path: Path) -> None:
    """A Raspberry Pi 5, or no Raspberry Pi."""
    assert not probe(tmp_path / "video11")


def test_a_file_in_its_place(node: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The kernel's own answer is no; what may not be opened is said."""
    assert not probe(node)
    assert not probe(node.parent)
    assert "cannot be opened (Is a directory)" in caplog.text


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
