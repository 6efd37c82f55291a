"""agent.vision.reader: the right pixels in the right colours at the right place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from agent.picture import Picture
from agent.vision.crops import Square
from agent.vision.reader import CropReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 100


def painted(width: int = 640, height: int = 480) -> tuple[NDArray[np.uint8], Picture]:
    """A coloured picture that fills the range, as RGB and as a camera gives it."""
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 / width, y * 255 / height, (x + y) % 256 * 0.3 + 90], axis=2).astype(np.uint8)
    rgb[height // 2 :, : width // 2] = 255
    rgb[: height // 2, width // 2 :] = 0
    flat = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8).ravel()
    size, half = width * height, (height // 2, width // 2)
    u, v = flat[size : size * 5 // 4].reshape(half), flat[size * 5 // 4 :].reshape(half)
    return rgb, Picture(flat[:size].reshape(height, width), u, v)


def read(picture: Picture, square: Square) -> NDArray[Any]:
    out = np.full((SIDE, SIDE, 3), 77, np.uint8)
    CropReader(SIDE).read(picture, square, out)
    return out.astype(int)


@pytest.mark.parametrize("square", [Square(0, 0, 480), Square(160, 0, 480), Square(121, 91, 300)])
def test_a_crop_shows_what_is_there(square: Square) -> None:
    """Scaling and clearing a well-lit picture give the colours of the original, but for the edges."""
    rgb, picture = painted()
    part = rgb[square.y : square.y + square.side, square.x : square.x + square.side]
    expected = cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).astype(int)

    assert np.abs(read(picture, square) - expected).mean() < 4


def test_what_lies_outside_is_black() -> None:
    """A picture smaller than the square keeps its shape, top left; crop after crop."""
    _, picture = painted(640, 320)
    out = np.full((SIDE, SIDE, 3), 77, np.uint8)
    reader = CropReader(SIDE)
    reader.read(picture, Square(0, 0, 320), out)
    reader.read(picture, Square(0, 0, 640), out)

    assert 0 == out[52:].max()
    assert out[40:48, :40].min() > 240


def test_grey_pictures_stay_grey() -> None:
    """An infrared picture after a coloured one has nothing of its colours."""
    _, picture = painted()
    out = np.empty((SIDE, SIDE, 3), np.uint8)
    reader = CropReader(SIDE)
    reader.read(picture, Square(0, 0, 480), out)
    reader.read(Picture(picture.y), Square(0, 0, 480), out)

    assert 0 == np.ptp(out.astype(int), axis=2).max()


def test_odd_pictures() -> None:
    """A picture with odd sides, as a crop of a stream may have."""
    _, picture = painted()
    assert picture.u is not None
    assert picture.v is not None
    odd = Picture(picture.y[:331, :251], picture.u[:166, :126], picture.v[:166, :126])

    assert np.abs(read(odd, Square(0, 80, 251)) - read(picture, Square(0, 80, 251))).max() <= 2
