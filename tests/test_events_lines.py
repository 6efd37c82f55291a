"""agent.events.lines: who crossed, which way, and who did not."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config_rules import Line
from agent.events.lines import CLEAR, Crossing, LineKeeper
from agent.types import Box, Track

if TYPE_CHECKING:
    from collections.abc import Iterable

STAIRS = Line(name="stairs", start=(0.2, 0.5), end=(0.8, 0.5), left="up", right="down")
DOOR = Line(name="door", start=(0.5, 0.9), end=(0.5, 0.1), left="out", right="in")


def at(
    x: float,
    y: float,
    number: int = 1,
    *,
    person: bool = True,
    seen: bool = True,
    zones: tuple[str, ...] = (),
) -> Track:
    """A track whose foot is at (x, y)."""
    return Track(number, Box(x - 0.05, y - 0.3, 0.1, 0.3), 0.8, person=person, seen=seen, zones=zones)


def crossings(keeper: LineKeeper, tracks: Iterable[Track]) -> list[Crossing]:
    return [crossing for track in tracks for crossing in keeper.step([track])]


@pytest.mark.parametrize(("ys", "way"), [((0.7, 0.3), "up"), ((0.3, 0.7), "down")])
def test_a_crossing_has_the_name_of_its_way(ys: tuple[float, float], way: str) -> None:
    """Looking along the line, to the right is `right` and to the left is `left`."""
    found = crossings(LineKeeper([STAIRS]), (at(0.5, y) for y in ys))

    assert [Crossing(1, "stairs", way)] == found


def test_a_line_turned_round_swaps_its_sides() -> None:
    """`left` and `right` follow the direction in which the line is drawn."""
    turned = STAIRS.model_copy(update={"start": STAIRS.end, "end": STAIRS.start})

    assert ["down"] == [found.dir for found in crossings(LineKeeper([turned]), (at(0.5, 0.7), at(0.5, 0.3)))]


def test_who_waits_on_the_line_crosses_it_once() -> None:
    """Feet that tremble about the line count when they stand clear of it on the other side."""
    ys = [0.7, *[0.5 + 0.9 * CLEAR * (-1) ** i for i in range(20)], 0.3]

    assert ["up"] == [found.dir for found in crossings(LineKeeper([STAIRS]), (at(0.5, y) for y in ys))]


def test_who_turns_back_on_the_line_does_not_cross() -> None:
    """To stand on the line and go back is no crossing."""
    assert [] == crossings(LineKeeper([STAIRS]), (at(0.5, y) for y in (0.7, 0.5, 0.49, 0.7)))


def test_round_the_end_is_no_crossing() -> None:
    """The line ends where it is drawn to end."""
    walk = [(0.5, 0.7), (0.9, 0.7), (0.9, 0.3), (0.5, 0.3)]

    assert [] == crossings(LineKeeper([STAIRS]), (at(x, y) for x, y in walk))


def test_back_and_forth_is_two_crossings() -> None:
    """Each way counts."""
    found = crossings(LineKeeper([STAIRS]), (at(0.5, y) for y in (0.7, 0.3, 0.7)))

    assert ["up", "down"] == [crossing.dir for crossing in found]


def test_a_coasting_box_crosses_nothing() -> None:
    """Only what is seen counts; who is seen again on the other side has crossed."""
    keeper = LineKeeper([STAIRS])

    assert [] == crossings(keeper, [at(0.5, 0.7), at(0.5, 0.3, seen=False)])
    assert ["up"] == [crossing.dir for crossing in crossings(keeper, [at(0.5, 0.3)])]


def test_who_is_known_late_has_crossed_all_the_same() -> None:
    """A track that crosses before it is a person is told once it is one; who never is, never."""
    keeper = LineKeeper([STAIRS])
    doubtful = [at(0.5, 0.7, person=False), at(0.5, 0.3, person=False)]

    assert [] == crossings(keeper, doubtful)
    assert [Crossing(1, "stairs", "up")] == crossings(keeper, [at(0.5, 0.3), at(0.5, 0.29)])


def test_a_line_may_be_for_a_zone() -> None:
    """Only who is in one of its zones crosses it."""
    keeper = LineKeeper([STAIRS.model_copy(update={"zones": ("landing", "steps")})])
    outside = crossings(keeper, [at(0.5, 0.7), at(0.5, 0.3)])
    inside = crossings(keeper, [at(0.5, 0.3, zones=("steps",)), at(0.5, 0.7, zones=("steps",))])

    assert ([], ["down"]) == (outside, [crossing.dir for crossing in inside])


def test_lines_and_persons_are_told_apart() -> None:
    """Two persons over two lines are four crossings at most, each with its own names."""
    keeper = LineKeeper([STAIRS, DOOR])
    keeper.step([at(0.45, 0.7, 1), at(0.55, 0.3, 2)])
    found = keeper.step([at(0.55, 0.3, 1), at(0.45, 0.7, 2)])

    assert (
        Crossing(1, "stairs", "up"),
        Crossing(1, "door", "in"),
        Crossing(2, "stairs", "down"),
        Crossing(2, "door", "out"),
    ) == found


def test_a_track_that_is_gone_is_forgotten() -> None:
    """Who appears on the other side under the same number did not cross."""
    keeper = LineKeeper([STAIRS])
    keeper.step([at(0.5, 0.7)])
    keeper.step([])

    assert () == keeper.step([at(0.5, 0.3)])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=40))
def test_ways_alternate(walk: list[tuple[float, float]]) -> None:
    """Across a line that spans the picture nobody goes up twice without coming down."""
    whole = STAIRS.model_copy(update={"start": (-1.0, 0.5), "end": (2.0, 0.5)})
    ways = [found.dir for found in crossings(LineKeeper([whole]), (at(x, y) for x, y in walk))]

    assert all(a != b for a, b in pairwise(ways))
