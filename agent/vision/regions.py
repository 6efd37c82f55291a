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


def groups(marked: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The marked windows in groups, each of the shape of `marked`.

    Windows that touch or have one unmarked between them belong together: the two edges of a leg are one
    person.
    """
    if not marked.any():
        return []
    count, labels = cv2.connectedComponents(cv2.dilate(marked.astype(np.uint8), _NEIGHBOURS))
    return [marked & (labels == label) for label in range(1, count)]


def area(marked: NDArray[np.bool_], shape: tuple[int, ...]) -> float:
    """Share of the picture that the marked windows cover."""
    return float(np.count_nonzero(marked)) * BLOCK * BLOCK / (shape[0] * shape[1])


def box(marked: NDArray[np.bool_], shape: tuple[int, ...]) -> Box:
    """The box around the marked windows; `shape` is (height, width) of the lores plane."""
    height, width = shape
    whole = crop(shape)
    ys, xs = np.nonzero(marked)
    x0, x1 = int(xs.min()) * BLOCK + _INSET, (int(xs.max()) + 2) * BLOCK - _INSET
    y0, y1 = int(ys.min()) * BLOCK + _INSET, (int(ys.max()) + 2) * BLOCK - _INSET
    top, left = whole[0].start, whole[1].start
    return Box((left + x0) / width, (top + y0) / height, (x1 - x0) / width, (y1 - y0) / height)
