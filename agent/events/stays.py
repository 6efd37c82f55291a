"""Stays: for how long each person has been here, through losses and new track ids. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.types import Box, Track

LOSS_S = 15.0  # who was out of sight or out of the zone for less is still here: a turn behind the lift shaft
REACH = 3.0  # boxes between where one track ended and the next began: a few steps behind a pillar
TINY = 1e-4  # of the picture: no box is smaller


@dataclass(slots=True)
class _Stay:
    """One person's; `began` is the time of this track's first look, `since` of the first of all."""

    began: float
    first: Box
    since: float
    last: float
    box: Box


class Stays:
    """Measures stays."""

    def __init__(self, dwell_s: float) -> None:
        self._dwell_s = dwell_s
        self._stays: dict[int, _Stay] = {}

    def step(self, here: Sequence[Track], alive: set[int], t: float) -> list[Track]:
        """The persons among the tracks `here` who have stayed long enough, at `t` seconds.

        `alive` are the ids of all tracks there are: one that is gone hands its stay to the one that began
        near it afterwards.
        """
        seen = [track for track in here if track.person and track.seen]
        for track in seen:
            stay = self._stays.setdefault(track.id, _Stay(t, track.box, t, t, track.box))
            stay.last, stay.box = t, track.box
        self._hand_over(alive)
        self._stays = {number: stay for number, stay in self._stays.items() if t - stay.last <= LOSS_S}
        return [track for track in seen if t - self._stays[track.id].since >= self._dwell_s]

    def _hand_over(self, alive: set[int]) -> None:
        pairs = [
            (far, number, heir)
            for number, lost in self._stays.items()
            if number not in alive
            for heir, stay in self._stays.items()
            if heir in alive and stay.began >= lost.last and (far := _distance(lost.box, stay.first)) <= REACH
        ]
        for _, number, heir in sorted(pairs):
            if number in self._stays and self._stays[heir].since == self._stays[heir].began:
                self._stays[heir].since = self._stays.pop(number).since


def _distance(a: Box, b: Box) -> float:
    """Between the centres, in boxes."""
    dx = (a.x + a.w / 2 - b.x - b.w / 2) / max((a.w + b.w) / 2, TINY)
    dy = (a.y + a.h / 2 - b.y - b.h / 2) / max((a.h + b.h) / 2, TINY)
    return hypot(dx, dy)
