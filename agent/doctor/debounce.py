"""Believes a change only once it has lasted: an alarm that flaps is read by nobody. Pure."""

from __future__ import annotations


class Debounce:
    """One yes or no. Times are seconds of any monotonic clock."""

    def __init__(self, raise_after_s: float, clear_after_s: float, *, active: bool = False) -> None:
        self._after = {True: raise_after_s, False: clear_after_s}
        self._since: float | None = None
        self.active = active
        """What is believed."""

    def judge(self, seen: bool | None, now: float) -> bool:  # noqa: FBT001 - it is the thing judged
        """What is believed after this was seen; None (it could not be told) changes nothing."""
        if seen is None:
            return self.active
        if seen == self.active:
            self._since = None
        elif self._since is None:
            self._since = now
        if self._since is not None and now - self._since >= self._after[seen]:
            self.active, self._since = seen, None
        return self.active
