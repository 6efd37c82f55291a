"""The still picture of an event."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.capture.snapshot import still
from agent.picture import Picture


def noise(width: int, height: int) -> Picture:
    random = np.random.default_rng(1)
    half = ((height + 1) // 2, (width + 1) // 2)
    u, v = (random.integers(60, 200, half, dtype=np.uint8) for _ in range(2))
    return Picture(random.integers(16, 235, (height, width), dtype=np.uint8), u, v)


def test_it_is_scaled_to_the_longest_side_with_its_aspect() -> None:
    """1280x720 becomes 640x360; a small picture is not blown up."""
    flat = np.full((720, 1280), 90, np.uint8)
    data = still(Picture(flat)).jpeg
    assert (360, 640, 3) == cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape
    small = cv2.imdecode(np.frombuffer(still(Picture(flat[:41, :63])).jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert (41, 63, 3) == small.shape


@pytest.mark.parametrize("max_bytes", [20_000, 5_000, 2_000])
def test_it_fits(max_bytes: int) -> None:
    """Noise is the worst there is: quality goes first, then size, until it fits; its size is told."""
    made = still(noise(1279, 717), max_bytes=max_bytes)
    assert len(made.jpeg) <= max_bytes
    height, width, _ = cv2.imdecode(np.frombuffer(made.jpeg, np.uint8), cv2.IMREAD_COLOR).shape
    assert (width, height) == (made.width, made.height)
    assert width / height == pytest.approx(1279 / 717, rel=0.1)


def test_colours_are_right() -> None:
    """Red stays red: planes and channels are not mixed up."""
    half = (60, 80)
    red = Picture(
        np.full((120, 160), 81, np.uint8), np.full(half, 90, np.uint8), np.full(half, 240, np.uint8)
    )
    blue, green, red_level = cv2.imdecode(np.frombuffer(still(red).jpeg, np.uint8), cv2.IMREAD_COLOR)[60, 80]
    assert red_level > 240
    assert max(blue, green) < 20


def test_what_cannot_fit_is_refused() -> None:
    """A bound below a JPEG's own headers is a mistake of the caller, not a loop without end."""
    with pytest.raises(ValueError, match="100 bytes"):
        still(noise(640, 480), max_bytes=100)
