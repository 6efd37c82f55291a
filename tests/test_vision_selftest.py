"""The detector's look at a picture whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from agent.config import DetectorSettings
from agent.errors import ModelError
from agent.vision import selftest
from agent.vision.detector import PersonDetector

if TYPE_CHECKING:
    from pathlib import Path

    from agent.types import Luma


@pytest.fixture
def grey(samples: Path) -> Luma:
    return np.asarray(cv2.imread(str(samples / selftest.IMAGE), cv2.IMREAD_GRAYSCALE), np.uint8)


@pytest.mark.parametrize("model", ["ssdlite", "nanodet"])
def test_a_sound_model_finds_the_person(model: str, grey: Luma) -> None:
    """Both shipped models see who stands in the grey picture."""
    found = selftest.self_test(PersonDetector(DetectorSettings(model=model)), grey)

    assert found.score >= 0.5
    assert found.box.iou(selftest.PERSON) >= 0.8


def test_a_model_that_sees_nothing_is_told(grey: Luma) -> None:
    """A threshold that nothing reaches is as good as blind, and the model is named."""
    with pytest.raises(ModelError, match=r"ssdlite@b1ec7047: sees nothing where one person stands"):
        selftest.self_test(PersonDetector(DetectorSettings(threshold=0.999)), grey)


def test_a_model_that_looks_elsewhere_is_told(grey: Luma) -> None:
    """A person found in the wrong place fails the test: decoding is part of it."""
    with pytest.raises(ModelError, match="where one person stands"):
        selftest.self_test(PersonDetector(DetectorSettings()), grey[:, ::-1].copy())
