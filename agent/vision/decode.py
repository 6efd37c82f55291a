"""From a model's raw tensors to boxes. numpy only; the scores are thresholded before anything is computed.

Boxes are rows x1, y1, x2, y2, score in fractions of the model's square input.

Sources: SSD anchors and box coding of the TensorFlow object detection API (ssd_anchor_generator with a
reduced lowest layer, scales 0.2..0.95, variances 10/10/5/5); NanoDet's distribution of distances
(generalised focal loss, 11 bins a side), RangiLyu/nanodet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

CANDIDATES = 150  # best boxes that suppression looks at: a crop holds a few persons, each found ten times
KEPT = 50  # boxes a crop may give


@dataclass(frozen=True, slots=True)
class Quantisation:
    """value = (stored - zero) * scale. A float tensor has scale 1, zero 0."""

    scale: float = 1.0
    zero: int = 0

    @classmethod
    def of(cls, detail: dict[str, Any]) -> Quantisation:
        """Of one entry of `Interpreter.get_output_details()`."""
        scale, zero = detail["quantization"]
        return cls(float(scale), int(zero)) if scale else cls()

    def real(self, stored: NDArray[Any]) -> Floats:
        """The values."""
        return (stored.astype(np.float32) - np.float32(self.zero)) * np.float32(self.scale)

    def stored(self, value: float) -> float:
        """The smallest stored number that means at least `value`; for comparing without converting."""
        return (
            value if self.scale == 1.0 and not self.zero else math.ceil(value / self.scale - 1e-6) + self.zero
        )


class Decoder(Protocol):
    """How the two outputs of a model become boxes."""

    shapes: tuple[tuple[int, int, int], tuple[int, int, int]]
    """Of the outputs that it reads: boxes, scores."""

    def boxes(self, raw: Floats, rows: NDArray[np.intp]) -> Floats:
        """x1, y1, x2, y2 for the raw rows at the indices `rows`."""
        ...


class SsdDecoder:
    """SSD: offsets from fixed anchors on six maps."""

    _MAPS = (19, 10, 5, 3, 2, 1)  # of the 300x300 input

    def __init__(self, side: int) -> None:
        del side  # the anchors are fractions
        self._anchors = self._make_anchors()
        self.shapes = ((1, len(self._anchors), 4), (1, len(self._anchors), 1))

    def boxes(self, raw: Floats, rows: NDArray[np.intp]) -> Floats:
        """See Decoder. A raw row is ty, tx, th, tw."""
        a = self._anchors[rows]
        centre = raw[:, :2] / 10 * a[:, 2:] + a[:, :2]
        half = np.exp(raw[:, 2:] / 5) * a[:, 2:] / 2
        corners = np.concatenate([(centre - half)[:, ::-1], (centre + half)[:, ::-1]], axis=1)
        return np.asarray(corners.clip(0, 1), np.float32)

    @classmethod
    def _make_anchors(cls) -> Floats:
        """cy, cx, h, w."""
        scales = [0.2 + 0.15 * i for i in range(6)] + [1.0]
        rows = []
        for i, n in enumerate(cls._MAPS):
            # (scale, width to height)
            shapes = [(scales[i], r) for r in (1.0, 2.0, 0.5, 3.0, 0.3333)]
            shapes.append((math.sqrt(scales[i] * scales[i + 1]), 1.0))
            if i == 0:
                shapes = [(0.1, 1.0), (scales[0], 2.0), (scales[0], 0.5)]
            rows += [
                ((y + 0.5) / n, (x + 0.5) / n, s / math.sqrt(r), s * math.sqrt(r))
                for y in range(n)
                for x in range(n)
                for s, r in shapes
            ]
        return np.array(rows, np.float32)


class NanodetDecoder:
    """NanoDet: distances to the four sides from fixed points, each as a distribution over bins."""

    _STRIDES = (8, 16, 32)
    _BINS = 11

    def __init__(self, side: int) -> None:
        points = []
        for stride in self._STRIDES:
            n = -(-side // stride)
            y, x = np.mgrid[0:n, 0:n] * stride + 0.5 * (stride - 1)
            points.append(np.stack([x.ravel(), y.ravel(), np.full(n * n, stride)], axis=1))
        self._points = (np.concatenate(points) / side).astype(np.float32)
        self._bins = np.arange(self._BINS, dtype=np.float32)
        self.shapes = ((1, len(self._points), 4 * self._BINS), (1, len(self._points), 1))

    def boxes(self, raw: Floats, rows: NDArray[np.intp]) -> Floats:
        """See Decoder. A raw row is 4 sides (left, top, right, bottom) of 11 bins."""
        weights = raw.reshape(-1, 4, self._BINS)
        weights = np.exp(weights - weights.max(axis=2, keepdims=True))
        points = self._points[rows]
        distance = weights @ self._bins / weights.sum(axis=2) * points[:, 2:]
        xy = points[:, :2]
        corners = np.concatenate([xy - distance[:, :2], xy + distance[:, 2:]], axis=1)
        return np.asarray(corners.clip(0, 1), np.float32)


DECODERS: dict[str, type[SsdDecoder | NanodetDecoder]] = {"ssd": SsdDecoder, "nanodet": NanodetDecoder}
"""By the `decode` of a card."""


def suppress(boxes: Floats, scores: Floats, iou: float) -> list[int]:
    """Greedy suppression of overlapping boxes: the kept indices, best score first, ties by index."""
    order = np.argsort(-scores, kind="stable")[:CANDIDATES]
    corners = boxes[order]
    low = np.maximum(corners[:, None, :2], corners[None, :, :2])
    high = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
    common = np.maximum(high - low, 0).prod(axis=2)
    area = common.diagonal()
    apart = common <= iou * (area[:, None] + area - common)
    alive = np.ones(len(order), bool)
    kept: list[int] = []
    for i, index in enumerate(order.tolist()):
        if not alive[i]:
            continue
        kept.append(index)
        if len(kept) == KEPT:
            break
        alive &= apart[i]
    return kept
