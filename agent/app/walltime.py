"""Notices that the wall clock was set: what a birth said of the time is then no longer true."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from agent.device.savedtime import SavedTime

if TYPE_CHECKING:
    from pathlib import Path

    from agent.device.clock import Clock, Stamp

STEP_S = 2.0  # NTP slews what is less than half a second; more than that between two looks was a step
TRUSTED = ("rtc", "ntp")


class WallTime:
    """Compares each look with the one before it, and keeps the time in `state`. One thread drives it."""

    def __init__(self, clock: Clock, state: Path) -> None:
        self._clock = clock
        self._saved = SavedTime(state)
        self._before = clock.stamp()

    def changed(self) -> bool:
        """Whether the clock was set, came to be trusted, or stepped, since the last look."""
        before, now = self._before, self._clock.stamp()
        self._before = now
        self._saved.keep(now)
        if now.ts is not None and (before.ts is None or (now.clk in TRUSTED and before.clk not in TRUSTED)):
            return True
        ahead, ahead_before = _ahead(now), _ahead(before)
        return None not in (ahead, ahead_before) and abs((ahead or 0.0) - (ahead_before or 0.0)) > STEP_S

    def end(self) -> None:
        """The agent stops: keep the time once more."""
        self._saved.keep(self._clock.stamp(), at_once=True)


def _ahead(stamp: Stamp) -> float | None:
    """Seconds between the boot and the epoch, by this stamp."""
    return None if stamp.ts is None else datetime.fromisoformat(stamp.ts).timestamp() - stamp.mono
