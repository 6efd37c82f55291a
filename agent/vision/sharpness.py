"""How sharp a part of a picture is: a face in motion is a smear, whatever the detector makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

if TYPE_CHECKING:
    from agent.types import Box, Luma

HEIGHT = 96  # pixels to which the part is reduced: noise averages out, what a person tells apart stays
SMALLEST = 8  # pixels a side: less has no edges to judge


def sharpness(luma: Luma, box: Box) -> float:
    """0..1 for the part of `luma` (height, width) inside `box`; 0 for one too small to judge.

    The spread of the Laplacian over that of the levels, so that neither light nor contrast counts. A person
    in focus has 0.5 to 0.8 on stairwell footage; smeared over 5 pixels of 100, three quarters of that; over
    17, half.
    """
    height, width = luma.shape
    top, left = max(0, int(box.y * height)), max(0, int(box.x * width))
    part = luma[top : int(box.y2 * height) + 1, left : int(box.x2 * width) + 1]
    if min(part.shape) < SMALLEST:
        return 0.0
    scale = HEIGHT / part.shape[0]
    if scale < 1:
        size = (max(1, round(part.shape[1] * scale)), HEIGHT)
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment] # still luma
    levels = float(part.std())
    return min(1.0, float(cv2.Laplacian(part, cv2.CV_32F).std()) / levels) if levels else 0.0
