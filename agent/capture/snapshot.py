"""The small still picture that travels with an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.picture import Picture
from agent.types import Still

if TYPE_CHECKING:
    from agent.types import Luma

QUALITIES = (80, 65, 50, 35)  # below 35 a face is blocks: a smaller picture shows more
SHRINK = 0.8  # per round: four qualities are tried at each size
SMALLEST_SIDE = 16


def still(picture: Picture, max_bytes: int = 20_000, max_side: int = 640) -> Still:
    """The picture as JPEG of at most `max_bytes` and `max_side` pixels a side, aspect kept.

    The quality is lowered first, then the size. Masks must have been burned in before.

    Raises:
        ValueError: not even a thumbnail of SMALLEST_SIDE pixels fits.
    """
    scale = min(1.0, max_side / max(picture.width, picture.height))
    while True:
        width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        rgb = _resized(picture, width, height).rgb(0, 0, width, height)
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        for quality in QUALITIES:
            _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
            if len(data) <= max_bytes:
                return Still(data.tobytes(), width, height)
        if max(width, height) <= SMALLEST_SIDE:
            raise ValueError(f"no JPEG fits into {max_bytes} bytes")
        scale *= SHRINK


def _resized(picture: Picture, width: int, height: int) -> Picture:
    """Plane by plane: a conversion of the full size costs more than all the rest."""
    half = ((width + 1) // 2, (height + 1) // 2)
    u, v = (None if p is None else _resize(p, *half) for p in (picture.u, picture.v))
    return Picture(_resize(picture.y, width, height), u, v)


def _resize(plane: Luma, width: int, height: int) -> Luma:
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
