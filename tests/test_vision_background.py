"""Background: it never stops learning, and it remembers other light."""

from __future__ import annotations

import numpy as np
import pytest

from agent.vision.background import Background
from agent.vision.structure import View, view

RNG = np.random.default_rng(5)
SCENE = RNG.uniform(0.2, 0.9, (12, 16)).repeat(8, axis=0).repeat(8, axis=1) + RNG.normal(0, 0.05, (96, 128))
FIELD = np.linspace(0.3, 1.0, 128)


def seen(level: np.ndarray, t: float) -> View:
    noisy = level + RNG.normal(0, 1, level.shape)
    return view(np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8), t)


def taught(level: np.ndarray, seconds: float) -> Background:
    background = Background(seen(level, 0.0))
    for i in range(1, int(seconds / 0.3)):
        background.learn(seen(level, i * 0.3), np.zeros((11, 15), np.bool_))
    return background


def test_what_stays_becomes_background() -> None:
    """Marked as foreign or not, what stands for a minute belongs to the view."""
    background = taught(SCENE * 200, 3)
    coat = SCENE * 200
    coat[32:64, 40:80] = 40
    for i in range(10, 210):
        background.learn(seen(coat, i * 0.3), np.ones((11, 15), np.bool_))
    assert 40 == pytest.approx(float(background.view.fine[20:28, 24:36].mean()), abs=8)


def test_light_that_comes_back_is_known() -> None:
    """After lamp, dark and lamp again the view is the first one's, without who came in meanwhile."""
    lit, dark = SCENE * 200 * FIELD, SCENE * 60 * FIELD[::-1]
    background = taught(lit, 6)
    background.restart(seen(dark, 7.0), 1.0)
    assert background.noise == 1.0
    for i in range(24, 60):
        background.learn(seen(dark, i * 0.3), np.zeros((11, 15), np.bool_))
    visitor = lit.copy()
    visitor[24:80, 40:64] = 20
    background.restart(seen(visitor, 20.0), 1.0)
    assert background.noise < 1.0
    assert float(lit[40:60, 46:58].mean()) == pytest.approx(
        float(background.view.fine[20:30, 23:29].mean()), abs=4
    )


def test_an_earlier_look_is_remembered() -> None:
    """A view that returns to how it was is near to a memory; a visitor is not."""
    background = taught(SCENE * 200, 30)
    visitor = SCENE * 200
    visitor[24:80, 40:64] = 20
    calm = float(np.median(background.remembered(seen(SCENE * 200, 31.0))))
    assert calm < 3.0
    assert float(background.remembered(seen(visitor, 31.0)).max()) > 50 * calm
    assert 3 == len(background.looks)
