"""What comes out of the H.264 encoder in a Raspberry Pi's VideoCore (`agent.capture.videocore`)."""

from __future__ import annotations

import threading
from fractions import Fraction
from typing import TYPE_CHECKING

from agent.capture.encoder import TICKS
from agent.capture.h264 import ParameterSets
from agent.types import Packet, StreamInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

LATE_KEY = 1.25
"""Groups longer than this many times `capture.gop_s`, as in the dark, are cut by a forced key frame. Shorter
ones are not: the encoder counts pictures itself, and both together would give two key frames side by side."""


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
