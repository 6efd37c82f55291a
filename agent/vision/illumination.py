"""Whether the light of the whole view is changing right now.

The test is on the logarithm of block means, where a lamp is a shift. It compares with a short while
ago, so a ramp counts as long as it lasts, and calm returns by itself so soon after its end.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from agent.vision.structure import PEDESTAL

if TYPE_CHECKING:
    from agent.vision.structure import Plane

SPAN_S = 0.4  # lamps ramp for 0.1 to 0.7 s; longer would keep the state after its end
SHIFT = 0.08  # 8 %: banding and auto exposure stay below 5 %
WIDE = 0.35  # share of blocks: a person near the camera covers a third
HALF_SHIFT, HALF = 0.06, 0.5  # half the view by less is no person either


class Illumination:
    """Watches block means, shape (rows, cols)."""

    def __init__(self, blocks: Plane, t: float) -> None:
        self._past: deque[tuple[float, Plane]] = deque([(t, np.log(blocks + PEDESTAL))])

    def changing(self, blocks: Plane, t: float) -> bool:
        """Whether the light changed widely within the span."""
        now = np.log(blocks + PEDESTAL)
        past = self._past
        while len(past) > 1 and past[1][0] <= t - SPAN_S:
            past.popleft()
        shift = np.abs(now - past[0][1])
        past.append((t, now))
        return bool(
            np.count_nonzero(shift > SHIFT) > WIDE * shift.size
            or np.count_nonzero(shift > HALF_SHIFT) > HALF * shift.size
        )
