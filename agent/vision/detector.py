"""The person detector: squares of the picture in, persons in fractions of the picture out.

Weak detections are given too, down to `WEAK` of the threshold: they may keep a known track alive, though
never open one (the idea of ByteTrack, Zhang et al. 2022). Nothing is timed here: the caller has the clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from agent.errors import ModelError
from agent.types import Box, Detection
from agent.vision.decode import DECODERS, Quantisation, suppress
from agent.vision.models import load_card, verify
from agent.vision.reader import CropReader
from agent.vision.runtime import open_model
from agent.words import Text, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from agent.config import DetectorSettings
    from agent.picture import Picture
    from agent.vision.crops import Square
    from agent.vision.decode import Floats

WEAK = 0.3
"""Share of the threshold from which a box is given at all: ByteTrack's 0.1..0.2 for a threshold of 0.5."""

CONTAINED = 0.7  # of the smaller box inside the larger: half a person beside a whole one, not two people
CUT_AT = 0.02  # of the crop's side: a box that ends so near to the crop's border goes on beyond it


class PersonDetector:
    """One loaded model. Not for use by two threads at once.

    Raises:
        ModelError: the card or the model is missing, altered or unfit, or no runtime is installed.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        card = load_card(settings.model)
        self._card = card
        self._model = open_model(verify(card), card.label, settings.runtime, settings.threads)
        threshold = card.threshold if settings.threshold is None else settings.threshold
        self.threshold = threshold
        """Score from which a detection counts; weaker ones may keep a track alive."""
        self._weak = threshold * WEAK
        self._decoder = DECODERS[card.decode](card.side)
        [taken] = self._model.get_input_details()
        self._check("input", taken["shape"], (1, card.side, card.side, 3))
        if taken["dtype"] is not np.dtype(card.dtype).type:
            raise self._unfit(
                say("takes {its}, the card says {said}", its=taken["dtype"].__name__, said=card.dtype)
            )
        boxes, scores = self._model.get_output_details()
        for detail, shape in zip((boxes, scores), self._decoder.shapes, strict=True):
            self._check("output", detail["shape"], shape)
        self._reader = CropReader(card.side)
        self._rgb = None if card.dtype == "uint8" else np.empty((card.side, card.side, 3), np.uint8)
        self._input = self._model.tensor(taken["index"])
        self._boxes, self._scores = self._model.tensor(boxes["index"]), self._model.tensor(scores["index"])
        self._box_scale, self._score_scale = Quantisation.of(boxes), Quantisation.of(scores)
        self._weak_stored = self._score_scale.stored(self._weak)

    @property
    def label(self) -> str:
        """Name and short hash of the model."""
        return self._card.label

    @property
    def sha256(self) -> str:
        """Of the model's file."""
        return self._card.sha256

    def detect(self, picture: Picture, squares: Sequence[Square]) -> tuple[Detection, ...]:
        """Every person in the squares once, best score first; weak ones included.

        A square that reaches over the border is shifted inside; where the picture is smaller than the
        square the rest is black.
        """
        found: list[_Found] = []
        for number, square in enumerate(squares):
            found += self._look_at(picture, square, number)
        return tuple(one.detection for one in _merge(found, self._card.nms_iou))

    def look(self, rgb: NDArray[np.uint8]) -> Floats:
        """Persons in one RGB crop of any shape: rows x1, y1, x2, y2, score in fractions of the crop.

        A crop that is not square is fitted as the model's card says.
        """
        side = self._card.side
        height, width = rgb.shape[:2]
        scale = side / max(height, width)
        size = (round(width * scale), round(height * scale))
        if self._card.fit == "stretch":
            size = (side, side)
        view = self._input()[0]
        view.fill(0)
        view[: size[1], : size[0]] = cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR)
        del view
        return self._infer(size[0] / side, size[1] / side)

    def _look_at(self, picture: Picture, square: Square, number: int) -> list[_Found]:
        square = square.inside(picture.width, picture.height)
        w, h = min(square.side, picture.width), min(square.side, picture.height)
        view = self._input()[0]
        if self._rgb is None:
            self._reader.read(picture, square, view)
        else:
            self._reader.read(picture, square, self._rgb)
            np.copyto(view, self._rgb)
        del view  # the runtime refuses to run while somebody looks into its memory
        rows = self._infer(w / square.side, h / square.side)
        found = []
        for x1, y1, x2, y2, score in rows.tolist():
            cut = (
                (x1 < CUT_AT and square.x > 0)
                or (y1 < CUT_AT and square.y > 0)
                or (x2 > 1 - CUT_AT and square.x + w < picture.width)
                or (y2 > 1 - CUT_AT and square.y + h < picture.height)
            )
            left, top = (square.x + x1 * w) / picture.width, (square.y + y1 * h) / picture.height
            box = Box(left, top, (x2 - x1) * w / picture.width, (y2 - y1) * h / picture.height)
            found.append(_Found(Detection(box, score), number, cut))
        return found

    def _infer(self, width: float, height: float) -> Floats:
        """Run the model; the crop fills `width` x `height` (0..1) of the input, top left."""
        self._model.invoke()
        stored = self._scores()[0, :, 0]
        rows = np.flatnonzero(stored >= self._weak_stored)
        if not rows.size:
            return np.zeros((0, 5), np.float32)
        scores = self._score_scale.real(stored[rows])
        boxes = self._decoder.boxes(self._box_scale.real(self._boxes()[0, rows]), rows)
        if min(width, height) < 1:
            boxes = (boxes / np.array([width, height, width, height], np.float32)).clip(0, 1)
        kept = suppress(boxes, scores, self._card.nms_iou)
        return np.concatenate([boxes[kept], scores[kept, None]], axis=1)

    def _check(self, what: str, shape: Any, expected: tuple[int, ...]) -> None:  # noqa: ANN401 - numpy or list
        if tuple(int(n) for n in shape) != expected:
            raise self._unfit(
                say(
                    "{what} has shape {shape}, expected {expected}",
                    what=what,
                    shape=[int(n) for n in shape],
                    expected=list(expected),
                )
            )

    def _unfit(self, why: Text) -> ModelError:
        return ModelError(
            say("model {label}: {why}", label=self._card.label, why=why),
            fix=say(
                "correct side, dtype and decode in the card {card}.toml, or take another model",
                card=self._card.name,
            ),
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """A detection with the number of its crop, and whether the crop's border cuts it."""

    detection: Detection
    crop: int
    cut: bool


def _merge(found: list[_Found], iou: float) -> list[_Found]:
    """One detection a person: whole boxes go before cut ones, then better scores before lesser ones.

    A cut box inside a whole one of another crop lends it its score: both are evidence for one person.
    """
    kept: list[_Found] = []
    for one in sorted(found, key=lambda f: (f.cut, -f.detection.score, f.crop)):
        twin = next((i for i, k in enumerate(kept) if k.crop != one.crop and _same(k, one, iou)), None)
        if twin is None:
            kept.append(one)
        elif one.detection.score > kept[twin].detection.score:
            whole = kept[twin]
            kept[twin] = replace(whole, detection=replace(whole.detection, score=one.detection.score))
    return sorted(kept, key=lambda f: -f.detection.score)


def _same(kept: _Found, other: _Found, iou: float) -> bool:
    """Whether two boxes of different crops show one person."""
    a, b = kept.detection.box, other.detection.box
    if a.iou(b) > iou:
        return True
    smaller = min(a.area, b.area)
    return other.cut and smaller > 0 and a.intersection(b) > CONTAINED * smaller
