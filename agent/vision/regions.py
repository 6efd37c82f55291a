"""From marked windows to boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.types import Box
from agent.vision.structure import BLOCK

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEIGHBOURS = np.ones((3, 3), np.uint8)
_INSET = BLOCK // 2  # a window is two blocks wide, what it reports lies around its middle


def crop(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The rows and columns of a plane that are whole blocks, centred."""
    sides = []
    for side in shape:
        spare = side % BLOCK
        sides.append(slice(spare // 2, side - spare + spare // 2))
    return sides[0], sides[1]


def boxes(marked: NDArray[np.bool_], shape: tuple[int, ...], least: float) -> tuple[Box, ...]:
    """One box around each group of marked windows that covers at least `least` of the picture.

    `marked` has shape (rows - 1, cols - 1); `shape` is (height, width) of the lores plane. Windows that
    touch or have one unmarked between them belong together: the two edges of a leg are one person.
    """
    if not marked.any():
        return ()
    height, width = shape
    whole = crop(shape)
    top, left = whole[0].start, whole[1].start
    count, labels = cv2.connectedComponents(cv2.dilate(marked.astype(np.uint8), _NEIGHBOURS))
    found = []
    for label in range(1, count):
        ys, xs = np.nonzero(marked & (labels == label))
        if len(ys) * BLOCK * BLOCK < least * height * width:
            continue
        x0, x1 = left + int(xs.min()) * BLOCK + _INSET, left + (int(xs.max()) + 2) * BLOCK - _INSET
        y0, y1 = top + int(ys.min()) * BLOCK + _INSET, top + (int(ys.max()) + 2) * BLOCK - _INSET
        found.append(Box(x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height))
    return tuple(found)
