"""Whether a change is only the camera's own movement.

A door that bangs moves every edge of the view by the same fraction of a pixel. Phase correlation (Kuglin and
Hines, 1975) measures that shift; if moving the picture back removes most of the distance, nothing else moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.vision.structure import distance, view_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.structure import View

SMALLEST = 0.08  # pixels of the halved plane: below it the shift is the estimate's own noise
LARGEST = 6.0  # beyond it the camera was turned, not shaken
REMOVED = 0.5  # share of the distance that must go; sub-pixel interpolation leaves a fifth


def is_shake(now: View, then: View, where: NDArray[np.bool_]) -> bool:
    """Whether a shift of the whole picture explains the distance in the fine windows `where`."""
    height, width = now.fine.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    # Copies: phaseCorrelate multiplies the window into its arguments when their size suits the transform.
    (dx, dy), _ = cv2.phaseCorrelate(then.fine.copy(), now.fine.copy(), window)
    if not SMALLEST <= max(abs(dx), abs(dy)) <= LARGEST:
        return False
    back = cv2.warpAffine(
        now.fine,
        np.array([[1, 0, dx], [0, 1, dy]], np.float32),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    marked = where.ravel()
    rest = distance(view_of(np.asarray(back, np.float32), now.t), then)[: marked.size]
    before = distance(now, then)[: marked.size]
    return float(rest[marked].sum()) < (1 - REMOVED) * float(before[marked].sum())
