"""The view without what moves, always learning.

A running mean per pixel (halved plane). Where something foreign stands it learns slowly, elsewhere fast, and
nowhere not at all: what stays becomes background within a minute, and a change of light never leaves it
behind for good.

Beside it stand a few memories: how the view looked in other light, and some time ago. A lamp has few states,
so when one comes back the view is known at once, without whoever came in with it; and what only returns to an
earlier look (a door that closes, light that leaves) is nothing new.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.vision.structure import View, distance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.structure import Plane

LEARN_EVERY_S = 0.28  # three frames at 10 fps: the mean does not care, the processor does
CALM_EVERY_S = 0.58  # six frames, once it is mature and nothing stirs; at 0.8 s a lamp was taken for motion
MEMORY_S = 4.0  # noise averages out over 40 frames; banding and auto exposure are followed
FOREIGN_MEMORY_S = 20.0  # somebody who waits for the lift stays foreign for most of that time
LIGHTS = 3  # memories of other light: lamp, daylight, infrared
KEEP_EVERY_S = 20.0  # memories of the present light, two of them: longer than a door stands open
MATURE = 0.2  # share of a single picture's noise below which a mean is worth remembering
FAR = 1e6  # levels²: no memory
KNOWN = 2.0  # median distance to a memory, over the noise, below which the light is the same


class Background:
    """The learned view; `view` compares like any other."""

    def __init__(self, first: View) -> None:
        self.view = first
        self.noise = 1.0
        """Variance of its noise, as a share of a single picture's."""
        self._lights: deque[View] = deque(maxlen=LIGHTS)
        self._earlier: deque[View] = deque(maxlen=2)

    @property
    def looks(self) -> tuple[View, ...]:
        """The view, now and some time ago, in the present light."""
        return (self.view, *self._earlier)

    def due(self, t: float, *, calm: bool = False) -> bool:
        """Whether it is time to learn; in a calm view it is less often."""
        every = CALM_EVERY_S if calm and self.noise <= MATURE else LEARN_EVERY_S
        return t - self.view.t >= every

    def learn(self, now: View, foreign: NDArray[np.bool_]) -> None:
        """Take in `now`; `foreign`, per fine window, marks what does not belong to the view."""
        dt = now.t - self.view.t
        # A young mean averages evenly: each picture counts as much as any before.
        pace = min(1.0, max(dt / MEMORY_S, self.noise / (1 + self.noise)))
        self.noise = (1 - pace) ** 2 * self.noise + pace**2
        share = np.full(now.blocks.shape, pace, np.float32)
        share[:-1, :-1][foreign] = min(1.0, dt / FOREIGN_MEMORY_S)
        size = (now.fine.shape[1], now.fine.shape[0])
        wide = np.asarray(cv2.resize(share, size, interpolation=cv2.INTER_NEAREST), np.float32)
        wide *= now.fine - self.view.fine
        wide += self.view.fine
        self.view = View(now.t, wide)
        old = not self._earlier or now.t - self._earlier[-1].t >= KEEP_EVERY_S
        if old and self.noise <= MATURE:
            self._earlier.append(self.view)

    def restart(self, now: View, noise: float) -> None:
        """The light is another: go on from the memory of it, or from `now` when there is none.

        `noise` is the variance of a pixel of `now`.
        """
        if self.noise <= MATURE:
            self._lights.append(self.view)
        self._earlier.clear()
        split = now.fine_windows
        ranked = [(_middle(distance(now, light)[:split]), k) for k, light in enumerate(self._lights)]
        best, which = min(ranked, default=(np.inf, 0))
        if best <= KNOWN * noise:
            self.view, self.noise = View(now.t, self._lights[which].fine), MATURE
            del self._lights[which]
        else:
            self.view, self.noise = now, 1.0

    def remembered(self, now: View) -> Plane:
        """The least distance of `now` to any memory, flat as `View.mean`."""
        least = np.full(now.mean.shape, FAR, np.float32)
        for memory in (*self._lights, *self._earlier):
            np.minimum(least, distance(now, memory), out=least)
        return least


def _middle(values: Plane) -> float:
    at = values.size // 2
    return float(np.partition(values, at)[at])
