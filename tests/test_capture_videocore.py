"""Which board has an encoder of its own."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

import pytest

from agent.capture.videocore import expected, probe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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


@pytest.mark.parametrize(
    ("model", "has"),
    [
        ("Raspberry Pi Zero 2 W Rev 1.0\0", True),
        ("Raspberry Pi 3 Model B Plus Rev 1.3\0", True),
        ("Raspberry Pi Compute Module 4 Rev 1.1\0", True),
        ("Raspberry Pi 5 Model B Rev 1.0\0", False),
        ("Raspberry Pi 500 Rev 1.0\0", False),
        ("Raspberry Pi Compute Module 5 Rev 1.0\0", False),
        ("Radxa ZERO 3\0", False),
        (None, False),
    ],
)
def test_models_with_an_encoder(tmp_path: Path, model: str | None, has: bool) -> None:
    """By what the firmware calls the board; a PC has no such name."""
    if model is not None:
        path = tmp_path / "proc" / "device-tree" / "model"
        path.parent.mkdir(parents=True)
        path.write_text(model)
    assert has == expected(tmp_path)
