"""Which squares of a picture the detector looks at: known persons, motion, a slow scan; within a budget.

Pure: the same calls give the same squares. An empty scene without motion costs the scan only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.types import Box

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.config import DetectorSettings
    from agent.types import Track

SMALLEST = 240
"""Pixels. Persons of 40 to 80 pixels score 0.90 in a crop of 250, 0.81 in one of 300, 0.73 in one of 400; but
a smaller crop serves fewer of them, and 240 is blown up for the model already."""

MARGIN = 0.5
"""Of the longer side, on each side: motion shows legs or an arm, and the model wants surroundings."""

WIDE_MARGIN = 1.0
"""The same for every second look at motion in which nobody is known yet: in the dark only a hand may show."""

RECHECK_S = 1.0  # a person without motion is looked at this often: the tracker's lost_s is two of these
CONFIRM_S = (
    0.3  # the same for who was not found at the last look, and for a young track that is no person yet
)
CONFIRM_FOR_S = 2.0  # and then no more: a coat that the model half believes in must not eat the budget
BURST_S = 0.2  # of the budget, beside one look, may be spent at once: more would delay the frames behind
COVERED = 0.9  # of a box inside a square: the square serves it
TOUCHED = 0.15  # of a region inside a track's box, or the other way round: they are one thing
GROW = 1.5  # a square may become so much larger to serve two boxes, before two squares are better
OVERLAP = 0.15  # of a tile that two tiles of the scan share at least: a person on the seam is in one of them
SLOWEST_SCAN = 4  # times `scan_s`: the wait doubles up to this while nothing stirs and the scan finds nobody
MEMORY_S = 2.0  # a region that nobody looked at for so long has waited long enough to go first


@dataclass(frozen=True, slots=True)
class Square:
    """A square of the picture, in pixels."""

    x: int
    y: int
    side: int

    def inside(self, width: int, height: int) -> Square:
        """Shifted into the picture; where the picture is smaller it begins at the origin."""
        return Square(
            max(0, min(self.x, width - self.side)), max(0, min(self.y, height - self.side)), self.side
        )

    def box(self, width: int, height: int) -> Box:
        """What it shows, in fractions of the picture."""
        w, h = min(self.side, width - self.x), min(self.side, height - self.y)
        return Box(self.x / width, self.y / height, w / width, h / height)


@dataclass(slots=True)
class _Known:
    """What the planner remembers of a track."""

    since: float
    looked: float
    missed: bool = False
    """Whether the last look did not find it."""


class CropPlanner:
    """Plans the squares of each frame."""

    def __init__(self, settings: DetectorSettings) -> None:
        self._rate = settings.max_per_s
        self._scan_s = settings.scan_s
        self._most = 1.0 + settings.max_per_s * BURST_S
        self._tokens = self._most
        self._t = 0.0
        self._scan_from: float | None = None
        self._wait_s = settings.scan_s
        self._stirred = False
        self._tiles: list[Square] = []
        self._tracks: dict[int, _Known] = {}
        self._recent: list[tuple[float, Box]] = []
        self._wide = False

    def plan(
        self,
        t: float,
        regions: Sequence[Box],
        tracks: Sequence[Track],
        picture_size: tuple[int, int],
        *,
        stirred: bool = False,
    ) -> tuple[Square, ...]:
        """The squares for the frame at `t`, all inside the picture and none larger than its short side.

        `regions` are what moves, `tracks` what the tracker knew after the frame before; `picture_size` is
        (width, height) in pixels; `stirred` tells that something was there that made no region, be it the
        light. First comes the scan (two looks in `scan_s`, fewer while nothing stirs), then persons whom
        nobody has looked at for a while, then motion: what has waited longest, of that the largest.
        """
        width, height = picture_size
        self._tokens = min(self._most, self._tokens + max(0.0, t - self._t) * self._rate)
        self._meet(t, tracks)
        self._t = t
        if stirred or regions or tracks:
            self._stirred, self._wait_s = True, self._scan_s
        scan = self._scan(t, width, height)
        chosen: list[Square] = []
        self._wide = not self._wide
        for box in [*self._rechecks(t, tracks), *self._by_wait(t, _joined(regions, tracks))]:
            if any(_share(box, square.box(width, height)) >= COVERED for square in chosen):
                continue
            known = any(_share(track.box, box) >= COVERED for track in tracks)
            margin = MARGIN if known or not self._wide else WIDE_MARGIN
            for square in _around(box, margin, width, height):
                self._add(chosen, square, width, height)
        squares = (*scan, *chosen)
        self._note(t, [square.box(width, height) for square in squares], tracks)
        return squares

    def _meet(self, t: float, tracks: Sequence[Track]) -> None:
        self._tracks = {track.id: self._tracks.get(track.id) or _Known(t, t) for track in tracks}
        for track in tracks:
            known = self._tracks[track.id]
            if track.seen:
                known.missed = False
            elif known.looked == self._t:
                known.missed = True

    def _scan(self, t: float, width: int, height: int) -> tuple[Square, ...]:
        """The next tile of the scan, when one is due; a round takes one frame per tile."""
        if self._scan_from is None or t - self._scan_from >= self._wait_s:
            if self._scan_from is not None and not self._stirred:
                self._wait_s = min(2 * self._wait_s, SLOWEST_SCAN * self._scan_s)
            self._scan_from, self._stirred = t, False
            self._tiles = list(tiles(width, height))
        if not self._tiles or self._tokens < 1:
            return ()
        self._tokens -= 1
        return (self._tiles.pop(0).inside(width, height),)

    def _rechecks(self, t: float, tracks: Sequence[Track]) -> Iterator[Box]:
        """Tracks that need a look, the longest unseen first."""
        for track in sorted(tracks, key=lambda track: (self._tracks[track.id].looked, track.id)):
            known = self._tracks[track.id]
            wait = RECHECK_S if track.person and not known.missed else CONFIRM_S
            if t - known.looked >= wait and (track.person or t - known.since < CONFIRM_FOR_S):
                yield track.box

    def _by_wait(self, t: float, boxes: list[Box]) -> list[Box]:
        def looked(box: Box) -> float:
            times = [at for at, seen in self._recent if _share(box, seen) >= COVERED]
            return max(times, default=t - MEMORY_S)

        return sorted(boxes, key=lambda box: (looked(box), -box.area, box.y, box.x))

    def _add(self, chosen: list[Square], square: Square, width: int, height: int) -> None:
        """Serve it by a square that grows a little, or by one of its own when the budget allows."""
        for i, other in enumerate(chosen):
            both = _union(square, other)
            if both.side <= min(GROW * max(square.side, other.side), width, height):
                chosen[i] = both.inside(width, height)
                return
        if self._tokens >= 1:
            self._tokens -= 1
            chosen.append(square)

    def _note(self, t: float, looked: list[Box], tracks: Sequence[Track]) -> None:
        self._recent = [(at, box) for at, box in self._recent if t - at < MEMORY_S]
        self._recent += [(t, box) for box in looked]
        for track in tracks:
            if any(_share(track.box, box) >= COVERED for box in looked):
                self._tracks[track.id].looked = t


def tiles(width: int, height: int) -> tuple[Square, ...]:
    """Squares of the picture's short side that cover all of it."""
    side, long = min(width, height), max(width, height)
    count = 1 if side == long else max(2, math.ceil((long / side - OVERLAP) / (1 - OVERLAP)))
    starts = [round(i * (long - side) / max(1, count - 1)) for i in range(count)]
    return tuple(Square(at, 0, side) if width > height else Square(0, at, side) for at in starts)


