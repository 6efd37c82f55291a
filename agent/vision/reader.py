"""A square of a picture as the model wants it. The buffers live as long as the reader.

Planes are scaled before they are converted, which costs a tenth of converting first; fresh buffers for each
crop would cost as much again in page faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.vision.tone import BLACK, clear

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.picture import Picture
    from agent.vision.crops import Square

GREY = 128  # chroma without colour


class CropReader:
    """Reads squares as RGB, `side` x `side`; `side` is even."""

    def __init__(self, side: int) -> None:
        self._side = side
        self._planes = np.empty((side * 3 // 2, side), np.uint8)
        self._luma = self._planes[:side]
        self._chroma = self._planes[side:].reshape(2, side // 2, side // 2)
        self._spare = np.empty((side, side), np.uint8)

    def read(self, picture: Picture, square: Square, out: NDArray[np.uint8]) -> None:
        """Fill `out`, shape (side, side, 3), with the square, cleared for the model.

        The square begins inside the picture; what of it lies outside is black.
        """
        x, y = square.x, square.y
        w, h = min(square.side, picture.width - x), min(square.side, picture.height - y)
        scale = self._side / square.side
        # Colour has half the resolution, so sizes are even.
        across, down = (max(2, round(pixels * scale / 2) * 2) for pixels in (w, h))
        if (across, down) != (self._side, self._side):
            self._luma.fill(BLACK)
        if (across, down) != (self._side, self._side) or picture.u is None:
            self._chroma.fill(GREY)
        luma = self._spare[:down, :across]
        cv2.resize(picture.y[y : y + h, x : x + w], (across, down), luma, interpolation=cv2.INTER_LINEAR)
        clear(luma, self._luma[:down, :across])
        if picture.u is not None and picture.v is not None:
            half = (across // 2, down // 2)
            part = (slice(y // 2, (y + h + 1) // 2), slice(x // 2, (x + w + 1) // 2))
            for plane, scaled in zip((picture.u, picture.v), self._chroma, strict=True):
                small = scaled[: half[1], : half[0]]
                cv2.resize(plane[part], half, small, interpolation=cv2.INTER_LINEAR)
        cv2.cvtColor(self._planes, cv2.COLOR_YUV2RGB_I420, out)
