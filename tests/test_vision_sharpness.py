"""Sharpness of a part of the picture."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from app_parts import PEOPLE

from agent.capture.source import open_source
from agent.config import Capture
from agent.types import Box, Frame
from agent.vision.sharpness import sharpness

WHOLE = Box(0.0, 0.0, 1.0, 1.0)
PERSON = Box(0.35, 0.15, 0.3, 0.7)


@pytest.fixture(scope="module")
def luma() -> np.ndarray:
    """A real stairwell with somebody in it."""
    source = open_source(Capture(source=str(PEOPLE)), pace="max", keep_packets=False)
    frames = (item for item in source.items() if isinstance(item, Frame))
    shown = next(itertools.islice(frames, 100, None)).picture.y.copy()
    source.close()
    return shown


def smeared(luma: np.ndarray, pixels: int) -> np.ndarray:
    kernel = np.zeros((pixels, pixels), np.float32)
    kernel[pixels // 2] = 1 / pixels
    return cv2.filter2D(luma, -1, kernel)


def test_falls_with_every_bit_of_motion(luma: np.ndarray) -> None:
    """The same person smeared over more and more pixels."""
    found = [sharpness(smeared(luma, pixels), PERSON) for pixels in (1, 5, 9, 17, 33)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.6 * found[0]


def test_light_does_not_count(luma: np.ndarray) -> None:
    """Half the light: the same edges."""
    dim = (luma // 2 + 8).astype(np.uint8)
    assert pytest.approx(sharpness(luma, PERSON), rel=0.1) == sharpness(dim, PERSON)


def test_is_a_share() -> None:
    """Noise is as sharp as can be, a flat wall not at all; a box beyond the picture is cut to it."""
    noise = np.random.default_rng(1).integers(0, 256, (90, 90), np.uint8)
    assert 1.0 == sharpness(noise, WHOLE) == sharpness(noise, Box(-1.0, -1.0, 3.0, 3.0))
    assert 0.0 == sharpness(np.full((200, 200), 90, np.uint8), WHOLE)


def test_what_is_too_small_is_not_judged() -> None:
    """A few pixels have no edges."""
    noise = np.random.default_rng(1).integers(0, 256, (480, 640), np.uint8)
    assert 0.0 == sharpness(noise, Box(0.5, 0.5, 0.005, 0.1)) == sharpness(noise, Box(2.0, 2.0, 0.1, 0.1))
