"""How long to wait before a source that gives nothing is tried again."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.config import Capture


class Backoff:
    """Full jitter between the shortest wait and one that doubles with each try (AWS, 2015)."""

    def __init__(self, settings: Capture, random: Random | None = None) -> None:
        self._shortest = settings.reconnect_min_s
        self._longest = max(settings.reconnect_min_s, settings.reconnect_max_s)
        self._random = random or Random()  # noqa: S311 - spreads reconnects, guards nothing
        self.tries = 0
        """Waits since the last success."""

    def next_s(self) -> float:
        """Seconds to wait now."""
        self.tries += 1
        doubled = self._shortest * 2.0 ** min(self.tries - 1, 30)
        return self._random.uniform(self._shortest, min(self._longest, doubled))

    def succeeded(self) -> None:
        """Begin anew with the shortest wait."""
        self.tries = 0
