"""Lines: who crossed them, and which way. Pure.

A foot counts as across once it stands clear of the line, so that who waits on it crosses it once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import dist
from typing import TYPE_CHECKING

from agent.events.zones import foot, side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.config_rules import Line
    from agent.types import Track

    Point = tuple[float, float]

CLEAR = (
    0.02  # of the picture, from the line: the lower edge of a standing person's box trembles by half of it
)


@dataclass(frozen=True, slots=True)
class Crossing:
    """A person went across a line; `dir` is the name of the way."""

    track: int
    line: str
    dir: str


@dataclass(slots=True)
class _Walker:
    """What is known of one track."""

    feet: dict[str, Point] = field(default_factory=dict)
    """Where the foot stood clear of each line last."""
    crossed: list[Crossing] = field(default_factory=list)
    """Not told yet: the track may be no person."""


class LineKeeper:
    """Watches feet cross lines."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._walkers: dict[int, _Walker] = {}

    def step(self, tracks: Sequence[Track]) -> tuple[Crossing, ...]:
        """The crossings that the tracks of this frame add, by track and in the order of the configuration.

        A track that crossed before it was known for a person is told as soon as it is.
        """
        self._walkers = {track.id: self._walkers.get(track.id) or _Walker() for track in tracks}
        told: list[Crossing] = []
        for track in tracks:
            if not track.seen:
                continue
            walker = self._walkers[track.id]
            walker.crossed += [
                Crossing(track.id, line.name, way)
                for line in self._lines
                if (way := _cross(walker, line, track))
            ]
            if track.person:
                told += walker.crossed
                walker.crossed = []
        return tuple(told)


def _cross(walker: _Walker, line: Line, track: Track) -> str | None:
    """The way in which the track has just crossed the line."""
    now = foot(track.box)
    where = side(line.start, line.end, now)
    if abs(where) < CLEAR * dist(line.start, line.end):
        return None
    before = walker.feet.get(line.name)
    walker.feet[line.name] = now
    if before is None or (side(line.start, line.end, before) > 0) == (where > 0):
        return None
    if side(before, now, line.start) * side(before, now, line.end) > 0:
        return None  # round its end
    if line.zones and not set(line.zones) & set(track.zones):
        return None
    return line.right if where > 0 else line.left
