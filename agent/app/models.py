"""The detector models as a technician asks for them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from agent.errors import ModelError
from agent.vision.detector import PersonDetector
from agent.vision.models import SHIPPED, load_card
from agent.vision.selftest import IMAGE, self_test
from agent.words import say

if TYPE_CHECKING:
    from agent.config import DetectorSettings
    from agent.types import Luma
    from agent.vision.models import ModelCard

SAMPLES = Path(__file__).parent.parent / "samples"


def shipped() -> list[ModelCard]:
    """The cards of the models that come with the agent."""
    return [load_card(path.stem) for path in sorted(SHIPPED.glob("*.toml"))]


def described(card: ModelCard) -> dict[str, Any]:
    """A card as JSON types."""
    return {
        "model": card.label,
        "file": str(card.path),
        "sha256": card.sha256,
        "side": card.side,
        "fit": card.fit,
        "threshold": card.threshold,
        "licence": card.licence,
        "source": card.source,
        "purpose": card.purpose,
    }


def check(settings: DetectorSettings) -> dict[str, Any]:
    """Load the model and let it look at the shipped picture; `ms` is the time of one look.

    Raises:
        ModelError: the card, the file, the runtime or what it sees is wrong.
    """
    detector = PersonDetector(settings)
    grey = _picture()
    self_test(detector, grey)  # the first look warms the runtime up
    begun = time.perf_counter()
    found = self_test(detector, grey)
    return {
        "model": detector.label,
        "score": round(found.score, 4),
        "box": found.box.as_list(),
        "ms": round(1000 * (time.perf_counter() - begun), 1),
    }


def _picture() -> Luma:
    grey = cv2.imread(str(SAMPLES / IMAGE), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise ModelError(
            say("{path}: cannot be read", path=SAMPLES / IMAGE), fix=say("install the agent's package again")
        )
    return np.asarray(grey, np.uint8)
