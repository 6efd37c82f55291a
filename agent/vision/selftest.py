"""Does the detector see? A picture with one person, looked at by the whole path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.errors import ModelError
from agent.picture import Picture
from agent.types import Box
from agent.vision.crops import Square
from agent.words import say

if TYPE_CHECKING:
    from agent.types import Detection, Luma
    from agent.vision.detector import PersonDetector

IMAGE = "cameraman_grey.jpg"
"""The shipped picture. It is grey, as infrared pictures are."""
PERSON = Box(0.0, 0.123, 0.654, 0.877)
"""Where the person stands in it, by hand."""
SAME_IOU = 0.7  # both shipped models reach 0.85; a wrong decoder or input order reaches nothing


def self_test(detector: PersonDetector, grey: Luma) -> Detection:
    """The person of the shipped picture `grey` as the detector finds it.

    Raises:
        ModelError: it is not found, or something else is.
    """
    picture = Picture(grey)
    seen_at_all = detector.detect(picture, (Square(0, 0, picture.width),))
    found = [one for one in seen_at_all if one.score >= detector.threshold]
    if len(found) != 1 or found[0].box.iou(PERSON) < SAME_IOU:
        seen = ", ".join(f"{one.box.as_list()} {one.score:.2f}" for one in found) or "nothing"
        raise ModelError(
            say(
                "model {label}: sees {seen} where one person stands at {place}",
                label=detector.label,
                seen=seen,
                place=PERSON.as_list(),
            ),
            fix=say("install the agent's package again; a model of your own needs a card that fits it"),
        )
    return found[0]
