"""The commissioned view: known in other light, missed when the camera was turned or covered without power."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from test_vision_scene import hand, room

from agent.config import SceneSettings
from agent.types import Motion
from agent.vision.landmark import Landmark
from agent.vision.scene import ASTRAY_S, SceneMonitor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.types import Scene

    Levels = NDArray[np.float32]


def started_on(view: Levels, commissioned: Levels, seconds: float = ASTRAY_S + 20) -> list[Scene]:
    """What a kit says that starts before `view`, a picture a second, knowing the `commissioned` one."""
    rng = np.random.default_rng(6)
    monitor = SceneMonitor(SceneSettings())
    monitor.landmark = Landmark.of(np.rint(commissioned).astype(np.uint8))
    answers = []
    for second in range(int(seconds)):
        luma = np.clip(np.rint(view + rng.normal(0, 1, view.shape)), 0, 255).astype(np.uint8)
        answers.append(monitor.step(luma, float(second), Motion()))
    return answers


def test_a_camera_that_was_turned_without_power_is_told() -> None:
    """It learns the new view as its own, and says `moved` all the same; not before a minute has passed."""
    answers = started_on(np.roll(room(), 90, axis=1), room())

    assert not any(scene.moved for scene in answers[: int(ASTRAY_S)])
    assert answers[-1].moved
    assert not answers[-1].covered


def test_a_lens_that_was_covered_without_power_is_told() -> None:
    """A hand before the lens at the start is no view."""
    answers = started_on(hand(room()), room())

    assert answers[-1].covered
    assert not answers[-1].moved


@pytest.mark.parametrize("gain", [0.5, 0.8, 1.15])
def test_other_light_is_the_same_view(gain: float) -> None:
    """Day and evening differ in light and noise, and a person may stand in the view for long."""
    view = np.clip(room() * gain, 0, 255)
    view[60:150, 130:180] = 70

    assert not any(scene.moved or scene.covered for scene in started_on(view, room()))


def test_a_bare_wall_is_known_by_nothing() -> None:
    """Who would take it for a reference had an alarm, or none, by chance."""
    assert Landmark.of(np.rint(room()).astype(np.uint8)).tells
    assert not Landmark.of(np.full((180, 320), 120, np.uint8)).tells


def test_another_size_judges_nothing() -> None:
    """A landmark of other sides than the view's is passed over."""
    answers = started_on(room()[:, :160], room())

    assert not any(scene.moved or scene.covered for scene in answers)
