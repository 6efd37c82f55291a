"""agent.events.zones: polygons, who is in them, and motion that does not count."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent.config_rules import Zone
from agent.events.zones import INERTIA_S, MotionMask, ZoneKeeper, contains, foot, side
from agent.types import Box, Track

if TYPE_CHECKING:
    from collections.abc import Sequence

    Point = tuple[float, float]

SQUARE = ((0.2, 0.2), (0.6, 0.2), (0.6, 0.6), (0.2, 0.6))
ANGLE = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.3), (0.3, 0.3), (0.3, 0.9), (0.1, 0.9))
"""Concave: an L."""
BOW_TIE = ((0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9))

unit = st.floats(0, 1)
points = st.tuples(unit, unit)
polygons = st.lists(points, min_size=3, max_size=8).map(tuple)


@st.composite
def stars(draw: st.DrawFn) -> tuple[Point, ...]:
    """A polygon that does not cross itself: corners round a middle, convex or not."""
    angles = draw(st.lists(st.floats(0, 2 * math.pi - 0.01), min_size=3, max_size=9, unique=True))
    radii = draw(st.lists(st.floats(0.05, 0.5), min_size=len(angles), max_size=len(angles)))
    angles.sort()
    steps = [b - a for a, b in zip(angles, (*angles[1:], angles[0] + 2 * math.pi), strict=True)]
    assume(all(0.05 < step < math.pi - 0.05 for step in steps))
    return tuple(
        (0.5 + r * math.cos(angle), 0.5 + r * math.sin(angle)) for angle, r in zip(angles, radii, strict=True)
    )


def track(x: float, y: float, number: int = 1, h: float = 0.3, *, seen: bool = True) -> Track:
    """A person whose foot is at (x, y)."""
    return Track(number, Box(x - 0.05, y - h, 0.1, h), 0.8, person=True, seen=seen)


def zone(name: str = "door", polygon: Sequence[Point] = SQUARE, **rules: object) -> Zone:
    return Zone.model_validate({"name": name, "polygon": polygon, **rules})


@pytest.mark.parametrize(
    ("polygon", "point", "inside"),
    [
        (SQUARE, (0.4, 0.4), True),
        (SQUARE, (0.2, 0.2), True),
        (SQUARE, (0.6, 0.6), True),
        (SQUARE, (0.4, 0.2), True),
        (SQUARE, (0.6, 0.3), True),
        (SQUARE, (0.61, 0.4), False),
        (SQUARE, (0.1, 0.2), False),
        (SQUARE, (0.1, 0.6), False),
        (ANGLE, (0.2, 0.8), True),
        (ANGLE, (0.8, 0.2), True),
        (ANGLE, (0.3, 0.3), True),
        (ANGLE, (0.5, 0.5), False),
        (ANGLE, (0.0, 0.3), False),
        (BOW_TIE, (0.2, 0.5), True),
        (BOW_TIE, (0.5, 0.5), True),
        (BOW_TIE, (0.5, 0.2), False),
    ],
)
def test_points_in_plain_polygons(polygon: Sequence[Point], point: Point, inside: bool) -> None:
    """Inside, outside, on corners and edges, in the notch of an L and in a knot; beside corners too."""
    assert inside == contains(polygon, point)


def test_the_lower_edge_of_the_picture_belongs_to_a_zone_that_reaches_it() -> None:
    """Whoever stands so near that the picture cuts the feet is in the zone at the bottom."""
    assert contains(((0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0)), (0.37, 1.0))


@given(polygons, points)
def test_neither_winding_nor_first_corner_matters(polygon: tuple[Point, ...], point: Point) -> None:
    """The installer may draw a zone whichever way round, from whichever corner."""
    answer = contains(polygon, point)

    assert answer == contains(polygon[::-1], point)
    assert answer == contains((*polygon[1:], polygon[0]), point)


@given(polygons, st.integers(0, 7), unit)
def test_the_border_is_inside(polygon: tuple[Point, ...], edge: int, share: float) -> None:
    """Every corner and every point of every edge, whatever the polygon looks like."""
    a, b = polygon[edge % len(polygon)], polygon[(edge + 1) % len(polygon)]

    assert contains(polygon, a)
    assert contains(polygon, (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])))


@given(polygons, points)
def test_nothing_is_inside_beyond_the_outermost_corners(polygon: tuple[Point, ...], point: Point) -> None:
    """Who is left of, right of, above or below every corner is outside."""
    xs, ys = [x for x, _ in polygon], [y for _, y in polygon]
    margin = 1e-6
    assume(
        point[0] < min(xs) - margin
        or point[0] > max(xs) + margin
        or point[1] < min(ys) - margin
        or point[1] > max(ys) + margin
    )

    assert not contains(polygon, point)


@given(stars(), points)
def test_the_same_answer_as_another_implementation(polygon: tuple[Point, ...], point: Point) -> None:
    """OpenCV agrees about polygons that do not cross themselves, but for what rounding decides."""
    distance = cv2.pointPolygonTest(np.array(polygon, np.float32)[:, None], point, measureDist=True)
    assume(abs(distance) > 1e-4)

    assert (distance > 0) == contains(polygon, point)


@given(points, points, unit)
def test_a_polygon_without_area_is_its_border(a: Point, b: Point, share: float) -> None:
    """Degenerate: there and back is a line, and one corner thrice is a point."""
    on = (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]))

    assert contains((a, b, a), on)
    assert contains((a, a, a), a)
    assert contains((a, a, a), b) == (math.dist(a, b) <= 1e-9)


def test_right_is_where_the_right_hand_is() -> None:
    """Looking right, the right hand is below; y grows downwards."""
    assert side((0.2, 0.5), (0.8, 0.5), (0.5, 0.9)) > 0
    assert side((0.2, 0.5), (0.8, 0.5), (0.5, 0.1)) < 0
    assert side((0.2, 0.5), (0.8, 0.5), (0.9, 0.5)) == 0


def test_a_person_stands_at_the_foot() -> None:
    """The middle of the lower edge."""
    assert (0.4, 0.9) == pytest.approx(foot(Box(0.3, 0.1, 0.2, 0.8)))


def walk(keeper: ZoneKeeper, *feet: tuple[float, float, float]) -> list[tuple[str, ...]]:
    """The zones of one person at each (t, x, y)."""
    return [keeper.step([track(x, y)], t)[0].zones for t, x, y in feet]


def test_entering_and_leaving_take_a_moment() -> None:
    """A zone is entered once every look for INERTIA_S says so, and left the same way."""
    keeper = ZoneKeeper([zone()])
    inside = walk(keeper, *((i / 10, 0.4, 0.5) for i in range(5)))
    outside = walk(keeper, *((0.5 + i / 10, 0.4, 0.9) for i in range(5)))

    assert [(), (), (), ("door",), ("door",)] == inside
    assert [("door",), ("door",), ("door",), (), ()] == outside


def test_who_trembles_on_a_border_changes_nothing() -> None:
    """A box that is in and out from one look to the next neither enters nor leaves."""
    outside, inside = ZoneKeeper([zone()]), ZoneKeeper([zone()])
    walk(inside, (0.0, 0.4, 0.5), (0.5, 0.4, 0.5))
    tremble = [(1 + i / 10, 0.4, 0.59 if i % 2 else 0.61) for i in range(40)]

    assert {()} == set(walk(outside, *tremble))
    assert {("door",)} == set(walk(inside, *tremble))


def test_a_coasting_box_is_no_look() -> None:
    """Where the tracker only thinks that somebody is, nobody enters or leaves."""
    keeper = ZoneKeeper([zone()])
    walk(keeper, (0.0, 0.4, 0.5), (0.5, 0.4, 0.5))
    coasting = [keeper.step([track(0.4, 0.9, seen=False)], 1 + i / 10)[0].zones for i in range(20)]

    assert {("door",)} == set(coasting)


def test_a_box_of_the_wrong_height_is_not_in_the_zone() -> None:
    """What is too low or too high for a person there is none."""
    keeper = ZoneKeeper([zone("near", min_height=0.4), zone("far", max_height=0.35), zone("any")])
    for t in (0.0, 1.0):
        low, high = keeper.step([track(0.4, 0.5, 1, h=0.3), track(0.4, 0.5, 2, h=0.5)], t)

    assert ("far", "any") == low.zones
    assert ("near", "any") == high.zones


def test_zones_may_overlap_and_come_in_the_order_of_the_configuration() -> None:
    """A person is in all zones that hold the foot."""
    keeper = ZoneKeeper([zone("b"), zone("a"), zone("c", ANGLE)])
    keeper.step([track(0.25, 0.25)], 0.0)

    assert ("b", "a", "c") == keeper.step([track(0.25, 0.25)], INERTIA_S)[0].zones


def test_a_track_that_is_gone_is_forgotten() -> None:
    """Whoever comes next begins outside, even under the number of who was there."""
    keeper = ZoneKeeper([zone()])
    walk(keeper, (0.0, 0.4, 0.5), (0.5, 0.4, 0.5))
    keeper.step([], 1.0)

    assert [()] == walk(keeper, (2.0, 0.4, 0.5))


def test_without_zones_tracks_pass_as_they_are() -> None:
    """No zone, no work; and everybody counts."""
    keeper = ZoneKeeper([])
    tracks = [track(0.4, 0.5)]

    assert tuple(tracks) == keeper.step(tracks, 0.0)
    assert keeper.counts(tracks[0])


@pytest.mark.parametrize(
    ("rules", "inside", "counts"),
    [
        ((None, None), ("a",), True),
        ((None, None), (), True),
        (("include", None), ("a",), True),
        (("include", None), ("b",), False),
        (("include", None), (), False),
        (("exclude", None), ("a",), False),
        (("exclude", None), (), True),
        (("include", "exclude"), ("a", "b"), False),
        (("include", "exclude"), ("a",), True),
        (("include", "include"), ("b",), True),
    ],
)
def test_who_counts(rules: tuple[str | None, str | None], inside: tuple[str, ...], counts: bool) -> None:
    """Included zones shut out everybody else; an excluded zone wins over them."""
    a, b = rules
    keeper = ZoneKeeper([zone("a", persons=a), zone("b", persons=b)])

    assert counts == keeper.counts(Track(1, Box(0, 0, 1, 1), 0.8, person=True, seen=True, zones=inside))


LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
MIDDLE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))


@pytest.mark.parametrize(
    ("zones", "region", "rest"),
    [
        ([], Box(0.1, 0.1, 0.2, 0.2), Box(0.1, 0.1, 0.2, 0.2)),
        ([("exclude", LEFT)], Box(0.1, 0.1, 0.2, 0.2), None),
        ([("exclude", LEFT)], Box(0.6, 0.1, 0.2, 0.2), Box(0.6, 0.1, 0.2, 0.2)),
        ([("exclude", LEFT)], Box(0.4, 0.1, 0.2, 0.2), Box(0.5, 0.1, 0.1, 0.2)),
        ([("exclude", MIDDLE)], Box(0.0, 0.0, 1.0, 1.0), Box(0.0, 0.0, 1.0, 1.0)),
        ([("include", LEFT)], Box(0.4, 0.1, 0.2, 0.2), Box(0.4, 0.1, 0.1, 0.2)),
        ([("include", LEFT)], Box(0.6, 0.1, 0.2, 0.2), None),
        ([("include", LEFT), ("exclude", MIDDLE)], Box(0.3, 0.3, 0.4, 0.4), None),
        ([("include", LEFT), ("exclude", MIDDLE)], Box(0.1, 0.3, 0.6, 0.4), Box(0.1, 0.3, 0.15, 0.4)),
        ([(None, LEFT)], Box(0.1, 0.1, 0.2, 0.2), Box(0.1, 0.1, 0.2, 0.2)),
    ],
)
def test_motion_is_cut_to_where_it_counts(
    zones: list[tuple[str | None, Sequence[Point]]], region: Box, rest: Box | None
) -> None:
    """A region in an excluded place is gone, one across its border is cut, all others pass."""
    mask = MotionMask([zone(str(i), polygon, motion=rule) for i, (rule, polygon) in enumerate(zones)])
    found = mask.apply([region])

    assert ([] if rest is None else [pytest.approx(rest.as_list())]) == [box.as_list() for box in found]


boxes = st.tuples(unit, unit, unit, unit).map(
    lambda v: Box(min(v[0], v[1]), min(v[2], v[3]), abs(v[0] - v[1]), abs(v[2] - v[3]))
)
rules = st.lists(st.tuples(st.sampled_from(["include", "exclude", None]), stars()), max_size=3)


@given(rules, st.lists(boxes, max_size=4))
def test_masking_takes_away_and_adds_nothing(
    zones: list[tuple[str | None, tuple[Point, ...]]], regions: list[Box]
) -> None:
    """What is left lies in what was there, and masking it again changes nothing."""
    valid = [
        Zone.model_construct(name=str(i), polygon=polygon, persons=None, motion=rule)
        for i, (rule, polygon) in enumerate(zones)
    ]
    mask = MotionMask(valid)
    rest = mask.apply(regions)

    for box in rest:
        assert any(
            region.x <= box.x
            and region.y <= box.y
            and box.x2 <= region.x2 + 1e-9
            and box.y2 <= region.y2 + 1e-9
            for region in regions
        )
        assert box.w >= 0
        assert box.h >= 0
    assert len(rest) <= len(regions)
    assert [box.as_list() for box in rest] == [box.as_list() for box in mask.apply(rest)]
    if not any(rule for rule, _ in zones):
        assert tuple(regions) == rest


@given(boxes)
def test_a_masked_picture_has_no_motion(region: Box) -> None:
    """Everything excluded, nothing is left, at the borders of the picture and of the grid too."""
    everything = zone(polygon=((0, 0), (1, 0), (1, 1), (0, 1)), motion="exclude")

    assert () == MotionMask([everything]).apply([region])
