"""Whether two pictures show the same structure, whatever the light did.

A lamp multiplies and lifts the brightness of a small window; it does not change what is in it. So a window
is compared after the best gain and offset have been taken out. What is left, per unit of noise, is the
evidence that something else stands there.

The distance is the total-least-squares residual of `y = a·x + c` with `a` held near the ratio of the means:
`E = (var y - 2a·cov + a²·var x) / (1 + a²)`. Both pictures carry the same noise, so under the hypothesis
"same scene" E is the noise variance for every gain; a free gain would explain a wall hidden by a flat coat
with a = 0, the bound does not.

Two scales are compared. Fine windows (16 x 16 lores pixels) see texture and edges. Coarse windows (32 x 32,
made of block means, where noise has averaged out) see the silhouette that the dark and the noise hide.
Both slide by one block, so that an edge is seen wherever it falls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.types import Luma

    Plane = NDArray[np.float32]

BLOCK = 8
"""Side of a block in lores pixels: a torso is 3 to 10 blocks wide."""

PEDESTAL = np.float32(8)  # video black is 16 in one camera, 0 in the next: ratios of means need a floor
GAIN_SLACK = np.float32(2)  # contrast follows the means only so loosely: glare lifts them, gamma bends both
QUANTISATION = np.float32(0.1)  # levels²: 8 bits, halved by averaging 2 x 2


class View:
    """One picture with the sums that every comparison needs; nothing in it changes.

    `fine` is the plane at half the lores size, levels 0..255; `blocks`, shape (rows, cols), its means over
    4 x 4. `mean` and `variance` are flat: first the fine windows, (rows - 1) x (cols - 1), then the coarse
    ones, (rows - 3) x (cols - 3). They are reckoned when first asked for: a calm picture is never asked.
    """

    __slots__ = ("_mean", "_variance", "blocks", "fine", "t")

    def __init__(self, t: float, fine: Plane) -> None:
        self.t = t
        self.fine = fine
        self.blocks = block_mean(fine)
        self._mean: Plane | None = None
        self._variance: Plane | None = None

    @property
    def fine_windows(self) -> int:
        """How many of the flat figures are fine windows."""
        rows, cols = self.blocks.shape
        return (int(rows) - 1) * (int(cols) - 1)

    @property
    def mean(self) -> Plane:
        """The mean of each window, levels."""
        if self._mean is None:
            self._mean = _both(self.blocks, self.blocks)
        return self._mean

    @property
    def variance(self) -> Plane:
        """The variance in each window, levels²."""
        if self._variance is None:
            squares = block_mean(self.fine * self.fine)
            self._variance = _spread(squares, self.blocks * self.blocks, self.mean * self.mean)
            np.maximum(self._variance, 0, out=self._variance)
        return self._variance


def view(luma: Luma, t: float) -> View:
    """The view of a lores plane whose sides are multiples of 8, at least 32."""
    half = cv2.resize(luma, (luma.shape[1] // 2, luma.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return View(t, half.astype(np.float32))


def distance(now: View, then: View) -> Plane:
    """What light cannot explain between two views, levels², flat as `View.mean`."""
    cov = _covariance(now, then)
    ratio = (now.mean + PEDESTAL) / (then.mean + PEDESTAL)
    gain = cov / (then.variance + QUANTISATION)
    np.maximum(gain, ratio * (1 / GAIN_SLACK), out=gain)
    ratio *= GAIN_SLACK
    np.minimum(gain, ratio, out=gain)
    rest = gain * then.variance
    cov *= 2
    rest -= cov
    rest *= gain
    rest += now.variance
    np.maximum(rest, 0, out=rest)
    gain *= gain
    gain += 1
    rest /= gain
    return rest


def difference(now: View, then: View) -> Plane:
    """The variance of the plain difference, levels², flat as `View.mean`.

    No gain is taken out, so it is never less than `distance` while no window became twice or half as bright,
    and costs half of it.
    """
    fine, blocks = now.fine - then.fine, now.blocks - then.blocks
    mean = _both(blocks, blocks)
    mean *= mean
    fine *= fine
    blocks *= blocks
    return _spread(block_mean(fine), blocks, mean)


def correlation(now: View, then: View) -> Plane:
    """Correlation of two views per window, -1..1, flat as `View.mean`."""
    power = (now.variance + QUANTISATION) * (then.variance + QUANTISATION)
    return np.asarray(_covariance(now, then) / np.sqrt(power), np.float32)


def block_mean(fine: Plane) -> Plane:
    """The mean of each block, shape (rows, cols)."""
    height, width = fine.shape
    # Two halvings: OpenCV has vector code for this ratio, and for no other.
    half = cv2.resize(fine, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(half, (width // 4, height // 4), interpolation=cv2.INTER_AREA), np.float32)


def _covariance(now: View, then: View) -> Plane:
    return _spread(block_mean(now.fine * then.fine), now.blocks * then.blocks, now.mean * then.mean)


def _spread(fine: Plane, coarse: Plane, common: Plane) -> Plane:
    """Window means of products less the product of the means, flat."""
    spread = _both(fine, coarse)
    spread -= common
    return spread


def _both(fine: Plane, coarse: Plane) -> Plane:
    """Window means of two block planes, the fine scale of one and the coarse of the other, flat."""
    inner = cv2.boxFilter(fine, -1, (2, 2), anchor=(0, 0))[:-1, :-1]
    wide = cv2.boxFilter(coarse, -1, (4, 4), anchor=(0, 0))[:-3, :-3]
    return np.concatenate((inner.ravel(), wide.ravel()))
