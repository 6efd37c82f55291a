"""agent.events.usefulness: an hour of a view in figures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events.lines import Crossing
from agent.events.usefulness import CELLS, GAP_S, Figures, UsefulnessMeter
from agent.types import Box, EventChange, Motion, Phase, Scene, Track

if TYPE_CHECKING:
    from collections.abc import Iterable

STILL, MOVING = Motion(), Motion((Box(0, 0, 0.1, 0.1),))
LIT = Scene(90.0, 20.0, 5.0)
DARK, COVERED = replace(LIT, brightness=10.0, sharpness=0.5, dark=True), replace(LIT, covered=True)
BLINDED = replace(LIT, blinded=True)


def person(
    number: int = 1, x: float = 0.5, y: float = 0.9, *, known: bool = True, muted: bool = False
) -> Track:
    """Somebody whose foot is at (x, y)."""
    return Track(number, Box(x - 0.05, y - 0.2, 0.1, 0.2), 0.8, known, seen=True, muted=muted)


def begun(kind: str = "person", phase: Phase = Phase.NEW) -> EventChange:
    return EventChange(1, kind, phase, 1, 0.0, 0.0, None, 0.8, 0.8, 1, Box(0, 0, 1, 1))  # type: ignore[arg-type]


class Hour:
    """Seconds one after the other."""

    def __init__(self, t: float = 100.0) -> None:
        self.meter = UsefulnessMeter()
        self.t = t
        self.found: list[Figures] = []

    def go(
        self,
        seconds: int,
        motion: Motion = STILL,
        scene: Scene = LIT,
        tracks: Iterable[Track] = (),
    ) -> Hour:
        """A frame at each second, that shows this until the next."""
        for _ in range(seconds):
            figures = self.meter.step(self.t, motion, scene, tuple(tracks))
            self.found += [figures] if figures else []
            self.t += 1.0
        return self

    @property
    def figures(self) -> Figures:
        """Of the one hour that is full."""
        [figures] = self.found
        return figures


def test_an_hour_adds_up() -> None:
    """Each state for as long as it lasted, from the first frame to the one that fills the hour."""
    hour = Hour().go(600, MOVING).go(900, tracks=[person()]).go(300, scene=DARK).go(60, scene=COVERED)
    hour.go(30, scene=BLINDED).go(1711)
    found = hour.figures

    assert (100.0, 3700.0, 3600.0) == (found.started, found.ended, found.observed)
    assert (600.0, 900.0, 300.0, 90.0) == (found.motion, found.persons, found.dark, found.covered)


def test_each_hour_begins_anew() -> None:
    """What was counted is not counted again, and no second is lost between two hours."""
    first, second = Hour().go(3600, MOVING).go(3601).found

    assert (3600.0, 0.0) == (first.motion, second.motion)
    assert first.ended == second.started
    assert 3600.0 == second.observed


def test_a_pause_is_not_observed() -> None:
    """Time without pictures counts for nothing, whatever the last picture showed."""
    hour = Hour().go(1801, MOVING)
    hour.t += 5000.0
    hour.go(1801)
    found = hour.figures

    assert (1800.0, 3600.0) == (found.motion, found.observed)
    assert 3600.0 + 5001.0 == found.ended - found.started


def test_a_slow_camera_is_observed() -> None:
    """A picture each GAP_S seconds is enough."""
    meter = UsefulnessMeter()
    found = [meter.step(GAP_S * i, STILL, LIT, ()) for i in range(361)]

    assert [3600.0] == [figures.observed for figures in found if figures]


def test_time_that_goes_back_counts_once() -> None:
    """A looped file begins again: nothing is subtracted."""
    hour = Hour().go(1800, MOVING)
    hour.t = 100.0
    hour.go(3602)

    assert 3600.0 == hour.figures.observed


def test_visits_and_crossings_are_counted() -> None:
    """Person events that begin, and crossings by line and way; other kinds and steps are none."""
    meter = UsefulnessMeter()
    meter.step(0.0, STILL, LIT, (), [begun(), begun("loitering"), begun(phase=Phase.END)])
    meter.step(1.0, STILL, LIT, (), [begun()], [Crossing(1, "stairs", "up"), Crossing(2, "stairs", "down")])
    meter.step(2.0, STILL, LIT, (), (), [Crossing(1, "stairs", "up"), Crossing(1, "door", "in")])
    found = [figures for i in range(3, 3700) if (figures := meter.step(float(i), STILL, LIT, ()))]

    assert [2] == [figures.visits for figures in found]
    assert [{"stairs": {"up": 2, "down": 1}, "door": {"in": 1}}] == [figures.lines for figures in found]


def test_what_happens_in_the_frame_that_fills_an_hour_is_in_the_next() -> None:
    """A visit is in one hour, not in two and not in none."""
    hour = Hour().go(3600)
    first = hour.meter.step(hour.t, STILL, LIT, (), [begun()])
    hour.t += 1.0
    [second] = hour.go(3600).found

    assert first is not None
    assert (0, 1) == (first.visits, second.visits)


def test_muted_things_are_counted_once_each() -> None:
    """A coat that is muted for an hour is one thing, and no person."""
    coat, poster = person(1, known=False, muted=True), person(2, known=False, muted=True)
    found = Hour().go(100, tracks=[coat]).go(3501, tracks=[coat, poster]).figures

    assert (2, 0.0) == (found.muted, found.persons)


def test_the_grid_says_where_feet_are() -> None:
    """Share of the observed time; two persons in a cell are there once; feet outside count at the border."""
    near, far, edge = person(1, 0.1, 0.95), person(2, 0.9, 0.3), person(3, 1.2, 1.1)
    found = Hour().go(1800, tracks=[near, far, person(4, 0.11, 0.94)]).go(900, tracks=[edge]).go(901).figures
    busy = {
        (row, col): share for row, line in enumerate(found.grid) for col, share in enumerate(line) if share
    }

    assert {(7, 0): 0.5, (2, 7): 0.5, (7, 7): 0.25} == busy
    assert CELLS == len(found.grid) == len(found.grid[0])


def test_who_is_no_person_leaves_no_trace() -> None:
    """Doubtful tracks are not in the grid and take no time."""
    found = Hour().go(3601, tracks=[person(known=False)]).figures

    assert 0.0 == found.persons
    assert 0.0 == sum(map(sum, found.grid))


def test_percentiles_are_of_the_light() -> None:
    """By the nearest rank; sharpness only where there was light to see by."""
    hour = Hour()
    for i in range(100):
        hour.go(36, scene=Scene(float(i + 1), 20.0, (i + 1) / 10))
    found = hour.go(1).figures

    assert (5.0, 50.0, 95.0) == found.brightness
    assert (0.5, 5.0, 9.5) == found.sharpness


def test_a_night_without_light_has_no_sharpness() -> None:
    """What could not be measured is absent, not zero."""
    found = Hour().go(3601, scene=DARK).figures

    assert (None, (10.0, 10.0, 10.0)) == (found.sharpness, found.brightness)


def test_what_is_left_is_told_only_after_a_full_hour() -> None:
    """A short run has no figures; a long one ends with the rest of its last hour."""
    short, long = Hour().go(1800), Hour().go(3601).go(600, MOVING)

    assert None is short.meter.finish()
    rest = long.meter.finish()
    assert rest is not None
    assert (600.0, 599.0) == (rest.observed, rest.motion)
    assert None is long.meter.finish()
    assert None is UsefulnessMeter().finish()


steps = st.lists(
    st.tuples(
        st.floats(-5, 400),
        st.booleans(),
        st.sampled_from([LIT, DARK, COVERED, BLINDED]),
        st.lists(st.builds(person, st.integers(1, 4), st.floats(-1, 2), st.floats(-1, 2)), max_size=3),
    ),
    max_size=60,
)


@given(steps, st.floats(1, 100))
def test_any_story_gives_possible_figures(
    story: list[tuple[float, bool, Scene, list[Track]]], speed: float
) -> None:
    """No share above one, nothing longer than what was observed, hours that follow each other."""
    meter, t, found = UsefulnessMeter(), 0.0, []
    for _ in range(12):
        for step, moves, scene, tracks in story:
            t += step / speed
            figures = meter.step(t, MOVING if moves else STILL, scene, tracks)
            found += [figures] if figures else []
    rest = meter.finish()
    found += [rest] if rest else []

    last = 0.0
    for figures in found:
        assert last <= figures.started <= figures.ended
        assert figures.ended - figures.started >= figures.observed - 1e-6
        for part in (figures.motion, figures.persons, figures.dark, figures.covered):
            assert 0 <= part <= figures.observed + 1e-6
        assert all(0 <= share <= 1 + 1e-9 for row in figures.grid for share in row)
        assert figures.brightness == tuple(sorted(figures.brightness or ()))
        last = figures.ended


def test_figures_are_the_same_each_time() -> None:
    """A replay repeats itself."""
    assert pytest.approx(3600.0) == Hour().go(3601).figures.observed
    assert Hour().go(3601, MOVING).figures == Hour().go(3601, MOVING).figures
