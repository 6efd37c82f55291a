"""Structure: light leaves it alone, another thing does not."""

from __future__ import annotations

import numpy as np
import pytest

from agent.vision.structure import BLOCK, correlation, difference, distance, view

RNG = np.random.default_rng(3)
SCENE = RNG.normal(0, 22, (96, 128)).cumsum(axis=1) * 0.25 + 110


def shown(level: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(np.rint(level), 0, 255), np.uint8)


@pytest.mark.parametrize(("gain", "offset"), [(0.6, 0), (1.3, -10), (1.0, 20)])
def test_gain_and_offset_leave_no_distance(gain: float, offset: float) -> None:
    """A lamp that scales and lifts the levels leaves the noise of rounding only."""
    before, after = view(shown(SCENE), 0.0), view(shown(SCENE * gain + offset), 1.0)
    assert float(np.median(distance(after, before))) < 1.0
    assert float(np.median(correlation(after, before))) > 0.95


def test_distance_is_the_same_both_ways() -> None:
    """Something that comes and something that goes give like distances: the noise is in both pictures."""
    other = SCENE.copy()
    other[32:64, 40:80] = 60
    here, there = view(shown(SCENE), 0.0), view(shown(other), 1.0)
    assert float(distance(here, there).max()) == pytest.approx(float(distance(there, here).max()), rel=0.5)


def test_flat_coat_before_a_textured_wall_is_seen() -> None:
    """A gain of zero would explain it; the brightness does not allow that."""
    coat = SCENE.copy()
    coat[32:64, 40:80] = SCENE[32:64, 40:80].mean()
    before, after = view(shown(SCENE), 0.0), view(shown(coat), 1.0)
    fine = distance(after, before)[: after.fine_windows].reshape(96 // BLOCK - 1, 128 // BLOCK - 1)
    assert float(fine[5, 6]) > 20 * float(np.median(fine))


def test_plain_difference_is_never_less() -> None:
    """What the plain difference lets pass has no distance either, whatever came in."""
    for noise in (0.5, 4.0):
        other = SCENE + RNG.normal(0, noise, SCENE.shape)
        other[32:64, 40:80] = 90
        here, there = view(shown(SCENE), 0.0), view(shown(other), 1.0)
        for now, then in ((here, there), (there, here)):
            assert bool((difference(now, then) >= distance(now, then) * 0.99 - 0.01).all())


def test_figures_are_means_and_variances() -> None:
    """Of a window's own pixels, at both scales."""
    of = view(shown(SCENE), 0.0)
    assert float(of.fine[8:16, 20:28].mean()) == pytest.approx(float(of.mean[2 * 15 + 5]), rel=1e-4)
    assert float(of.fine[8:16, 20:28].var()) == pytest.approx(float(of.variance[2 * 15 + 5]), rel=1e-2)
    coarse = of.fine_windows + 2 * 13 + 5
    assert float(of.blocks[2:6, 5:9].mean()) == pytest.approx(float(of.mean[coarse]), rel=1e-4)
    assert float(of.blocks[2:6, 5:9].var()) == pytest.approx(float(of.variance[coarse]), rel=1e-2)


def test_shapes() -> None:
    """Flat figures hold the fine windows first, then the coarse ones."""
    of = view(shown(SCENE), 0.0)
    assert (12, 16) == of.blocks.shape
    assert 11 * 15 == of.fine_windows
    assert 11 * 15 + 9 * 13 == of.mean.size
