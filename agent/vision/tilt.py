"""How far a camera hangs askew, told by what is upright in the picture: door frames, corners, banisters.

The picture is searched for straight lines that are nearly upright. Their lean changes across the picture
when the camera looks up or down (they meet in a point), so a line is laid through lean against place: its
height in the middle is the tilt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.types import Luma

WIDTH = 640  # pixels that are looked at: lines of a hundred pixels tell a tenth of a degree
STEEP = 25.0  # degrees from upright; a camera that hangs worse is seen to without a hint
SHORTEST = 0.08  # of the picture's height; shorter ones are steps, locks and letters
ENOUGH = 1.0  # heights of the picture that all lines make together
AGREED = 3.0  # degrees of median distance from the fit; more, and they are no uprights of one room
ROUNDS = 8  # of weighing anew; it settles within five
SOFTENED = 0.5  # degrees: what is nearer to the fit than this counts in full


def tilt(luma: Luma, hidden: Luma | None = None) -> float | None:
    """The tilt of this picture, shape (height, width), in degrees; None: there is too little upright in it.

    Above 0 what is upright leans to the right, so the camera hangs turned to the left.

    `hidden`, of the same shape, is not 0 where the picture is masked: what touches that is no line of the
    house.
    """
    scale = min(1.0, WIDTH / luma.shape[1])
    small = cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = cv2.createLineSegmentDetector().detect(small)[0]  # None where there is no line at all
    lines = np.asarray([] if found is None else found, np.float64).reshape(-1, 4)  # type: ignore[redundant-expr]
    if hidden is not None:
        lines = lines[
            ~_touched(lines, cv2.resize(hidden, small.shape[::-1], interpolation=cv2.INTER_NEAREST))
        ]
    lines = np.where((lines[:, 1] < lines[:, 3])[:, None], lines, lines[:, [2, 3, 0, 1]])  # from the top down
    across, down = lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1]
    lean = np.degrees(np.arctan2(-across, down))
    length = np.hypot(across, down) / small.shape[0]
    upright = (np.abs(lean) <= STEEP) & (length >= SHORTEST)
    place = (lines[:, 0] + lines[:, 2])[upright] / (2 * small.shape[1]) - 0.5
    return _fit(place, lean[upright], length[upright])


def _fit(place: NDArray[np.float64], lean: NDArray[np.float64], length: NDArray[np.float64]) -> float | None:
    """The line of least absolute distance through lean against place, each weighed by its length."""
    if length.sum() < ENOUGH:
        return None
    design = np.stack([np.ones_like(place), place], axis=1)
    weight = length.copy()
    away = np.zeros_like(lean)
    steady = np.diag([0.0, 1e-3 * float(length.sum())])  # lines at one place only say nothing of the slope
    line = np.zeros(2)
    for _ in range(ROUNDS):
        weighed = design.T * weight
        line = np.linalg.solve(weighed @ design + steady, weighed @ lean)
        away = np.abs(lean - design @ line)
        weight = length / np.maximum(away, SOFTENED)
    order = np.argsort(away)
    middle = away[order][np.searchsorted(np.cumsum(length[order]), length.sum() / 2)]
    return None if middle > AGREED else round(float(line[0]), 1)


def _touched(lines: NDArray[np.float64], hidden: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Which of the lines begin, end or run at what is hidden."""
    near = cv2.dilate(np.asarray(hidden, np.uint8), np.ones((9, 9), np.uint8))
    touched = np.zeros(len(lines), np.bool_)
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = lines[:, 0] + part * (lines[:, 2] - lines[:, 0])
        y = lines[:, 1] + part * (lines[:, 3] - lines[:, 1])
        columns = np.clip(np.rint(x), 0, near.shape[1] - 1).astype(np.intp)
        rows = np.clip(np.rint(y), 0, near.shape[0] - 1).astype(np.intp)
        touched |= near[rows, columns] != 0
    return touched
