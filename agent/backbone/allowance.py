"""How often something may be done: so many at once, and so many in a time. Pure."""

from __future__ import annotations


class Allowance:
    """`burst` at once, `per_s` afterwards; times are seconds of any monotonic clock."""

    def __init__(self, burst: float, per_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left = burst
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Whether it may be done once more now; if so it counts."""
        if self._at is not None:
            self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
