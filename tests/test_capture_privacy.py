"""Masks burned into pictures."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.capture.privacy import PrivacyMask
from agent.config import Mask
from agent.picture import Picture

SQUARE = Mask(name="door", polygon=((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)))
fractions = st.floats(0, 1)
points = st.tuples(fractions, fractions)


def white(width: int, height: int) -> Picture:
    half = ((height + 1) // 2, (width + 1) // 2)
    return Picture(
        np.full((height, width), 235, np.uint8), np.full(half, 90, np.uint8), np.full(half, 240, np.uint8)
    )


def test_without_masks_the_picture_itself_comes_back() -> None:
    """Nobody pays for masks that are not there."""
    picture = white(64, 48)
    assert picture is PrivacyMask(()).apply(picture)


def test_the_masked_area_is_black_and_the_rest_untouched() -> None:
    """Inside the polygon all planes are black, far from it nothing changed, and the source is left alone."""
    picture = white(160, 120)
    masked = PrivacyMask((SQUARE,)).apply(picture)
    assert masked.u is not None
    assert masked.v is not None
    assert {16} == set(masked.y[30:90, 40:120].ravel())
    assert {128} == set(masked.u[15:45, 20:60].ravel()) | set(masked.v[15:45, 20:60].ravel())
    assert {235} == set(masked.y[:26].ravel()) | set(masked.y[:, :36].ravel())
    assert {90} == set(masked.u[:13].ravel())
    assert {235} == set(picture.y.ravel())


def test_a_grey_picture_is_masked_too() -> None:
    """A picture without colour has no colour to hide."""
    masked = PrivacyMask((SQUARE,)).apply(Picture(np.full((48, 64), 200, np.uint8)))
    assert masked.u is None
    assert int(masked.y[24, 32]) == 16


@pytest.mark.parametrize("size", [(160, 120), (161, 121)])
@pytest.mark.parametrize("interleaved", [True, False])
def test_burned_in_place_it_is_the_same(size: tuple[int, int], *, interleaved: bool) -> None:
    """A camera's own buffer gets the pixels that a copy would; the padding of its lines is left alone."""
    width, height = size
    picture = white(width, height)
    expected = PrivacyMask((SQUARE,)).apply(picture)
    lines = np.full((height, width + 31), 77, np.uint8)
    y = lines[:, :width]
    y[:] = picture.y
    half = (width + 1) // 2
    colour = np.full((2, (height + 1) // 2, half + 15), 77, np.uint8)
    chroma = [colour[0, :, :half], colour[1, :, :half]]
    if interleaved:
        colour = np.full(((height + 1) // 2, 2 * half + 30), 77, np.uint8)
        both = colour[:, : 2 * half]
        chroma = [both[:, 0::2], both[:, 1::2]]
    chroma[0][:], chroma[1][:] = picture.u, picture.v

    PrivacyMask((SQUARE,)).burn(y, (both,) if interleaved else chroma)

    assert expected.y.tolist() == y.tolist()
    assert [expected.u.tolist(), expected.v.tolist()] == [plane.tolist() for plane in chroma]
    assert {77} == set(lines[:, width:].ravel()) | set(colour[..., -15:].ravel())


def test_nothing_to_burn() -> None:
    """Without masks the buffer is not touched, and the mask says so."""
    mask = PrivacyMask(())
    y = np.full((48, 64), 200, np.uint8)
    mask.burn(y)
    assert {200} == set(y.ravel())
    assert [False, True] == [bool(mask), bool(PrivacyMask((SQUARE,)))]


def test_every_size_has_its_own_raster() -> None:
    """A stream that changes its size stays masked."""
    mask = PrivacyMask((SQUARE,))
    for width, height in ((64, 48), (321, 243), (64, 48)):
        assert int(mask.apply(white(width, height)).y[height // 2, width // 2]) == 16


def test_the_inside_of_a_star_is_masked() -> None:
    """A polygon that crosses itself hides all that its outline encloses."""
    star = [(0.5 + 0.45 * np.sin(a), 0.5 - 0.45 * np.cos(a)) for a in np.arange(5) * 4 * np.pi / 5]
    masked = PrivacyMask((Mask(name="star", polygon=tuple(star)),)).apply(white(200, 200))
    assert int(masked.y[100, 100]) == 16


@pytest.mark.parametrize(("width", "height"), [(33, 47), (160, 120)])
@given(polygon=st.lists(points, min_size=3, max_size=6), data=st.data())
def test_every_touched_pixel_is_black(
    width: int, height: int, polygon: list[tuple[float, float]], data: st.DataObject
) -> None:
    """Any point on an edge, or inside a triangle of the polygon, lies in a black pixel and black chroma."""
    masked = PrivacyMask((Mask(name="m", polygon=tuple(polygon)),)).apply(white(width, height))
    assert masked.u is not None
    share = data.draw(fractions)
    touched = [
        (ax + (bx - ax) * share, ay + (by - ay) * share)
        for (ax, ay), (bx, by) in pairwise([*polygon, polygon[0]])
    ]
    if len(polygon) == 3:
        weights = np.array(data.draw(st.tuples(*[st.floats(0.01, 1)] * 3)))
        touched.append(tuple(weights / weights.sum() @ np.array(polygon)))
    for fx, fy in touched:
        x, y = min(int(fx * width), width - 1), min(int(fy * height), height - 1)
        assert int(masked.y[y, x]) == 16
        assert int(masked.u[y // 2, x // 2]) == 128
