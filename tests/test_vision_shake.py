"""Shake: the camera's movement is told from a person's."""

from __future__ import annotations

import cv2
import numpy as np

from agent.vision.regions import Group, groups
from agent.vision.shake import is_shake
from agent.vision.structure import View, view

RNG = np.random.default_rng(8)
WALL = np.asarray(110 + 30 * cv2.GaussianBlur(RNG.normal(0, 4, (180, 328)), (0, 0), 3), np.float32)


def seen(level: np.ndarray) -> View:
    noisy = level[:176, :320] + RNG.normal(0, 1, (176, 320))
    return view(np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8), 0.0)


def suspects(rows: slice, cols: slice) -> list[Group]:
    marked = np.zeros((21, 39), np.bool_)
    marked[rows, cols] = True
    return groups(marked)


def test_a_shifted_view_is_shake() -> None:
    """Two pixels aside explain every edge."""
    assert is_shake(seen(WALL[:, 2:]), seen(WALL), suspects(slice(3, 15), slice(5, 20)))


def test_a_person_is_no_shake() -> None:
    """A strong silhouette that moves does not take the wall with it."""
    before, after = WALL.copy(), WALL.copy()
    before[40:140, 100:130] = 20
    after[40:140, 106:136] = 20
    assert not is_shake(seen(after), seen(before), suspects(slice(4, 18), slice(11, 18)))


def test_a_person_before_a_flat_wall_is_no_shake() -> None:
    """Where nothing else has an edge, nothing tells of a shift."""
    before, after = np.full_like(WALL, 120), np.full_like(WALL, 120)
    before[40:140, 100:130] = 20
    after[40:140, 103:133] = 20
    assert not is_shake(seen(after), seen(before), suspects(slice(4, 18), slice(11, 18)))


def test_a_plane_without_any_slope_is_no_shake() -> None:
    """A covered lens gives nothing to measure, and no division by zero."""
    flat = view(np.full((176, 320), 30, np.uint8), 0.0)
    assert not is_shake(flat, flat, suspects(slice(4, 18), slice(11, 18)))
