"""Scene: a lamp that goes out is dark; what is done to the camera is told, and cleared when undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from agent.config import SceneSettings
from agent.types import Box, Motion
from agent.vision.scene import SceneMonitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from agent.types import Scene

STATES = ("dark", "covered", "blinded", "moved", "blurred", "frozen")


def room(seed: int = 4) -> NDArray[np.float32]:
    """A lit view with texture and edges, levels."""
    rng = np.random.default_rng(seed)
    base = 110 + 25 * cv2.GaussianBlur(rng.normal(0, 1, (180, 320)), (0, 0), 1.5)
    for _ in range(12):
        x, y = int(rng.integers(0, 280)), int(rng.integers(0, 150))
        base[y : y + 40, x : x + 30] += rng.normal(0, 45)
    return np.clip(base, 30, 220).astype(np.float32)


def watch(
    change: Callable[[float, NDArray[np.float32]], NDArray[np.float32]], seconds: float = 30
) -> list[tuple[float, Scene]]:
    """The monitor's answers at 5 fps on the room, changed as a function of time."""
    rng = np.random.default_rng(5)
    monitor, base, out = SceneMonitor(SceneSettings()), room(), []
    for i in range(int(seconds * 5)):
        t = i / 5
        level = change(t, base) + rng.normal(0, 1, base.shape)
        out.append((t, monitor.step(np.clip(np.rint(level), 0, 255).astype(np.uint8), t, Motion())))
    return out


def told(answers: list[tuple[float, Scene]]) -> dict[str, tuple[float, float]]:
    """First and last time of each state."""
    spans: dict[str, tuple[float, float]] = {}
    for t, scene in answers:
        for name in STATES:
            if getattr(scene, name):
                spans[name] = (spans.get(name, (t, t))[0], t)
    return spans


