"""How far a camera hangs askew: pictures of a drawn room, turned by known angles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from agent.vision.tilt import tilt

if TYPE_CHECKING:
    from agent.types import Luma

WIDTH, HEIGHT = 960, 540
GREY, DOOR, WALL = 120, 60, 170


def room(degrees: float = 0.0, spread: float = 0.0) -> Luma:
    """Two doors and a corner; what is upright leans right by `degrees`, at the right edge by more."""
    picture = np.full((HEIGHT, WIDTH), GREY, np.uint8)
    for left, right, top, level in (
        (0.08, 0.24, 0.2, DOOR),
        (0.7, 0.88, 0.15, DOOR),
        (0.45, 0.55, 0.0, WALL),
    ):
        corners = []
        for x, y in ((left, top), (right, top), (right, 0.95), (left, 0.95)):
            lean = np.tan(np.radians(spread * (x - 0.5)))
            corners.append((x * WIDTH + lean * (0.5 - y) * HEIGHT, y * HEIGHT))
        cv2.fillPoly(picture, [np.rint(np.array(corners) * 16).astype(np.int32)], (level,), cv2.LINE_AA, 4)
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), -degrees, 1.0)  # its angles go the other way
    turned = cv2.warpAffine(picture, turn, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    noise = np.random.default_rng(7).normal(0, 3, turned.shape)
    return np.asarray(np.clip(turned + noise, 0, 255), np.uint8)


@pytest.mark.parametrize("degrees", [-12, -4, 0, 2, 7, 15])
@pytest.mark.parametrize("spread", [-14, 0, 14])
def test_the_angle(degrees: float, spread: float) -> None:
    """To a degree, whether the camera looks down, straight or up."""
    assert tilt(room(degrees, spread)) == pytest.approx(degrees, abs=1.0)


def test_nothing_upright() -> None:
    """A wall, snow, a lawn: nothing is said."""
    snow = np.asarray(np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH)), np.uint8)
    assert tilt(np.full((HEIGHT, WIDTH), GREY, np.uint8)) is None
    assert tilt(snow) is None


def test_masks_are_no_uprights() -> None:
    """The straight edges of a mask would tell any camera that it hangs level."""
    picture, hidden = room(8), np.zeros((HEIGHT, WIDTH), np.uint8)
    for x in (300, 330, 360, 520, 560, 600):
        hidden[:, x : x + 14] = 255
    picture[hidden != 0] = 16
    plain, masked = tilt(picture), tilt(picture, hidden)
    assert masked == pytest.approx(8, abs=1.5)
    assert plain is None or abs(plain) < 4
