"""Zones: which parts of the floor a person stands in, and what counts there. Pure.

A person is in a zone by the foot, the middle of the box's lower edge. A foot on the border is inside.
Entering and leaving take effect once every look has agreed for INERTIA_S, so that a box that trembles on a
border changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.types import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.config_rules import Zone
    from agent.types import Track

    Point = tuple[float, float]

INERTIA_S = 0.3  # three looks at ten a second (Frigate waits three frames too); a step across takes longer
ON_BORDER = 1e-9  # of the picture: a foot this near to an edge stands on it, rounding or not
COLUMNS, ROWS = 64, 36
"""Of the grid that motion is masked by: a cell is 1.6 % of the picture, less than a block of motion."""


def foot(box: Box) -> Point:
    """Where a person stands: the middle of the box's lower edge."""
    return box.x + box.w / 2, box.y2


def contains(polygon: Sequence[Point], point: Point) -> bool:
    """Whether `point` is in the polygon or on its border.

    Even-odd rule by casting a ray (Shimrat 1962, Algorithm 112): neither the winding nor the first corner
    matters, and where a polygon crosses itself, what is enclosed twice is outside.
    """
    inside = False
    for a, b in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        # From the upper to the lower end, whichever way it was drawn: both windings round alike.
        low, high = (a, b) if (a[1], a[0]) <= (b[1], b[0]) else (b, a)
        if _on_edge(low, high, point):
            return True
        if low[1] <= point[1] < high[1] and side(low, high, point) > 0:
            inside = not inside
    return inside


def side(a: Point, b: Point, point: Point) -> float:
    """Twice the area of the triangle: positive when `point` is to the right of who looks from a to b."""
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])


def _on_edge(a: Point, b: Point, point: Point) -> bool:
    dx, dy = b[0] - a[0], b[1] - a[1]
    squared = dx * dx + dy * dy
    along = 0.0 if squared == 0 else ((point[0] - a[0]) * dx + (point[1] - a[1]) * dy) / squared
    along = min(1.0, max(0.0, along))
    x, y = a[0] + along * dx - point[0], a[1] + along * dy - point[1]
    return x * x + y * y <= ON_BORDER * ON_BORDER


@dataclass(slots=True)
class _Presence:
    """Of one track in one zone."""

    inside: bool = False
    differs_from: float | None = None
    """Since when every look has said otherwise."""

    def look(self, t: float, *, inside: bool) -> None:
        if inside == self.inside:
            self.differs_from = None
        elif self.differs_from is None:
            self.differs_from = t
        elif t - self.differs_from >= INERTIA_S:
            self.inside, self.differs_from = inside, None


class ZoneKeeper:
    """Knows which zones each track is in."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        self._zones = zones
        self._tracks: dict[int, list[_Presence]] = {}
        self._exclude = {zone.name for zone in zones if zone.persons == "exclude"}
        self._include = {zone.name for zone in zones if zone.persons == "include"}

    def step(self, tracks: Sequence[Track], t: float) -> tuple[Track, ...]:
        """The tracks of the frame at `t` seconds with the names of their zones."""
        if not self._zones:
            return tuple(tracks)
        self._tracks = {
            track.id: self._tracks.get(track.id) or [_Presence() for _ in self._zones] for track in tracks
        }
        return tuple(replace(track, zones=self._names(track, t)) for track in tracks)

    def counts(self, track: Track) -> bool:
        """Whether this track may raise an event: in no excluded zone, and in an included one if any is."""
        names = set(track.zones)
        return not names & self._exclude and (not self._include or bool(names & self._include))

    def _names(self, track: Track, t: float) -> tuple[str, ...]:
        presences = self._tracks[track.id]
        if track.seen:
            point = foot(track.box)
            for zone, presence in zip(self._zones, presences, strict=True):
                fits = zone.min_height <= track.box.h <= zone.max_height
                presence.look(t, inside=fits and contains(zone.polygon, point))
        return tuple(
            zone.name for zone, presence in zip(self._zones, presences, strict=True) if presence.inside
        )


class MotionMask:
    """Takes motion away where it does not count; a region that reaches out of there is cut to the rest."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        exclude = [zone.polygon for zone in zones if zone.motion == "exclude"]
        include = [zone.polygon for zone in zones if zone.motion == "include"]
        self._open: list[list[bool]] | None = None
        """Row by row, whether motion counts in a cell; None when it counts everywhere."""
        if exclude or include:
            self._open = [
                [
                    _open(((col + 0.5) / COLUMNS, (row + 0.5) / ROWS), include, exclude)
                    for col in range(COLUMNS)
                ]
                for row in range(ROWS)
            ]

    def apply(self, regions: Sequence[Box]) -> tuple[Box, ...]:
        """What of the regions (fractions of the picture) counts."""
        if self._open is None:
            return tuple(regions)
        return tuple(rest for region in regions if (rest := self._rest(region, self._open)) is not None)

    @staticmethod
    def _rest(region: Box, cells: list[list[bool]]) -> Box | None:
        cols = range(_cell(region.x, COLUMNS), _cell(region.x2, COLUMNS, last=True) + 1)
        rows = range(_cell(region.y, ROWS), _cell(region.y2, ROWS, last=True) + 1)
        found = [(col, row) for row in rows for col in cols if cells[row][col]]
        if not found:
            return None
        x = max(region.x, min(col for col, _ in found) / COLUMNS)
        y = max(region.y, min(row for _, row in found) / ROWS)
        x2 = min(region.x2, (max(col for col, _ in found) + 1) / COLUMNS)
        y2 = min(region.y2, (max(row for _, row in found) + 1) / ROWS)
        return Box(x, y, x2 - x, y2 - y)


def _open(point: Point, include: list[tuple[Point, ...]], exclude: list[tuple[Point, ...]]) -> bool:
    if any(contains(polygon, point) for polygon in exclude):
        return False
    return not include or any(contains(polygon, point) for polygon in include)


def _cell(at: float, count: int, *, last: bool = False) -> int:
    """The cell of a coordinate; as the `last` of a region, the one before a border that it ends on."""
    cell = int(at * count)
    if last and cell == at * count:
        cell -= 1
    return min(count - 1, max(0, cell))