def hand(_: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.full((180, 320), 60, np.float32)


def defocus(base: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(base, (0, 0), 6), np.float32)


def turned(_: NDArray[np.float32]) -> NDArray[np.float32]:
    return room(99)


def torch(base: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.maximum(base, np.float32(250))


@pytest.mark.parametrize(
    ("name", "deed"),
    [("covered", hand), ("blurred", defocus), ("moved", turned), ("blinded", torch)],
)
def test_tampering_is_told_and_cleared(
    name: str, deed: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> None:
    """Each deed is told by its own name after the hold, within ten seconds, and cleared when undone."""
    answers = watch(lambda t, base: deed(base) if 8 <= t < 20 else base)
    spans = told(answers)
    assert {name} == set(spans)
    first, last = spans[name]
    assert 13 <= first <= 18
    assert 19 <= last <= 22


def test_lamp_out_is_dark_only() -> None:
    """A lamp that goes out is dark, never covered, and dark ends with the light."""
    spans = told(watch(lambda t, base: 16 + (base - 16) * np.float32(0.05) if 8 <= t < 20 else base))
    assert {"dark"} == set(spans)
    assert 13 <= spans["dark"][0] <= 14
    assert spans["dark"][1] <= 22


def test_dimmer_light_is_nothing() -> None:
    """A third of the light changes the figures, not the state."""
    answers = watch(lambda t, base: 16 + (base - 16) * np.float32(0.33) if t >= 8 else base)
    assert {} == told(answers)
    assert answers[-1][1].brightness < 0.6 * answers[0][1].brightness


def test_infrared_is_nothing() -> None:
    """The cut filter flips: as bright, a third of the contrast, the same stairwell."""
    assert {} == told(watch(lambda t, base: 76 + (base - 16) * np.float32(0.35) if t >= 8 else base))


def test_short_covering_is_not_believed() -> None:
    """A hand before the lens for three seconds is a passer-by."""
    assert {} == told(watch(lambda t, base: hand(base) if 8 <= t < 11 else base))


def test_person_near_the_camera_is_nothing() -> None:
    """Somebody who stands in a third of the view covers nothing."""

    def change(t: float, base: NDArray[np.float32]) -> NDArray[np.float32]:
        picture = base.copy()
        if t >= 8:
            picture[40:, 100:210] = 45
        return picture

    assert {} == told(watch(change))


def test_frozen_is_told_and_cleared() -> None:
    """Byte-equal pictures for eight seconds are a frozen camera; the next fresh one clears it."""
    rng = np.random.default_rng(6)
    monitor, base = SceneMonitor(SceneSettings()), room()
    frames = [np.asarray(np.rint(base + rng.normal(0, 1, base.shape)), np.uint8) for _ in range(20)]
    answers = []
    for i in range(150):
        luma = frames[i % 20] if not 40 <= i < 100 else frames[0]
        answers.append((i / 5, monitor.step(luma, i / 5, Motion())))
    spans = told(answers)
    assert {"frozen"} == set(spans)
    assert 16 <= spans["frozen"][0] <= 18
    assert spans["frozen"][1] <= 22


def test_black_is_not_frozen() -> None:
    """A stairwell without any light gives equal black pictures: dark, not frozen."""
    monitor = SceneMonitor(SceneSettings())
    black = np.full((180, 320), 16, np.uint8)
    answers = [(i / 5, monitor.step(black, i / 5, Motion())) for i in range(100)]
    assert {"dark"} == set(told(answers))


def test_reference_waits_for_an_empty_view() -> None:
    """Motion delays the reference, but not for ever: a kit without one would see no tampering."""
    rng = np.random.default_rng(8)
    monitor, base = SceneMonitor(SceneSettings()), room()
    busy = Motion(regions=(Box(0.1, 0.1, 0.2, 0.5),))
    answers = []
    for i in range(300):
        t = i / 5
        level = hand(base) if t >= 40 else base
        luma = np.asarray(np.clip(np.rint(level + rng.normal(0, 1, base.shape)), 0, 255), np.uint8)
        answers.append((t, monitor.step(luma, t, busy)))
    assert 44 <= told(answers)["covered"][0] <= 50


def test_flat_view_judges_nothing() -> None:
    """A white wall has no structure to lose."""
    monitor = SceneMonitor(SceneSettings())
    rng = np.random.default_rng(9)
    answers = []
    for i in range(120):
        level = rng.normal(128 if i < 60 else 60, 1, (180, 320))
        answers.append((i / 5, monitor.step(np.asarray(np.rint(level), np.uint8), i / 5, Motion())))
    assert {} == told(answers)


def test_new_shape_or_time_begins_anew() -> None:
    """A new format or a jump in time drops the reference: another view is then no tampering."""
    monitor = SceneMonitor(SceneSettings())
    rng = np.random.default_rng(10)
    states = []
    for view, start in ((room(4), 0.0), (room(5).T, 20.0), (room(6).T, 500.0)):
        for i in range(100):
            luma = np.asarray(np.rint(view + rng.normal(0, 1, view.shape)), np.uint8)
            states.append((start + i / 5, monitor.step(luma, start + i / 5, Motion())))
    assert {} == told(states)


def test_what_was_forgotten_is_learned_anew() -> None:
    """A camera that was turned on purpose: the new view is the right one, and another turn is told again."""
    rng = np.random.default_rng(5)
    monitor, held = SceneMonitor(SceneSettings()), []
    for i in range(75 * 5):
        t = i / 5
        base = room() if t < 10 else room(99) if t < 50 else room(7)
        level = base + rng.normal(0, 1, base.shape)
        if t == 30:
            monitor.forget()
        scene = monitor.step(np.clip(np.rint(level), 0, 255).astype(np.uint8), t, Motion())
        held.append(scene.moved)

    assert [True, False, True] == [held[29 * 5], any(held[30 * 5 : 50 * 5]), held[-1]]


def test_figures_are_of_the_plane() -> None:
    """Brightness and contrast are mean and deviation in levels; sharpness falls with focus."""
    base = room()
    sharp, soft = np.asarray(base, np.uint8), np.asarray(defocus(base), np.uint8)
    first = SceneMonitor(SceneSettings()).step(sharp, 0.0, Motion())
    second = SceneMonitor(SceneSettings()).step(soft, 0.0, Motion())
    assert pytest.approx(float(sharp.mean()), abs=0.01) == first.brightness
    assert pytest.approx(float(sharp.std()), abs=0.01) == first.contrast
    assert second.sharpness < 0.3 * first.sharpness
