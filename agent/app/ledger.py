"""What moved, and when: every stage stamps it, the supervisor and the heartbeat read it."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

LATENCIES = 256  # inferences behind p50 and p95: half a minute at full budget, a day in an empty stairwell


@dataclass(frozen=True, slots=True)
class Progress:
    """The counters at one moment. Times are seconds of the agent's clock, None before the first."""

    frames: int
    analysed: int
    skipped: int
    packets: int
    packets_dropped: int
    first_frame: float | None
    last_frame: float | None
    last_analysed: float | None
    last_motion: float | None
    last_packet: float | None
    inference_ms: tuple[float, float] | None
    """Median and 95th percentile of recent detector runs."""


@dataclass(slots=True)
class Ledger:
    """Counters shared by all threads."""

    frames: int = 0
    analysed: int = 0
    skipped: int = 0
    packets: int = 0
    packets_dropped: int = 0
    first_frame: float | None = None
    last_frame: float | None = None
    last_analysed: float | None = None
    last_motion: float | None = None
    last_packet: float | None = None
    _inference: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def frame(self, mono: float) -> None:
        """A picture came from the source."""
        with self._lock:
            self.frames += 1
            self.last_frame = mono
            if self.first_frame is None:
                self.first_frame = mono

    def packet(self, mono: float) -> None:
        """An encoded picture came from the source or the encoder."""
        with self._lock:
            self.packets += 1
            self.last_packet = mono

    def skip(self) -> None:
        """A picture was dropped because analysis was behind."""
        with self._lock:
            self.skipped += 1

    def drop_packet(self) -> None:
        """A picture is missing from the video because recording, or the encoder before it, was behind."""
        with self._lock:
            self.packets_dropped += 1

    def analyse(self, mono: float, inference_s: float | None, *, motion: bool = False) -> None:
        """A picture was analysed; `inference_s` when the detector ran, `motion`: something moved in it."""
        with self._lock:
            self.analysed += 1
            self.last_analysed = mono
            if motion:
                self.last_motion = mono
            if inference_s is not None:
                self._inference.append(1000 * inference_s)

    def read(self) -> Progress:
        """The counters now."""
        with self._lock:
            times = sorted(self._inference)
            quantiles = (times[len(times) // 2], times[len(times) * 95 // 100]) if times else None
            return Progress(
                self.frames,
                self.analysed,
                self.skipped,
                self.packets,
                self.packets_dropped,
                self.first_frame,
                self.last_frame,
                self.last_analysed,
                self.last_motion,
                self.last_packet,
                quantiles,
            )
