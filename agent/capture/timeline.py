"""Where a packet lies in time: repairs what containers and cameras leave out or get wrong.

Invariants: dts rises strictly, pts is never before dts, a duration is at least one tick, and `t` never
falls behind what `t` was before a re-anchoring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fractions import Fraction

BACKWARD_S = 0.25  # a larger step back is a clock that was set anew, a smaller one a wrong stamp
FORWARD_S = 10.0  # a live stream's stamps that run ahead of the wall by more were set anew
DRIFT_S = 1.0  # stamps and arrival may differ by this: network buffers hold less
LATE_S = 3.0  # packets late for this long are a slow camera clock; late for less, they were held up


class Stamps(NamedTuple):
    """In ticks of the stream's time base."""

    pts: int
    dts: int
    duration: int


class Timeline:
    """One stream's packets in order of arrival, on one rising line.

    `t` is `origin` plus the time since the first picture. With arrival times (`now`, a live source) the
    first packet's arrival is the origin; the line is laid anew where the stamps leave the arrival.
    """

    def __init__(
        self,
        time_base: Fraction,
        frame_s: float,
        *,
        origin: float = 0.0,
        reordered: bool = False,
        floor: float = float("-inf"),
    ) -> None:
        self._time_base = time_base
        self._frame = max(1, round(frame_s / time_base))
        self._origin = origin
        # Two B-frames in a row are usual: the first dts lies that far before its pts.
        self._delay = 2 * self._frame if reordered else 0
        self._floor = floor
        self._shift = 0
        self._last: Stamps | None = None
        self._arrived = 0.0
        self._late_since: float | None = None
        self._rejoin = False
        self.zero = 0
        """pts of the first picture."""
        self.end = 0
        """pts at which the last picture so far ends."""
        self.newest = floor
        """The highest `t` of a packet so far."""

    def t(self, pts: int) -> float:
        """Seconds on the source's line."""
        return max(self._floor, self._origin + self._s(pts - self.zero))

    @property
    def seconds(self) -> float:
        """From the first picture to the end of the last."""
        return self._s(self.end - self.zero)

    def rejoin(self) -> None:
        """What comes next begins where this ends, whatever its stamps say: a file that is played again."""
        self._rejoin = True

    def place(
        self, pts: int | None, dts: int | None, duration: int | None, now: float | None = None
    ) -> Stamps:
        """The packet's stamps as they are used from here on; `now` is its arrival, for a live source."""
        step = duration if duration and duration > 0 else self._frame
        last = self._last
        stamps = self._first(pts, dts, step, now) if last is None else self._next(last, pts, dts, step, now)
        self._last = stamps
        self.end = max(self.end, stamps.pts + stamps.duration)
        if now is not None:
            self._follow(stamps, now)
            self._arrived = now
        self.newest = max(self.newest, self.t(stamps.pts))
        return stamps

    def _s(self, ticks: int) -> float:
        # Whole numbers first: a float of the time base would make 2.9 s of 29 tenths fall beside 2.9.
        return ticks * self._time_base.numerator / self._time_base.denominator

    def _first(self, pts: int | None, dts: int | None, step: int, now: float | None) -> Stamps:
        if dts is None:
            dts = 0 if pts is None else pts - self._delay
        stamps = Stamps(dts if pts is None else max(pts, dts), dts, step)
        self.zero = stamps.pts
        self.end = stamps.pts
        if now is not None:
            self._origin = now
        return stamps

    def _next(self, last: Stamps, pts: int | None, dts: int | None, step: int, now: float | None) -> Stamps:
        if pts is None and dts is None:
            dts = last.dts + last.duration - self._shift
        if self._rejoin or (dts is not None and self._jumped(dts + self._shift - last.dts, now)):
            first = pts if pts is not None else dts
            self._shift = self.end - (first or 0)
            self._rejoin = False
        if dts is not None:
            dts += self._shift
        pts = dts if pts is None else pts + self._shift
        if dts is None:
            dts = min(pts or 0, last.dts + last.duration)
        dts = max(dts, last.dts + 1)
        return Stamps(max(pts or 0, dts), dts, step)

    def _jumped(self, ticks: int, now: float | None) -> bool:
        seconds = self._s(ticks)
        return seconds < -BACKWARD_S or (now is not None and seconds - (now - self._arrived) > FORWARD_S)

    def _follow(self, stamps: Stamps, now: float) -> None:
        """Lay the line anew when the stamps left the arrival by more than DRIFT_S."""
        lateness = now - (self._origin + self._s(stamps.dts - self.zero))
        if lateness <= DRIFT_S:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = now
        early = lateness < -DRIFT_S
        if early or (self._late_since is not None and now - self._late_since >= LATE_S):
            self._floor = max(self._floor, self.newest)
            self._origin += lateness
            self._late_since = None
