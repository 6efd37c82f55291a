"""The small plane for analysis."""

from __future__ import annotations

import numpy as np
import pytest

from agent.capture.lores import reduce_luma
from agent.capture.plane_size import reduction


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ((320, 180), 1),
        ((32, 32), 1),
        ((640, 480), 2),
        ((640, 360), 2),
        ((960, 540), 3),
        ((1280, 720), 4),
        ((1600, 900), 5),
        ((1920, 1080), 6),
        ((7680, 4320), 24),
    ],
)
def test_the_ratio_comes_nearest_to_320x180(size: tuple[int, int], ratio: int) -> None:
    """The usual picture sizes end near the area that motion detection is tuned to."""
    assert ratio == reduction(*size)


@pytest.mark.parametrize("shape", [(180, 320), (481, 641), (541, 963), (1080, 1920), (33, 1999)])
def test_the_plane_is_an_own_contiguous_copy_of_the_promised_shape(shape: tuple[int, int]) -> None:
    """The decoder's memory is let go: the small plane shares nothing with the picture."""
    y = np.arange(shape[0] * shape[1], dtype=np.uint32).reshape(shape).astype(np.uint8)
    small = reduce_luma(y)
    r = reduction(shape[1], shape[0])
    assert (shape[0] // r, shape[1] // r) == small.shape
    assert small.flags.c_contiguous
    assert not np.shares_memory(y, small)
    assert np.uint8 == small.dtype


def test_brightness_is_kept_where_it_is() -> None:
    """A bright quarter stays that quarter, at full level, through every ratio."""
    for r in (1, 2, 3, 4, 5, 6):
        y = np.full((180 * r, 320 * r), 40, np.uint8)
        y[: 90 * r, 160 * r :] = 200
        small = reduce_luma(y)
        expected = np.full((180, 320), 40, np.uint8)
        expected[:90, 160:] = 200
        np.testing.assert_array_equal(expected, small)


def test_padded_and_read_only_planes_are_taken() -> None:
    """Decoders pad their lines, and their memory is not ours to write."""
    wide = np.tile(np.arange(0, 250, dtype=np.uint8), (480, 3))
    view = wide[:, :640]
    view.flags.writeable = False
    np.testing.assert_array_equal(reduce_luma(view.copy()), reduce_luma(view))


def test_noise_is_halved() -> None:
    """Four points are averaged: the noise of the small plane is half of the picture's."""
    y = np.clip(np.random.default_rng(1).normal(128, 12, (1080, 1920)), 0, 255).astype(np.uint8)
    assert reduce_luma(y).std() == pytest.approx(6, abs=0.3)
