"""What the board's green LED says during first boot: so many flashes, a pause, and again.

A kit without a screen has no other way to tell an installer that the cable is not in.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

import agent
from agent.device.led import LEDS, NAMES

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

ON_S, OFF_S, PAUSE_S = 0.2, 0.3, 1.5  # flashes are counted by eye from the foot of a ladder
STOP_S = 2.0
_HOLD = """
import sys
from pathlib import Path

library, leds, code = sys.argv[1:]
sys.path.insert(0, library)
from agent.device.lamp import Code, flash

flash(Path(leds), Code(int(code)))
"""


class Code(IntEnum):
    """How often it flashes."""

    WORKING = 1
    NETWORK = 2
    CLOCK = 3
    REFUSED = 4
    HARDWARE = 5


class Lamp:
    """The LED, ours while the `with` lasts; then it shows what it showed before. Without an LED: nothing."""

    def __init__(self, leds: Path = LEDS) -> None:
        self._led = next((leds / name for name in NAMES if (leds / name / "brightness").exists()), None)
        self._code = Code.WORKING
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._before = "none"

    @property
    def there(self) -> bool:
        """Whether there is an LED."""
        return self._led is not None

    def show(self, code: Code) -> None:
        """Flash this code from now on."""
        self._code = code

    def __enter__(self) -> Self:
        if self._led is not None:
            with suppress(OSError):  # a lamp that cannot be had must not keep a kit from its first boot
                found = re.search(r"\[(\S+)\]", (self._led / "trigger").read_text(encoding="ascii"))
                self._before = found[1] if found else "none"
                (self._led / "trigger").write_text("none", encoding="ascii")
            self._thread = threading.Thread(target=self._flash, args=(self._led,), name="lamp", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None and self._led is not None:
            self._thread.join(STOP_S)
            _set(self._led / "trigger", self._before)

    def _flash(self, led: Path) -> None:
        while not self._ended.is_set():
            for _ in range(self._code):
                _set(led / "brightness", "1")
                self._ended.wait(ON_S)
                _set(led / "brightness", "0")
                if self._ended.wait(OFF_S):
                    return
            self._ended.wait(PAUSE_S)


def hold(code: Code, leds: Path = LEDS) -> None:
    """Flash this code, where there is an LED, until the power goes or the service is stopped.

    Another program takes this process's place: flashing alone needs a seventh of first boot's memory, and
    the agent is at work beside it.
    """
    if Lamp(leds).there:
        words = ("-I", "-c", _HOLD, Path(agent.__file__).parents[1], leds, int(code))
        with suppress(OSError):  # what cannot be shown must not end first boot as a failure
            os.execv(sys.executable, [sys.executable, *map(str, words)])  # noqa: S606 # ourselves, no shell


def flash(leds: Path, code: Code) -> None:
    """Flash this code until SIGTERM comes."""
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # the lamp's thread has it blocked, too
    with Lamp(leds) as lamp:
        lamp.show(code)
        signal.sigwait(stops)


def _set(path: Path, value: str) -> None:
    with suppress(OSError):
        path.write_text(value, encoding="ascii")
