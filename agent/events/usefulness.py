"""What a view is worth, hour by hour: how much of it was seen, and where people walk. Pure.

An hour is one of pictures: time without any is not observed, and counts for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.events.zones import foot
from agent.types import Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.events.lines import Crossing
    from agent.types import EventChange, Motion, Scene, Track

HOUR_S = 3600.0 - 0.5  # frames do not fall on a full hour; one of a file at 2 fps and more fills it
GAP_S = 10.0  # a longer pause between pictures was not observed: a camera that stalls is reopened after it
SAMPLE_S = 1.0  # between samples of the light: the scene is measured twice a second
CELLS = 8
"""Rows and columns of the grid: a cell of a stairwell is about as wide as a person."""
PERCENTILES = (5, 50, 95)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one hour, or what there was of it. In seconds; `started` and `ended` on the frames' time line."""

    started: float
    ended: float
    observed: float
    motion: float
    persons: float
    dark: float
    covered: float
    """With the lens covered or blinded."""
    visits: int
    muted: int
    """Things that were taken for a person, and muted."""
    sharpness: tuple[float, ...] | None
    """5th, 50th and 95th percentile, of the time in which it was not dark."""
    brightness: tuple[float, ...] | None
    grid: tuple[tuple[float, ...], ...]
    """Share of the observed time with a person's foot in each cell, 8 rows from the top."""
    lines: dict[str, dict[str, int]]
    """Crossings by line and way."""


@dataclass(slots=True)
class _Hour:
    started: float
    observed: float = 0.0
    motion: float = 0.0
    persons: float = 0.0
    dark: float = 0.0
    covered: float = 0.0
    visits: int = 0
    muted: set[int] = field(default_factory=set)
    sharpness: list[float] = field(default_factory=list)
    brightness: list[float] = field(default_factory=list)
    sampled: float | None = None
    grid: list[list[float]] = field(default_factory=lambda: [[0.0] * CELLS for _ in range(CELLS)])
    lines: dict[str, dict[str, int]] = field(default_factory=dict)

    def figures(self, ended: float) -> Figures:
        whole = max(self.observed, SAMPLE_S)
        return Figures(
            started=self.started,
            ended=ended,
            observed=self.observed,
            motion=self.motion,
            persons=self.persons,
            dark=self.dark,
            covered=self.covered,
            visits=self.visits,
            muted=len(self.muted),
            sharpness=_percentiles(self.sharpness),
            brightness=_percentiles(self.brightness),
            grid=tuple(tuple(seconds / whole for seconds in row) for row in self.grid),
            lines={line: dict(ways) for line, ways in self.lines.items()},
        )


class UsefulnessMeter:
    """Adds up one hour after the other. What a frame shows lasts until the next one."""

    def __init__(self) -> None:
        self._hour: _Hour | None = None
        self._t = 0.0
        self._shown: tuple[Motion, Scene, tuple[Track, ...]] | None = None
        self._hours = 0

    def step(
        self,
        t: float,
        motion: Motion,
        scene: Scene,
        tracks: Sequence[Track],
        changes: Sequence[EventChange] = (),
        crossings: Sequence[Crossing] = (),
    ) -> Figures | None:
        """Take the frame at `t` seconds; the figures of the hour that it fills."""
        if self._hour is None:
            self._hour, self._t = _Hour(t), t
        t = max(t, self._t)
        self._pass(self._hour, t - self._t)
        self._t, self._shown = t, (motion, scene, tuple(tracks))
        hour, full = self._hour, None
        if hour.observed >= HOUR_S:
            full, self._hour = hour.figures(t), _Hour(t)
            self._hours += 1
        self._note(self._hour, t, scene, tracks, changes, crossings)
        return full

    def finish(self) -> Figures | None:
        """What there was of the last hour, once one was full: a short run has no figures."""
        hour, self._hour = self._hour, None
        return hour.figures(self._t) if hour is not None and hour.observed and self._hours else None

    def _pass(self, hour: _Hour, seconds: float) -> None:
        """Let the last frame last."""
        if self._shown is None or seconds > GAP_S:
            return
        motion, scene, tracks = self._shown
        persons = [track for track in tracks if track.person]
        hour.observed += seconds
        hour.motion += seconds if motion.regions else 0.0
        hour.persons += seconds if persons else 0.0
        hour.dark += seconds if scene.dark else 0.0
        hour.covered += seconds if scene.covered or scene.blinded else 0.0
        for row, col in {_cell(track) for track in persons}:
            hour.grid[row][col] += seconds

    @staticmethod
    def _note(
        hour: _Hour,
        t: float,
        scene: Scene,
        tracks: Sequence[Track],
        changes: Sequence[EventChange],
        crossings: Sequence[Crossing],
    ) -> None:
        hour.visits += sum(change.kind == "person" and change.phase is Phase.NEW for change in changes)
        hour.muted |= {track.id for track in tracks if track.muted}
        for crossing in crossings:
            ways = hour.lines.setdefault(crossing.line, {})
            ways[crossing.dir] = ways.get(crossing.dir, 0) + 1
        if hour.sampled is None or t - hour.sampled >= SAMPLE_S:
            hour.sampled = t
            hour.brightness.append(scene.brightness)
            if not scene.dark:
                hour.sharpness.append(scene.sharpness)


def _cell(track: Track) -> tuple[int, int]:
    """Row and column of the foot."""
    x, y = foot(track.box)
    return _index(y), _index(x)


def _index(at: float) -> int:
    return min(CELLS - 1, max(0, int(at * CELLS)))


def _percentiles(values: list[float]) -> tuple[float, ...] | None:
    """By the nearest rank; None of nothing."""
    ranked = sorted(values)
    return tuple(ranked[-(-share * len(ranked) // 100) - 1] for share in PERCENTILES) if ranked else None