def _around(box: Box, margin: float, width: int, height: int) -> tuple[Square, ...]:
    """The square round a box with its margin; for a box longer than the picture's short side, tiles."""
    w, h = box.w * width, box.h * height
    short = min(width, height)
    if max(w, h) > short:
        return tuple(tile for tile in tiles(width, height) if tile.box(width, height).intersection(box) > 0)
    side = min(short, max(SMALLEST, round(max(w, h) * (1 + 2 * margin))))
    x = round(box.x * width + w / 2 - side / 2)
    y = round(box.y * height + h / 2 - side / 2)
    return (Square(x, y, side).inside(width, height),)


def _union(a: Square, b: Square) -> Square:
    x, y = min(a.x, b.x), min(a.y, b.y)
    return Square(x, y, max(a.x + a.side - x, b.x + b.side - x, a.y + a.side - y, b.y + b.side - y))


def _joined(regions: Sequence[Box], tracks: Sequence[Track]) -> list[Box]:
    """Regions widened to the tracks that move in them: who waves an arm shall be in the crop whole."""
    boxes = []
    for region in regions:
        box = region
        for track in tracks:
            if max(_share(region, track.box), _share(track.box, region)) >= TOUCHED:
                x, y = min(box.x, track.box.x), min(box.y, track.box.y)
                box = Box(x, y, max(box.x2, track.box.x2) - x, max(box.y2, track.box.y2) - y)
        boxes.append(box)
    return boxes


def _share(box: Box, other: Box) -> float:
    """How much of `box` lies in `other`, 0..1."""
    return box.intersection(other) / box.area if box.area > 0 else 0.0
