"""A camera that stays dead although the agent starts anew: the kit reboots, each time after a longer wait.

What hangs in the kernel or in the camera's firmware ends with neither a reopening nor a new process
(picamera2#1090, #1275), and nobody comes by. What is kept in the state directory is since when in this boot
there was no picture, and how many reboots brought none; the first picture forgets both.
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
FIRST_S = 3600.0  # a new process, which mends more than a reopening, was tried several times by then
LONGEST_S = 86_400.0  # a cable stays broken until somebody comes: a boot a day costs the card nothing


class Blindness:
    """Counts, and asks for the reboot once in the life of this process. One thread drives it.

    `ask` raises StairwellError where nobody would hear.
    """

    def __init__(
        self, source: str, directory: Path, clock: Clock, ask: Callable[[], None] = reboot.request
    ) -> None:
        self._concerned = source_kind(source) in KINDS
        self._path = directory / NAME
        self._clock = clock
        self._ask = ask
        self._asked = False
        self._since, self._reboots = self._read()

    def look(self, *, pictures: bool, down: bool) -> None:
        """Judge: whether this process has `pictures`, and its source is said to be `down`."""
        if not self._concerned or self._asked:
            return
        now = self._clock.mono()
        if pictures and not down:
            self._forget()
        elif down and self._since is None:
            self._since = now
            self._keep()
        elif down and self._since is not None and now - self._since >= self.patience_s:
            self._reboot(now - self._since)

    @property
    def patience_s(self) -> float:
        """How long the camera may be dead in this boot."""
        return min(LONGEST_S, FIRST_S * 2.0 ** min(self._reboots, 10))

    def _reboot(self, dead_s: float) -> None:
        self._asked = True
        self._reboots += 1
        if not self._keep():  # uncounted, the kit would reboot each hour
            return
        log.error("no picture for %.0f s whatever was tried: the kit reboots", dead_s)
        try:
            self._ask()
        except StairwellError as error:
            log.error("%s", error)  # noqa: TRY400 - for people: a line, no traceback

    def _forget(self) -> None:
        if self._since is None and not self._reboots:
            return
        self._since, self._reboots = None, 0
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: cannot be removed (%s)", self._path, error)

    def _keep(self) -> bool:
        record = {"boot": self._clock.boot, "since": self._since, "reboots": self._reboots}
        try:
            write_whole(self._path, json.dumps(record).encode(), MODE)
        except OSError as error:
            log.warning("%s: cannot be kept (%s)", self._path, error)
            return False
        return True

    def _read(self) -> tuple[float | None, int]:
        """Since when in this boot, and reboots in vain; a file that means nothing counts for none."""
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return None, 0
        if not isinstance(found, dict):
            return None, 0
        since, reboots = found.get("since"), found.get("reboots")
        here = found.get("boot") == self._clock.boot and isinstance(since, float)
        return (since if here else None), reboots if isinstance(reboots, int) and reboots > 0 else 0
