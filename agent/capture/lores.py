"""The small plane that motion and scene analysis look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.capture.plane_size import reduction

if TYPE_CHECKING:
    from agent.types import Luma


def reduce_luma(y: Luma) -> Luma:
    """`y` (height, width) reduced by `reduction`: a contiguous copy of shape (height // r, width // r).

    From ratio 3 on, two by two points of each block are picked and averaged. An average of the whole
    block costs six times as much at full HD and its noise is not what limits motion detection. Columns
    and rows beyond a multiple of the ratio are left out.
    """
    height, width = y.shape
    r = reduction(width, height)
    if r == 1:
        return y.copy()
    rows, columns = height // r, width // r
    # At ratio 2 the picked points are all there are, and this step is a copy.
    points = cv2.resize(
        y[: rows * r, : columns * r], (2 * columns, 2 * rows), interpolation=cv2.INTER_NEAREST
    )
    return np.asarray(cv2.resize(points, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
