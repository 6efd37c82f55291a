"""A camera that stays dead although the agent starts anew: the kit reboots, each time after a longer wait.

What hangs in the kernel or in the camera's firmware ends with neither a reopening nor a new process
(picamera2#1090, #1275), and nobody comes by. What is kept in the state directory is how long in this boot the
source was tried in vain, and how many reboots brought no picture; the first picture forgets both.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from agent.capture.kind import source_kind
from agent.device import reboot
from agent.durable import write_whole
from agent.errors import StairwellError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.device.clock import Clock

log = logging.getLogger(__name__)

NAME = "blind"  # in state.dir
MODE = 0o640
KINDS = ("picamera", "v4l2")  # a network camera is another machine: this one's reboot does not reach it
INCURABLE = ("camera.driver",)  # software that is not there is not there after a reboot either
FIRST_S = 3600.0  # a new process, which mends more than a reopening, was tried several times by then
LONGEST_S = 86_400.0  # a cable stays broken until somebody comes: a boot a day costs the card nothing
KEEP_S = 300.0  # a process with a dead camera lives for ten minutes at least: half of its time is kept


class Blindness:
    """Counts, and asks for the reboot once in the life of this process. One thread drives it.

    `ask` raises StairwellError where nobody would hear.
    """

    def __init__(
        self, source: str, directory: Path, clock: Clock, ask: Callable[[], None] = reboot.request
    ) -> None:
        self._concerned = source_kind(source) in KINDS
        self._source = source
        self._path = directory / NAME
        self._clock = clock
        self._ask = ask
        self._asked = False
        self._dead_s, self._reboots = self._read()
        self._kept_s: float | None = None
        self._last: float | None = None
        self._down_at = float("-inf")

    def look(self, *, seen: float | None, down: str | None) -> None:
        """Judge: when this process had its last picture, and the alarm of a source that is down.

        Only time counts in which one look after the other finds it down: what nobody tried is no failure.
        """
        if not self._concerned:
            return
        now = self._clock.mono()
        if down is None or down in INCURABLE:
            self._last = None
            if down is None and seen is not None and seen > self._down_at:
                self._forget()
            return
        self._dead_s += 0.0 if self._last is None else now - self._last
        self._last = self._down_at = now
        if self._asked:
            return
        if self._dead_s >= self.patience_s:
            self._reboot()
        elif self._kept_s is None or self._dead_s - self._kept_s >= KEEP_S:
            self._keep()

    @property
    def patience_s(self) -> float:
        """How long the camera may be dead in this boot."""
        return min(LONGEST_S, FIRST_S * 2.0 ** min(self._reboots, 10))

    def _reboot(self) -> None:
        self._asked = True
        self._reboots += 1
        if not self._keep():  # uncounted, the kit would reboot each hour
            return
        log.error("no picture for %.0f s whatever was tried: the kit reboots", self._dead_s)
        try:
            self._ask()
        except StairwellError as error:
            log.error("%s", error)  # noqa: TRY400 - for people: a line, no traceback

    def _forget(self) -> None:
        if not self._dead_s and not self._reboots and self._kept_s is None:
            return
        self._dead_s, self._reboots, self._kept_s = 0.0, 0, None
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: cannot be removed (%s)", self._path, error)

    def _keep(self) -> bool:
        record = {
            "boot": self._clock.boot,
            "source": self._source,
            "dead_s": round(self._dead_s, 1),
            "reboots": self._reboots,
        }
        self._kept_s = self._dead_s
        try:
            write_whole(self._path, json.dumps(record).encode(), MODE)
        except OSError as error:
            log.warning("%s: cannot be kept (%s)", self._path, error)
            return False
        return True

    def _read(self) -> tuple[float, int]:
        """How long in this boot, and reboots in vain; none of what means nothing, nor of another source."""
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return 0.0, 0
        if not isinstance(found, dict) or found.get("source") != self._source:
            return 0.0, 0
        dead_s, reboots = found.get("dead_s"), found.get("reboots")
        here = found.get("boot") == self._clock.boot and isinstance(dead_s, int | float)
        return (
            max(0.0, dead_s) if here and dead_s else 0.0,
            reboots if isinstance(reboots, int) and reboots > 0 else 0,
        )
