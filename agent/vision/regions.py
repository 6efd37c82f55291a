"""From marked windows to boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.types import Box
from agent.vision.structure import BLOCK

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEIGHBOURS = np.ones((3, 3), np.uint8)
_INSET = BLOCK // 2  # a window is two blocks wide: it reports for its middle


def crop(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The rows and columns of a plane that are whole blocks, centred."""
    sides = []
    for side in shape:
        spare = side % BLOCK
        sides.append(slice(spare // 2, side - spare + spare // 2))
    return sides[0], sides[1]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Marked windows that belong together: `marked` holds them within `span` of the grid of windows."""

    span: tuple[slice, slice]
    marked: NDArray[np.bool_]

    def area(self, shape: tuple[int, ...]) -> float:
        """Share of a picture of (height, width) `shape` that the windows cover."""
        return float(np.count_nonzero(self.marked)) * BLOCK * BLOCK / (shape[0] * shape[1])

    def box(self, shape: tuple[int, ...]) -> Box:
        """The box around the windows in a picture of (height, width) `shape`."""
        height, width = shape
        rows, cols = self.span
        whole = crop(shape)
        top, left = whole[0].start + rows.start * BLOCK + _INSET, whole[1].start + cols.start * BLOCK + _INSET
        tall, wide = (rows.stop - rows.start) * BLOCK, (cols.stop - cols.start) * BLOCK
        return Box(left / width, top / height, wide / width, tall / height)


def groups(marked: NDArray[np.bool_]) -> list[Group]:
    """The marked windows in groups.

    Windows that touch or have one unmarked between them belong together: the two edges of a leg are one
    person.
    """
    if not marked.any():
        return []
    rim = cv2.copyMakeBorder(marked.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(rim, _NEIGHBOURS))
    found = []
    for label in range(1, count):
        x, y, width, height = (int(v) for v in stats[label, :4])
        # The rim and the dilation cancel: the span is the windows' own, without either.
        span = np.s_[y : y + height - 2, x : x + width - 2]
        inside = labels[y + 1 : y + height - 1, x + 1 : x + width - 1] == label
        found.append(Group(span, marked[span] & inside))
    return found
