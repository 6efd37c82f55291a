"""Misses against false alarms of the motion stage and of the plain detectors, over their thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.capture.source import open_source
from agent.config import MotionSettings, load
from agent.types import Frame
from agent.vision.motion import MotionDetector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from groundtruth import Truth

AREAS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # of the picture
MOG2_FOREGROUND = 255  # shadows are 127
DIFFERENCE_LEVEL = 25  # grey levels


def curves(truth: Truth, sensitivities: Sequence[float]) -> dict[str, list[tuple[float, float]]]:
    """By detector: (share of empty time alarmed, share of visit time missed) for each threshold.

    The plain detectors vary the changed area that they call motion.
    """
    ours = [MotionDetector(MotionSettings(sensitivity=value)) for value in sensitivities]
    mog2 = cv2.createBackgroundSubtractorMOG2()
    before = None
    there: list[bool] = []
    alarms: list[list[bool]] = []
    areas: dict[str, list[float]] = {"MOG2 320x240": [], "frame difference": []}
    settings = load(None, {"capture": {"source": str(truth.video)}})
    for item in open_source(settings.capture, pace="max", keep_packets=False).items():
        if not isinstance(item, Frame):
            continue
        there.append(not truth.empty(item.t, item.t))
        alarms.append([bool(detector.step(item.luma, item.t).regions) for detector in ours])
        small = np.asarray(cv2.resize(item.luma, (320, 240), interpolation=cv2.INTER_AREA), np.uint8)
        areas["MOG2 320x240"].append(float((mog2.apply(small) == MOG2_FOREGROUND).mean()))
        changed = 0.0 if before is None else float((cv2.absdiff(small, before) > DIFFERENCE_LEVEL).mean())
        areas["frame difference"].append(changed)
        before = small
    found = {"stairwell motion": [_point(there, list(column)) for column in zip(*alarms, strict=True)]}
    for name, values in areas.items():
        found[name] = [_point(there, [value > area for value in values]) for area in AREAS]
    return found


def _point(there: list[bool], alarm: list[bool]) -> tuple[float, float]:
    visits = [up for up, person in zip(alarm, there, strict=True) if person]
    empty = [up for up, person in zip(alarm, there, strict=True) if not person]
    false = sum(empty) / len(empty) if empty else 0.0
    missed = 1 - sum(visits) / len(visits) if visits else 0.0
    return false, missed
