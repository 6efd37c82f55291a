"""agent.vision.crops: where the detector looks, and what it costs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import DetectorSettings
from agent.types import Box, Track
from agent.vision.crops import CONFIRM_FOR_S, SMALLEST, CropPlanner, Square, tiles

SIZE = (640, 480)
MAN = Box(0.4, 0.3, 0.1, 0.4)


def planner(max_per_s: float = 10.0, scan_s: float = 5.0) -> CropPlanner:
    return CropPlanner(DetectorSettings(max_per_s=max_per_s, scan_s=scan_s))


def past_the_scan(plan: CropPlanner) -> float:
    """Let the first scan pass; the time after it."""
    for i in range(5):
        plan.plan(i / 10, (), (), SIZE)
    return 0.5


def person(box: Box = MAN, number: int = 1, *, is_person: bool = True) -> Track:
    return Track(number, box, 0.8, is_person, seen=True)


def contains(square: Square, box: Box, size: tuple[int, int] = SIZE) -> bool:
    return square.box(*size).intersection(box) >= 0.99 * box.area


def test_an_empty_scene_costs_the_scan_only() -> None:
    """Two tiles a scan, one per frame, and together they show the whole picture; ever slower, to a fourth."""
    plan = planner()
    frames = [plan.plan(i / 10, (), (), SIZE) for i in range(800)]

    assert [0, 5, 15, 35, 55, 75] == [i // 10 for i, squares in enumerate(frames) if squares][::2]
    assert 1 == max(len(squares) for squares in frames)
    assert (Square(0, 0, 480), Square(160, 0, 480)) == frames[0] + frames[1]


@pytest.mark.parametrize("sign", ["light", "region", "track"])
def test_whatever_stirs_brings_the_scan_back(sign: str) -> None:
    """After a minute of nothing there is a scan at once, and the next five seconds later."""
    plan = planner()
    looks = []
    for i in range(750):
        now = i == 600
        regions = [MAN] if now and sign == "region" else []
        tracks = [person()] if now and sign == "track" else []
        squares = plan.plan(i / 10, regions, tracks, SIZE, stirred=now and sign == "light")
        looks += [i / 10] * any(square.side == 480 for square in squares)

    assert [35.0, 55.0, 60.0, 65.0] == [t for t in looks if t >= 35][::2][:4]


@pytest.mark.parametrize(
    ("size", "count"), [((640, 480), 2), ((480, 640), 2), ((1280, 720), 2), ((480, 480), 1), ((2000, 500), 5)]
)
def test_tiles_cover_the_picture(size: tuple[int, int], count: int) -> None:
    """Every pixel lies in a tile, none reaches out, and neighbours overlap."""
    cover = tiles(*size)
    long = max(size)

    assert count == len(cover)
    assert 0 == min(tile.x + tile.y for tile in cover)
    assert long == max(tile.x + tile.y + tile.side for tile in cover)
    assert all(tile == tile.inside(*size) for tile in cover)


def test_motion_is_looked_at_whole_with_a_margin() -> None:
    """The square holds the region with surroundings, and is never smaller than the model's input."""
    plan = planner()
    t = past_the_scan(plan)
    [large] = plan.plan(t, [Box(0.3, 0.2, 0.2, 0.55)], (), SIZE)
    [small] = plan.plan(t + 0.1, [Box(0.7, 0.7, 0.02, 0.02)], (), SIZE)

    assert contains(large, Box(0.3, 0.2, 0.2, 0.55))
    assert 1.4 * 0.55 * 480 < large.side <= 480
    assert SMALLEST == small.side
    assert contains(small, Box(0.7, 0.7, 0.02, 0.02))


def test_every_second_look_at_unknown_motion_is_wide() -> None:
    """In the dark a hand may be all that moves visibly: the model sees the person round it, too."""
    plan = planner(scan_s=1000.0)
    hand = Box(0.5, 0.5, 0.12, 0.12)
    plan.plan(0.0, (), (), (1920, 1080))
    plan.plan(1.0, (), (), (1920, 1080))
    sides = [plan.plan(2 + i / 10, [hand], (), (1920, 1080))[0].side for i in range(4)]
    known = [plan.plan(3 + i / 10, [hand], [person(hand)], (1920, 1080))[0].side for i in range(4)]

    assert sides[0] == sides[2] < sides[1] == sides[3] or sides[1] == sides[3] < sides[0] == sides[2]
    assert {min(sides)} == set(known)


def test_a_small_picture_bounds_the_square() -> None:
    """No square is larger than the picture's short side."""
    plan = planner()
    plan.plan(0.0, (), (), (320, 240))
    squares = plan.plan(0.1, [Box(0.5, 0.5, 0.1, 0.1)], (), (320, 240))

    assert {240} == {square.side for square in squares}


def test_a_wide_region_is_looked_at_in_tiles() -> None:
    """A region longer than the short side is seen whole, in two squares that keep its scale."""
    plan = planner()
    t = past_the_scan(plan)

    assert set(tiles(*SIZE)) == set(plan.plan(t, [Box(0.05, 0.5, 0.9, 0.2)], (), SIZE))


def test_one_square_serves_neighbours() -> None:
    """Legs and head of one person, or two who walk together, cost one look."""
    plan = planner()
    t = past_the_scan(plan)
    close = [Box(0.40, 0.3, 0.1, 0.2), Box(0.42, 0.55, 0.1, 0.2)]
    [square] = plan.plan(t, close, (), SIZE)
    apart = plan.plan(t + 0.1, [Box(0.02, 0.3, 0.1, 0.2), Box(0.85, 0.3, 0.1, 0.2)], (), SIZE)

    assert all(contains(square, box) for box in close)
    assert 2 == len(apart)


