"""Areas burned black before anything sees them.

Invariant: a pixel that a mask's polygon touches leaves this module black, in luma and in chroma. The
raster errs to the outside by up to three pixels, never to the inside; a polygon that crosses itself is
filled whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from agent.config import Mask
    from agent.types import Luma

BLACK_LUMA, BLACK_CHROMA = 16, 128  # BT.601, limited range

# Rounding a corner moves an edge by half a pixel, its drawn line by another half, and the point that
# touches a pixel lies up to one more from its centre: two pixels to each side cover all of it.
MARGIN = np.ones((5, 5), np.uint8)


class PrivacyMask:
    """Burns the masks into pictures of any size; rasters are kept per size."""

    def __init__(self, masks: Sequence[Mask]) -> None:
        self._polygons = [np.array(mask.polygon, np.float64) for mask in masks]
        self._stencils: dict[tuple[int, int], tuple[_Stencil, _Stencil]] = {}
        self._patches: dict[tuple[int, int], tuple[_Patch, _Patch]] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to burn."""
        return bool(self._polygons)

    def apply(self, picture: Picture) -> Picture:
        """The picture with masked pixels black, in planes of its own; the same picture without masks."""
        if not self._polygons:
            return picture
        size = (picture.width, picture.height)
        if size not in self._stencils:
            rasters = self._draw(*size)
            self._stencils[size] = _Stencil.of(rasters[0], BLACK_LUMA), _Stencil.of(rasters[1], BLACK_CHROMA)
        luma, chroma = self._stencils[size]
        u, v = (None if plane is None else chroma.burn(plane) for plane in (picture.u, picture.v))
        return Picture(luma.burn(picture.y), u, v)

    def burn(self, y: Luma, chroma: Sequence[Luma] = ()) -> None:
        """Blacken the masked pixels in place: a camera's own buffer, before anything reads it.

        `chroma` are U and V, or one plane in which they alternate. Memory is only written to.
        """
        if not self._polygons:
            return
        height, width = y.shape
        if (width, height) not in self._patches:
            rasters = self._draw(width, height)
            self._patches[width, height] = _Patch.of(rasters[0]), _Patch.of(rasters[1])
        luma, colour = self._patches[width, height]
        luma.burn(y, BLACK_LUMA)
        for plane in chroma:
            colour.burn(plane.reshape(*plane.shape[:1], (width + 1) // 2, -1), BLACK_CHROMA)

    def _draw(self, width: int, height: int) -> tuple[Luma, Luma]:
        """What is masked (255) of luma and of chroma."""
        raster = np.zeros((height, width), np.uint8)
        for polygon in self._polygons:
            # A whole number in OpenCV is the centre of a pixel; the far border belongs to the last one.
            corners = np.rint(polygon * (width, height) - 0.5).astype(np.int32)
            corners = np.clip(corners, 0, (width - 1, height - 1))
            shape = np.zeros_like(raster)
            cv2.fillPoly(shape, [corners], (255,))
            # fillPoly leaves the inside of a star empty: what its outline encloses is masked as well.
            outlines, _ = cv2.findContours(shape, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(raster, outlines, -1, (255,), cv2.FILLED)
        luma = np.asarray(cv2.dilate(raster, MARGIN), np.uint8)
        even = np.pad(luma, ((0, height % 2), (0, width % 2)))
        chroma = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).max(axis=(1, 3))
        return luma, np.asarray(chroma, np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Stencil:
    """What a plane keeps (255 or 0) and what takes the place of the rest; two passes of SIMD."""

    keep: Luma
    fill: Luma

    @classmethod
    def of(cls, raster: Luma, level: int) -> _Stencil:
        return cls(np.bitwise_not(raster), np.bitwise_and(raster, np.uint8(level)))

    def burn(self, plane: Luma) -> Luma:
        """A copy of `plane` with `fill` where it is not kept."""
        return np.asarray(cv2.bitwise_or(cv2.bitwise_and(plane, self.keep), self.fill), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Patch:
    """The rectangle that holds all that is masked, and which of its pixels are."""

    rows: slice
    columns: slice
    where: NDArray[np.bool_]

    @classmethod
    def of(cls, raster: Luma) -> _Patch:
        x, y, width, height = cv2.boundingRect(raster)
        rows, columns = slice(y, y + height), slice(x, x + width)
        return cls(rows, columns, raster[rows, columns] != 0)

    def burn(self, plane: Luma, level: int) -> None:
        """Set what is masked in `plane`, shape (height, width) or (height, width, n), to `level`."""
        where = self.where if plane.ndim == self.where.ndim else self.where[..., None]
        np.copyto(plane[self.rows, self.columns], np.uint8(level), where=where)
