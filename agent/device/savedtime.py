"""The time that was last known for sure, kept over a power cut by a kit whose clock has no battery.

It is the modification time of an empty file, as systemd-timesyncd keeps its own: nothing to parse, and hardly
a write. Only what NTP said is kept: a wrong time from elsewhere would outlive its mistake.
"""

from __future__ import annotations

import logging
import os
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from agent.device.clock import Stamp, SystemClock

NAME = "clock"  # in state.dir
KEEP_S = 3600.0  # an hour behind is near enough for certificates; each time is one block of the card

_LOG = logging.getLogger(__name__)


class SavedTime:
    """The file in `directory`. One thread drives it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME
        self._next = float("-inf")

    def read(self) -> float | None:
        """Seconds since the epoch; None when nothing was kept yet, or the card does not say."""
        try:
            return self._path.stat().st_mtime
        except OSError:
            return None

    def keep(self, now: Stamp, *, at_once: bool = False) -> None:
        """Keep the time, if NTP vouches for it and the last one is an hour old, or `at_once`.

        A card that refuses has alarms of its own.
        """
        if now.clk != "ntp" or now.ts is None or not (at_once or now.mono >= self._next):
            return
        self._next = now.mono + KEEP_S
        seconds = datetime.fromisoformat(now.ts).timestamp()
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.utime(fd, (seconds, seconds))
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            _LOG.debug("%s: the time cannot be kept (%s)", self._path, error)


def recall(directory: Path, clock: SystemClock) -> None:
    """Let the clock know the time that was kept: a wall clock before it labels nothing until it is set.

    Setting it is left to the system's time daemon, which does so before the agent starts (systemd-timesyncd
    by a file of its own): whoever could write ours would else move the time of the whole machine.
    """
    saved = SavedTime(directory).read()
    if saved is None:
        return
    clock.remember(saved)
    if clock.stamp().ts is None:
        _LOG.warning(
            "the clock is behind the time that was last known for sure: nothing is dated until it is set"
        )
