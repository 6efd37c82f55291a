"""When what a recorded or drawn source yields is due."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from agent.device.clock import Clock

Pace = Literal["max", "real"]


class Pacer:
    """Holds a source back to real time, if that is asked for; ends every wait when it is closed."""

    def __init__(self, clock: Clock | None, pace: Pace) -> None:
        self._clock = clock
        self._real = pace == "real"
        self._closed = Event()

    @property
    def closed(self) -> bool:
        """Whether the source shall end."""
        return self._closed.is_set()

    def origin(self) -> float:
        """`t` of a first picture that comes now: 0 in a replay."""
        return self._clock.mono() if self._clock else 0.0

    def wait(self, t: float) -> bool:
        """Wait until `t`; False when the source was closed."""
        if self._clock and self._real:
            while not self.closed and (delay := t - self._clock.mono()) > 0:
                self._closed.wait(delay)
        return not self.closed

    def close(self) -> None:
        """End the source; safe from any thread."""
        self._closed.set()
