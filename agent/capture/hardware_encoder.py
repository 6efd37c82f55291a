"""The H.264 encoder in a Raspberry Pi's VideoCore: whether this board has it, and what comes out of it.

Zero 2 W, 3 and 4 have it as a V4L2 memory-to-memory device; the 5 has none.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import threading
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from agent.capture.encoder import TICKS
from agent.capture.h264 import ParameterSets
from agent.types import Packet, StreamInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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

LATE_KEY = 1.25
"""Groups longer than this many times `capture.gop_s`, as in the dark, are cut by a forced key frame. Shorter
ones are not: the encoder counts pictures itself, and both together would give two key frames side by side."""


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


class InFlight:
    """The pictures inside the encoder: their stamps in microseconds, and their `t`. For two threads."""

    def __init__(self) -> None:
        self._times: dict[int, float] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many pictures went in and did not come out."""
        with self._lock:
            return len(self._times)

    def add(self, stamp_us: int, t: float) -> None:
        """A picture goes in."""
        with self._lock:
            self._times[stamp_us] = t

    def take(self, stamp_us: int) -> float | None:
        """`t` of the picture that comes out (None: it never went in); what went in before it is gone."""
        with self._lock:
            t = self._times.pop(stamp_us, None)
            for older in [stamp for stamp in self._times if stamp < stamp_us]:
                del self._times[older]
            return t


class HardwareStream:
    """Packets as the encoder gives them (annex B, headers before each key frame) to StreamInfo and Packet."""

    def __init__(self, width: int, height: int, fps: float) -> None:
        self._size = (width, height)
        self._duration = max(1, round(TICKS / fps))
        self._sets = ParameterSets(b"")
        self._began = False
        self._last = -(1 << 62)

    def feed(self, data: bytes, t: float, *, keyframe: bool) -> Iterator[StreamInfo | Packet]:
        """What one packet gives; nothing before the first key frame with its headers."""
        if keyframe and self._sets.renew(data):
            self._began = True
            yield StreamInfo("h264", *self._size, Fraction(1, TICKS), self._sets.extradata)
        if not self._began:
            return
        self._last = pts = max(round(t * TICKS), self._last + 1)
        yield Packet(data, pts, pts, self._duration, keyframe, t)
