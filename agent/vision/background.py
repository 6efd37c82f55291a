"""The view without what moves, always learning.

A running mean per pixel (halved plane). Where something foreign stands it learns slowly, elsewhere fast, and
nowhere not at all: what stays becomes background within a minute, and a change of light never leaves it
behind for good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.vision.structure import view_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.vision.structure import View

LEARN_EVERY_S = 0.28  # three frames at 10 fps: the mean does not care, the processor does
MEMORY_S = 4.0  # noise averages out over 40 frames; banding and auto exposure are followed
FOREIGN_MEMORY_S = 20.0  # somebody who waits for the lift stays foreign for most of that time


class Background:
    """The learned view; `view` compares like any other."""

    def __init__(self, first: View) -> None:
        self.view = first
        self.noise = 1.0
        """Variance of its noise, as a share of a single picture's."""

    def due(self, t: float) -> bool:
        """Whether it is time to learn."""
        return t - self.view.t >= LEARN_EVERY_S

    def learn(self, now: View, foreign: NDArray[np.bool_]) -> None:
        """Take in `now`; `foreign`, per fine window, marks what does not belong to the view."""
        dt = now.t - self.view.t
        # A young mean averages evenly: each picture counts as much as any before.
        pace = min(1.0, max(dt / MEMORY_S, self.noise / (1 + self.noise)))
        self.noise = (1 - pace) ** 2 * self.noise + pace**2
        share = np.full(now.blocks.shape, pace, np.float32)
        share[:-1, :-1][foreign] = min(1.0, dt / FOREIGN_MEMORY_S)
        size = (now.fine.shape[1], now.fine.shape[0])
        wide = cv2.resize(share, size, interpolation=cv2.INTER_NEAREST)
        wide *= now.fine - self.view.fine
        wide += self.view.fine
        self.view = view_of(np.asarray(wide, np.float32), now.t)

    def restart(self, now: View) -> None:
        """Take `now` for the view: the light is another, the old mean says nothing about it."""
        self.view = now
        self.noise = 1.0