def test_a_region_at_a_person_shows_the_whole_person() -> None:
    """Who waves an arm is in the crop from head to foot."""
    plan = planner()
    t = past_the_scan(plan)
    tall = Box(0.3, 0.1, 0.15, 0.85)
    [square] = plan.plan(t, [Box(0.32, 0.3, 0.05, 0.05)], [person(tall)], SIZE)

    assert contains(square, tall)


def test_the_budget_holds() -> None:
    """However much moves, no more than the budget is spent: in a second, and at once."""
    plan = planner(max_per_s=4.0)
    regions = [Box(x / 10, y / 10, 0.02, 0.02) for x in (0, 4, 8) for y in (0, 4, 8)]
    spent = [len(plan.plan(i / 10, regions, (), (1920, 1080))) for i in range(100)]

    assert sum(spent) <= 4.0 * 10 + 2
    assert max(spent) <= 2


def test_many_regions_take_turns() -> None:
    """Over the budget each region gets its look, the largest first."""
    plan = planner(max_per_s=5.0, scan_s=100.0)
    plan.plan(0.0, (), (), (1920, 1080))
    plan.plan(1.0, (), (), (1920, 1080))
    regions = [Box(0.0, 0.0, 0.05, 0.05), Box(0.4, 0.6, 0.06, 0.06), Box(0.9, 0.1, 0.05, 0.05)]
    seen: list[int] = []
    for i in range(20):
        for square in plan.plan(2.0 + i / 10, regions, (), (1920, 1080)):
            seen += [j for j, box in enumerate(regions) if contains(square, box, (1920, 1080))]

    assert 1 == seen[0]
    assert {0, 1, 2} == set(seen[:3])
    assert all(3 <= seen.count(j) <= 4 for j in range(3))


def test_a_person_who_stands_still_is_looked_at_each_second() -> None:
    """Without motion a known person is checked again, so that sitting down ends no event."""
    plan = planner(scan_s=1000.0)
    looks = []
    for i in range(100):
        squares = plan.plan(i / 10, (), [person()], SIZE)
        looks += [i / 10 for square in squares if contains(square, MAN)]

    assert 10 <= len(looks) <= 12
    assert max(b - a for a, b in pairwise(looks)) < 1.15


def test_who_was_not_found_is_looked_for_again_soon() -> None:
    """One look that misses a person must not bring the end of an event near."""
    plan = planner(scan_s=1000.0)
    past_the_scan(plan)
    lost = Track(1, MAN, 0.8, person=True, seen=False)
    looks = [i / 10 for i in range(5, 65) if plan.plan(i / 10, (), [lost], SIZE)]
    found = [i / 10 for i in range(65, 105) if plan.plan(i / 10, (), [person()], SIZE)]

    assert max(b - a for a, b in pairwise(looks)) < 0.45
    assert min(b - a for a, b in pairwise(found)) > 0.95


def test_a_doubtful_track_is_confirmed_soon_and_then_left() -> None:
    """Who was found standing is a person within a second; a coat does not eat the budget for ever."""
    plan = planner(scan_s=1000.0)
    past_the_scan(plan)
    looks = [i for i in range(5, 105) if plan.plan(i / 10, (), [person(is_person=False)], SIZE)]

    assert 3 <= len([i for i in looks if i <= 15])
    assert max(looks) / 10 <= 0.5 + CONFIRM_FOR_S


def test_persons_go_before_motion() -> None:
    """When there is one look to spend, the person nobody has seen for a second gets it."""
    plan = planner(max_per_s=1.0, scan_s=1000.0)
    plan.plan(0.0, (), (), (640, 640))
    plan.plan(2.0, (), [person()], (640, 640))
    plan.plan(2.1, [Box(0.9, 0.9, 0.05, 0.05)], [person()], (640, 640))
    squares = plan.plan(4.0, [Box(0.9, 0.9, 0.05, 0.05)], [person()], (640, 640))

    assert [True] == [contains(square, MAN, (640, 640)) for square in squares]


unit = st.floats(0, 1)
areas = st.builds(
    lambda x, y, w, h: Box(x, y, w * (1 - x), h * (1 - y)),
    unit,
    unit,
    st.floats(0.001, 1),
    st.floats(0.001, 1),
)


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.lists(areas, max_size=6), st.lists(areas, max_size=3)), max_size=25
    ),
    st.tuples(st.integers(16, 2000), st.integers(16, 2000)),
    st.floats(0.1, 30),
)
def test_any_scene_stays_in_picture_and_budget(
    story: list[tuple[float, list[Box], list[Box]]], size: tuple[int, int], rate: float
) -> None:
    """Squares lie inside the picture, and the budget is never overdrawn."""
    plan = CropPlanner(DetectorSettings(max_per_s=rate))
    t, spent = 0.0, 0
    for step, regions, boxes in story:
        t += step
        tracks = [person(box, i, is_person=i % 2 == 0) for i, box in enumerate(boxes)]
        squares = plan.plan(t, regions, tracks, size)
        spent += len(squares)
        for square in squares:
            assert square == square.inside(*size)
            assert 0 < square.side <= min(size)
    assert spent <= 1.0 + rate * 0.2 + rate * t + 1e-6
