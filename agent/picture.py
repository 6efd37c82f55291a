"""A full-size picture, and a part of it in colour; apart from `agent.types`, which loads without NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.types import Luma


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A full-size picture as I420 planes (BT.601); views of the decoder's memory, not copies.

    `y` has shape (height, width); `u` and `v` have shape ((height+1)//2, (width+1)//2), or are None for
    a grey picture.
    """

    y: Luma
    u: Luma | None = None
    v: Luma | None = None

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.y.shape[0])

    def rgb(self, x: int, y: int, w: int, h: int) -> NDArray[np.uint8]:
        """The rectangle (pixels; clipped to the picture) as RGB, shape (h, w, 3).

        Only this rectangle is converted: a full conversion costs more than a whole motion stage.
        """
        x0, y0 = max(0, x) & ~1, max(0, y) & ~1
        x1, y1 = min(self.width, x + w), min(self.height, y + h)
        luma = self.y[y0:y1, x0:x1]
        left, top = max(0, x) - x0, max(0, y) - y0
        if self.u is None or self.v is None:
            return np.repeat(luma[top:, left:, None], 3, axis=2)
        half = (slice(y0 // 2, (y1 + 1) // 2), slice(x0 // 2, (x1 + 1) // 2))
        size = (luma.shape[1], luma.shape[0])
        chroma = (
            cv2.resize(np.ascontiguousarray(p[half]), size, interpolation=cv2.INTER_NEAREST)
            for p in (self.v, self.u)
        )
        ycrcb = cv2.merge([np.ascontiguousarray(luma), *chroma])
        # OpenCV's YCrCb is full range; H.264 from cameras is 16..235 / 16..240: stretch before converting.
        rgb = cv2.cvtColor(cv2.LUT(ycrcb, _FULL_RANGE), cv2.COLOR_YCrCb2RGB)
        return np.asarray(rgb, np.uint8)[top:, left:]


def _range_table() -> NDArray[np.uint8]:
    """The table from limited to full range for Y, Cr, Cb, shape (1, 256, 3)."""
    level = np.arange(256, dtype=np.float32)
    luma = (level - 16) * (255 / 219)
    chroma = (level - 128) * (255 / 224) + 128
    table = np.stack([luma, chroma, chroma], axis=1)[None]
    return np.asarray(np.clip(np.rint(table), 0, 255), np.uint8)


_FULL_RANGE = _range_table()
