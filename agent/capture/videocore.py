"""Whether this board has the H.264 encoder of a Raspberry Pi's VideoCore. It loads no codec.

Zero 2 W, 3 and 4 have it as a V4L2 memory-to-memory device; the 5 has none.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

DEVICE = Path("/dev/video11")  # Picamera2 opens this very one

# linux/videodev2.h
VIDIOC_QUERYCAP = 0x80685600
VIDIOC_ENUM_FMT = 0xC0405602
CAPABILITY = struct.Struct("16s32s32sIII12x")  # driver, card, bus, version, capabilities, device_caps
FORMAT = struct.Struct("III32s4sI12x")  # index, type, flags, description, pixelformat, mbus_code
M2M_MPLANE = 0x4000
CAPTURE_MPLANE = 9
H264 = b"H264"

WITHOUT = ("Pi 5", "Module 5")  # 5, 500 and Compute Module 5: the BCM2712 encodes no H.264


def probe(device: Path = DEVICE, ioctl: Callable[..., object] = fcntl.ioctl) -> bool:
    """Whether the device is an encoder that gives H.264."""
    try:
        fd = os.open(device, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError as error:
        log.warning("%s: cannot be opened (%s); hardware encoding is left out", device, error.strerror)
        return False
    try:
        answer = bytearray(CAPABILITY.size)
        ioctl(fd, VIDIOC_QUERYCAP, answer)
        if not CAPABILITY.unpack(answer)[5] & M2M_MPLANE:
            return False
        # What comes out of an encoder is compressed; a decoder of the same driver gives raw pictures there.
        answer = bytearray(FORMAT.pack(0, CAPTURE_MPLANE, 0, b"", b"", 0))
        ioctl(fd, VIDIOC_ENUM_FMT, answer)
        return bool(FORMAT.unpack(answer)[4] == H264)
    except OSError:
        return False  # no V4L2 device, or one without such formats
    finally:
        os.close(fd)


def expected(root: Path = Path("/")) -> bool:
    """Whether this is a Raspberry Pi of a model that has such an encoder: each before the 5."""
    try:
        model = (root / "proc/device-tree/model").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return model.startswith("Raspberry Pi") and not any(name in model for name in WITHOUT)
