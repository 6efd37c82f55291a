"""When a picture was taken, on the agent's line, from the stamp that the sensor's driver gave it.

libcamera says CLOCK_BOOTTIME of `SensorTimestamp`; Linux's camera drivers stamp with CLOCK_MONOTONIC. Both
agree until the machine sleeps, and then differ by as much as it slept.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agent.device.clock import slept_s

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

OLDEST_S = 5.0  # a picture waits for four buffers at most, at 1 fps: an older stamp is of another clock
EARLY_S = 0.02  # two clocks are not read at the same instant
STEP_S = 1e-6  # the stamp's own resolution in the hardware encoder


class SensorClock:
    """Invariant: `t` rises strictly, whatever the stamps do."""

    def __init__(self, slept: Callable[[], float] = slept_s) -> None:
        self._slept = slept
        self._offset: float | None = None
        self._last = float("-inf")
        self.unstamped = 0
        """Pictures without a usable stamp: their arrival stands for it."""

    def place(self, stamp_ns: object, now: float) -> float:
        """`t` of a picture with this stamp that arrived `now` (s of the agent's line)."""
        t = self._taken(stamp_ns, now)
        self._last = max(t, self._last + STEP_S)
        return self._last

    def _taken(self, stamp_ns: object, now: float) -> float:
        if isinstance(stamp_ns, int) and stamp_ns > 0:
            stamp = stamp_ns / 1e9
            if self._offset is None or not _plausible(now - stamp - self._offset):
                self._offset = self._match(stamp, now)
            if self._offset is not None:
                return min(now, stamp + self._offset)
        self.unstamped += 1
        if self.unstamped == 1:
            log.warning("pictures carry no usable sensor time (%r): their arrival is taken", stamp_ns)
        return now

    def _match(self, stamp: float, now: float) -> float | None:
        """What brings the stamp's clock to the agent's: of both clocks, that which makes it newest."""
        ages = {offset: now - stamp - offset for offset in (self._slept(), 0.0)}
        fitting = [offset for offset, age in ages.items() if _plausible(age)]
        return min(fitting, key=lambda offset: abs(ages[offset]), default=None)


def _plausible(age: float) -> bool:
    return -EARLY_S <= age <= OLDEST_S
