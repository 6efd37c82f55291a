"""How large the distance between two views of the same scene gets by itself.

It has two parts, in logarithms. The first is common to the frame: gain goes up when the lamp goes out, a key
frame redraws everything, and the typical window shows it at once. It rises in one frame and falls slowly.
The second is each window's own: a running quantile (stochastic approximation: Robbins and Monro, 1951) that
rises by `rate·q` while the distance is above and falls by `rate·(1 - q)` while below. So it needs no
histogram, does not mind how large an outlier is, and never stops learning: a monitor or a curtain makes its
own windows insensitive within a minute, and only those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from agent.vision.structure import Plane

QUANTILE = 0.85
RATE_PER_S = 0.15  # e-folds: ten seconds of fidgeting cost one e-fold of three to five
TYPICAL = 0.45  # rank of the frame's typical window: persons cover less than the other half
TYPICAL_RATIO = 0.6  # distance at that rank over the quantile, on footage of constant noise
FALL_PER_S = 0.7  # e-folds: key frames come every second or two and must be remembered until the next
LOWEST_OWN = -1.0  # a window that is always still may be so much more sensitive than the typical one
FINE_FLOOR = 0.3  # levels²: rounding to 8 bits and the coder's own steps
COARSE_FLOOR = 0.05


class NoiseFloor:
    """The learned level of one kind of distance (flat: fine windows, then coarse)."""

    def __init__(self, fine_windows: int, windows: int) -> None:
        self._split = fine_windows
        self._floor = np.full(windows, COARSE_FLOOR, np.float32)
        self._floor[:fine_windows] = FINE_FLOOR
        self._own = np.zeros(windows, np.float32)
        self._common = [-np.inf, -np.inf]
        self._level: Plane | None = None

    @property
    def fine(self) -> float:
        """The common level of fine windows, levels²: about the variance of a pixel."""
        return float(np.exp(self._common[0]))

    @property
    def level(self) -> Plane:
        """The level of each window, levels²."""
        if self._level is None:
            level = self._own.copy()
            level[: self._split] += np.float32(self._common[0])
            level[self._split :] += np.float32(self._common[1])
            self._level = np.asarray(np.exp(level), np.float32)
        return self._level

    def over(self, distance: Plane) -> Plane:
        """Log of distance over noise, per window, without learning."""
        over = np.log(np.maximum(distance, self._floor)) - self._own
        over[: self._split] -= np.float32(self._common[0])
        over[self._split :] -= np.float32(self._common[1])
        return np.asarray(over, np.float32)

    def excess(self, distance: Plane, dt: float) -> Plane:
        """Log of distance over noise, per window; learns from the distance on the way.

        `dt` is the time since the last call, in seconds.
        """
        excess: Plane = np.asarray(np.log(np.maximum(distance, self._floor)), np.float32)
        excess -= self._own
        for scale, span in enumerate((slice(0, self._split), slice(self._split, None))):
            typical = _rank(excess[span], TYPICAL) - float(np.log(TYPICAL_RATIO))
            self._common[scale] = max(typical, self._common[scale] - FALL_PER_S * dt)
            excess[span] -= np.float32(self._common[scale])
        self._level = None
        step = np.float32(RATE_PER_S * dt)
        self._own += (excess > 0) * step - step * np.float32(1 - QUANTILE)
        np.maximum(self._own, np.float32(LOWEST_OWN), out=self._own)
        return excess


def _rank(values: Plane, share: float) -> float:
    some = values[::3]  # windows overlap: every third tells as much
    at = int(share * (some.size - 1))
    return float(np.partition(some, at)[at])
