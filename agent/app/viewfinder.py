"""What a technician aims a camera by: the picture, and how it is lit, focused and hung.

The agent measures when it is asked (`measured`), and whoever asks it over the hatch reads it (`look`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from pydantic import ValidationError

from agent.app import hatch
from agent.backbone.envelope import Message
from agent.capture.privacy import BLACK_LUMA
from agent.errors import SourceError, StairwellError
from agent.vision.scene import BURNT_LEVEL, DARK_LEVEL
from agent.vision.tilt import tilt
from agent.words import say, verbatim

if TYPE_CHECKING:
    from pathlib import Path

    from agent.app.analysis import Analysis
    from agent.types import Luma
    from agent.words import Text

PATIENCE_S = 15.0  # the agent notes who looks before it answers, and a slow card takes its time
DIM_LEVEL = 60.0  # mean; the darker end of a lit stairwell, where the detector begins to miss
BRIGHT_LEVEL = 170.0  # mean; lamps and windows burn out
BURNT_SHARE = 0.05  # of the picture; a lamp in view takes a hundredth
LEVEL_DEG = 1.5  # what nobody sees, and no hand turns finer
STATES = ("dark", "covered", "blinded", "moved", "blurred", "frozen")


class Aim(Message):
    """Figures of one picture."""

    v: int = 1
    t: float
    """Of the picture, seconds of the kit's monotonic time."""
    width: int
    height: int
    """Of the camera's picture; the JPEG may be smaller."""
    light: float
    """Mean level, 0..255."""
    burnt: float
    """Share of the picture that is burnt out."""
    contrast: float
    sharpness: float
    """Higher is sharper; comparable on one view only."""
    states: tuple[str, ...]
    """What the agent holds for wrong with the view."""
    tilt: float | None = None
    """Degrees that what is upright leans to the right; None: there is too little upright in view."""
    persons: int


@dataclass(frozen=True, slots=True)
class Look:
    """A picture as JPEG, masks burned in, with its figures."""

    aim: Aim
    jpeg: bytes


def measured(analysis: Analysis, *, masked: bool) -> Aim:
    """The figures of an analysed picture; `masked`: black in it may be a mask."""
    picture, scene = analysis.frame.picture, analysis.scene
    luma = picture.y
    return Aim(
        t=round(analysis.frame.t, 3),
        width=picture.width,
        height=picture.height,
        light=scene.brightness,
        burnt=round(float(np.count_nonzero(luma >= BURNT_LEVEL)) / luma.size, 4),
        contrast=scene.contrast,
        sharpness=scene.sharpness,
        states=tuple(name for name in STATES if getattr(scene, name)),
        tilt=tilt(luma, _black(luma) if masked else None),
        persons=sum(track.person for track in analysis.tracks),
    )


def packed(look: Look) -> bytes:
    """As the hatch gives it."""
    return look.aim.model_dump_json().encode() + b"\n" + look.jpeg


def look(state: Path) -> Look:
    """What the running agent sees now.

    Raises:
        OSError: as `hatch.ask`.
        SourceError: its camera gives no picture now, or it could not note who looks.
        StairwellError: the agent is of another version.
    """
    answer = hatch.reach(state, "aim", PATIENCE_S)
    if not answer:
        raise SourceError(
            say("the camera gives no picture now"), fix=say("`stairwell doctor --only 'cam.*'` tells why")
        )
    line, _, jpeg = answer.partition(b"\n")
    try:
        return Look(Aim.model_validate_json(line, extra="ignore"), jpeg)
    except ValidationError:
        raise StairwellError(
            say("the agent that runs is of another version: its answer makes no sense"),
            fix=verbatim("sudo systemctl restart stairwell-agent"),
        ) from None


def light(aim: Aim) -> tuple[bool, Text]:
    """Whether there is the right light, and what to do."""
    if aim.light < DARK_LEVEL:
        return False, say("dark: switch the light on, or look whether the lens is free")
    if aim.light < DIM_LEVEL:
        return False, say("dim: persons may be missed; more light, or camera.brightness_ev above 0")
    if aim.burnt > BURNT_SHARE or aim.light > BRIGHT_LEVEL:
        return False, say("too bright: turn the camera away from the lamp or the window")
    return True, say("good")


def level(aim: Aim) -> tuple[bool | None, Text]:
    """Whether the camera hangs level, None when that cannot be told; and how to turn it."""
    if aim.tilt is None:
        return None, say("cannot be told: no upright lines in view")
    degrees = abs(aim.tilt)
    if degrees < LEVEL_DEG:
        return True, say("level")
    if aim.tilt > 0:
        return False, say("turn the camera clockwise by {degrees:.0f}°, seen from behind it", degrees=degrees)
    return False, say(
        "turn the camera counterclockwise by {degrees:.0f}°, seen from behind it", degrees=degrees
    )


def _black(luma: Luma) -> Luma:
    """What may be masked: areas of pure black, not single pixels."""
    black = np.asarray(luma == BLACK_LUMA, np.uint8)
    return np.asarray(cv2.morphologyEx(black, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8)), np.uint8)
