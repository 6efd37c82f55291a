"""What a commissioned view is known by: light and dark on a coarse grid, and how much texture.

A grid of 40 by 22 levels is enough to tell that a camera looks elsewhere, and shows nobody: no footage lies
on the card for it. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.vision.structure import BLOCK, view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.types import Luma
    from agent.vision.structure import Plane, View

STRUCTURED = 9.0  # levels² of variance that make a window worth comparing
CORRELATED = 0.5  # of a window that is still the same
ENOUGH = 0.1  # share of windows with structure; a bare wall is known by nothing
WINDOW = 4  # sides of a window, in blocks: the silhouette that noise and the dark leave
QUANTISATION = 0.1  # levels²: what a grid of whole levels costs


@dataclass(frozen=True, slots=True, eq=False)
class Landmark:
    """Levels of blocks of 8 x 8 lores pixels, shape (rows, columns); texture, levels², upper quartile."""

    blocks: NDArray[np.uint8]
    texture: float

    @classmethod
    def of(cls, luma: Luma) -> Landmark:
        """The landmark of a picture, shape (height, width)."""
        rows, columns = luma.shape[0] // BLOCK, luma.shape[1] // BLOCK
        seen = view(luma[: rows * BLOCK, : columns * BLOCK], 0.0)
        return cls(np.rint(seen.blocks).astype(np.uint8), upper(fine_energy(seen)))

    @property
    def tells(self) -> bool:
        """Whether there is enough structure to know the view by."""
        _, variance = _moments(self.blocks.astype(np.float32))
        return float(np.mean(variance > STRUCTURED)) >= ENOUGH

    def kept(self, now: View) -> float | None:
        """The share of its structured windows that are in the view still; None: the view has another size."""
        if now.blocks.shape != self.blocks.shape:
            return None
        then = self.blocks.astype(np.float32)
        mean, variance = _moments(then)
        now_mean, now_variance = _moments(now.blocks)
        covariance = _mean(then * now.blocks) - mean * now_mean
        alike = covariance / np.sqrt((variance + QUANTISATION) * (now_variance + QUANTISATION))
        structured = variance > STRUCTURED
        return float(np.mean(alike[structured] > CORRELATED)) if structured.any() else 1.0


def fine_energy(of: View) -> Plane:
    """Mean square of what a 5 x 5 blur removes, per block, levels²."""
    rest = of.fine - cv2.blur(of.fine, (5, 5))
    size = (of.blocks.shape[1], of.blocks.shape[0])
    return np.asarray(cv2.resize(rest * rest, size, interpolation=cv2.INTER_AREA), np.float32)


def upper(energy: Plane) -> float:
    """The upper quartile: where the texture is, when there is any."""
    at = energy.size * 3 // 4
    return float(np.partition(energy, at, axis=None)[at])


def _moments(blocks: Plane) -> tuple[Plane, Plane]:
    """Mean and variance of each window."""
    mean = _mean(blocks)
    return mean, np.maximum(_mean(blocks * blocks) - mean * mean, 0)


def _mean(blocks: Plane) -> Plane:
    """The mean of each window of WINDOW x WINDOW blocks."""
    return np.asarray(
        cv2.boxFilter(blocks, -1, (WINDOW, WINDOW), anchor=(0, 0))[: 1 - WINDOW, : 1 - WINDOW], np.float32
    )
