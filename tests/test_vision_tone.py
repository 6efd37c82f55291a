"""agent.vision.tone: what the detector is shown of a dark or noisy picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from agent.config import DetectorSettings
from agent.picture import Picture
from agent.vision import tone
from agent.vision.crops import Square
from agent.vision.detector import PersonDetector
from agent.vision.tone import BLACK, MOST_GAIN, WHITE

IMAGE = Path(__file__).parent.parent / "agent" / "samples" / "cameraman_grey.jpg"


def scene() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    grey = cv2.imread(str(IMAGE), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    return np.asarray(grey, np.uint8)


def clear(
    luma: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    out = np.empty_like(luma)
    tone.clear(luma, out)
    return out


def test_a_dark_picture_fills_the_range() -> None:
    """Most of what the camera could not expose comes back, in the range of video."""
    dark = (BLACK + scene().astype(float) * 0.3).astype(np.uint8)
    out = clear(dark)

    assert BLACK == out.min()
    assert WHITE <= out.max()
    assert out.std() > 2 * dark.std()


def test_the_gain_is_bounded() -> None:
    """What is black stays dark: noise is not blown up into things."""
    night = np.full((300, 300), BLACK, np.uint8)
    night[100:200, 100:200] += 5

    assert BLACK + 5 * MOST_GAIN == clear(night).max()


def test_a_well_lit_picture_keeps_its_levels() -> None:
    """By day only the finest noise goes."""
    day = np.tile(np.linspace(BLACK, WHITE, 300).astype(np.uint8), (300, 1))

    assert np.abs(clear(day).astype(int) - day).max() <= 1


def test_an_even_picture_is_harmless() -> None:
    """A covered lens gives one level: nothing to stretch, nothing to divide by."""
    assert {BLACK} == set(clear(np.full((30, 30), 90, np.uint8)).ravel().tolist())


def test_noise_is_smoothed() -> None:
    """The blur takes most of the sensor's noise."""
    grain = np.random.default_rng(5).normal(0, 6, (300, 300))
    noisy = np.clip(np.linspace(BLACK, WHITE, 300) + grain, 0, 255).astype(np.uint8)

    assert np.diff(clear(noisy)[150].astype(int)).std() < 0.6 * np.diff(noisy[150].astype(int)).std()


def test_a_person_in_the_dark_is_found() -> None:
    """The man whom the detector sees by day is seen at a fifth of the light."""
    dark = (BLACK + scene().astype(float) * 0.12).astype(np.uint8)
    [best, *_] = PersonDetector(DetectorSettings()).detect(Picture(dark), [Square(0, 0, 512)])

    assert best.score > 0.5
