"""Whether a change is only the camera's own movement.

A door that bangs moves every edge of the view by the same fraction of a pixel. So the shift is measured by
Gauss-Newton steps (Lucas and Kanade, 1981) on everything but the suspected change; if moving the picture back
by it removes the change as well, nothing else moved. A person would not obey a shift measured elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.vision.structure import BLOCK, View, distance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.regions import Group
    from agent.vision.structure import Plane

STEPS = 4  # a shift of two pixels is right to a tenth after three
SMOOTHING = (5, 5)  # pixels: widens what a step can catch to about two pixels
SMALLEST = 0.1  # pixels of the halved plane: below it the shift is noise
LARGEST = 6.0  # beyond it the camera was turned, not shaken
BORDER = 8  # pixels: what a shift brings in from outside is unknown
OUTLIER = 40.0  # levels: another moving thing must not pull the shift
REMOVED = 0.4  # share of the distance that must go; noise and interpolation leave up to a half


def is_shake(now: View, then: View, suspects: list[Group]) -> bool:
    """Whether a shift of the whole picture explains the distance in the suspected windows."""
    shift = _shift(now.fine, then.fine, suspects)
    if not SMALLEST <= max(map(abs, shift)) <= LARGEST:
        return False
    rows, cols = now.blocks.shape[0] - 1, now.blocks.shape[1] - 1
    rest, before = (
        distance(of, then)[: rows * cols].reshape(rows, cols)
        for of in (View(now.t, _moved(now.fine, shift)), now)
    )
    left, whole = (sum(float(of[g.span][g.marked].sum()) for g in suspects) for of in (rest, before))
    return left < (1 - REMOVED) * whole


def _shift(fine: Plane, reference: Plane, suspects: list[Group]) -> tuple[float, float]:
    """How far `fine` has moved against `reference` beside the suspects, pixels; 0 where nothing tells."""
    scale = BLOCK // 2
    asked = np.ones(fine.shape, np.bool_)
    for group in suspects:
        rows, cols = group.span
        asked[rows.start * scale : (rows.stop + 1) * scale, cols.start * scale : (cols.stop + 1) * scale] = (
            False
        )
    asked[:BORDER] = asked[-BORDER:] = asked[:, :BORDER] = asked[:, -BORDER:] = False
    smooth = np.asarray(cv2.blur(reference, SMOOTHING), np.float32)
    slope_y, slope_x = (g[asked].astype(np.float64) for g in np.gradient(smooth))
    xx, xy, yy = _dot(slope_x, slope_x), _dot(slope_x, slope_y), _dot(slope_y, slope_y)
    det = xx * yy - xy * xy
    x = y = 0.0
    if det <= 0:
        return x, y
    for _ in range(STEPS):
        rest = np.asarray(cv2.blur(_moved(fine, (x, y)), SMOOTHING), np.float32) - smooth
        cut = np.clip(rest[asked].astype(np.float64), -OUTLIER, OUTLIER)
        along_x, along_y = _dot(slope_x, cut), _dot(slope_y, cut)
        x -= (yy * along_x - xy * along_y) / det
        y -= (xx * along_y - xy * along_x) / det
    return x, y


def _dot(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The scalar product in a fixed order: BLAS sums differently with each number of threads."""
    return float((a * b).sum())


def _moved(fine: Plane, shift: tuple[float, float]) -> Plane:
    """The plane moved back by `shift`."""
    moved = cv2.warpAffine(
        fine,
        np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32),
        (fine.shape[1], fine.shape[0]),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, np.float32)
