"""agent.vision.detector and agent.vision.decode: the real models on real pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agent.config import DetectorSettings
from agent.errors import ModelError
from agent.picture import Picture
from agent.types import Box, Detection
from agent.vision.crops import Square
from agent.vision.decode import KEPT, Quantisation, suppress
from agent.vision.detector import PersonDetector, _Found, _merge
from agent.vision.models import SHIPPED

DATA = Path(__file__).parent / "data"
SAMPLES = Path(__file__).parent.parent / "agent" / "samples"
VECTORS: dict[str, Any] = json.loads((DATA / "vectors.json").read_text(encoding="utf-8"))
MODELS = {"ssdlite": "ssdlite", "nanodet": "nanodet_g"}


@pytest.fixture(scope="module", params=["ssdlite", "nanodet"])
def detector(request: pytest.FixtureRequest) -> PersonDetector:
    return PersonDetector(DetectorSettings(model=request.param))


@pytest.fixture(scope="module")
def ssdlite() -> PersonDetector:
    return PersonDetector(DetectorSettings())


def read_rgb(name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    here = DATA / "images" / name
    bgr = cv2.imread(str(here if here.exists() else SAMPLES / name))
    assert bgr is not None
    return np.asarray(bgr[:, :, ::-1], np.uint8)


def picture(rgb: np.ndarray[Any, np.dtype[np.uint8]]) -> Picture:
    """RGB as a camera gives it: I420, limited range."""
    height, width = (n & ~1 for n in rgb.shape[:2])
    planes = cv2.cvtColor(np.ascontiguousarray(rgb[:height, :width]), cv2.COLOR_RGB2YUV_I420)
    flat = np.asarray(planes, np.uint8).ravel()
    half = (height // 2, width // 2)
    y, u, v = np.split(flat, [height * width, height * width * 5 // 4])
    return Picture(y.reshape(height, width), u.reshape(half), v.reshape(half))


def boxes_of(name: str, model: str) -> list[list[float]]:
    found: list[list[float]] = VECTORS[MODELS[model]]["images"][name]
    return found


@pytest.mark.parametrize("name", sorted(VECTORS["ssdlite"]["images"]))
def test_boxes_equal_the_independent_decoder(detector: PersonDetector, name: str) -> None:
    """Boxes within 3 pixels and scores within 0.03 of what another implementation finds."""
    model = detector.label.split("@")[0]
    threshold = VECTORS[MODELS[model]]["threshold"]
    rgb = read_rgb(name)
    height, width = rgb.shape[:2]
    found = detector.look(rgb) * np.array([width, height, width, height, 1])
    expected = boxes_of(name, model)

    for row in expected:
        assert any(np.abs(row[:4] - one[:4]).max() <= 3 and abs(row[4] - one[4]) <= 0.03 for one in found)
    assert len([one for one in found if one[4] >= threshold + 0.03]) <= len(expected)


def test_weak_detections_are_given_and_told_by_their_score(ssdlite: PersonDetector) -> None:
    """The tracker keeps known tracks alive by boxes below the threshold, down to 0.3 of it."""
    scores = [score for name in VECTORS["ssdlite"]["images"] for *_, score in ssdlite.look(read_rgb(name))]

    assert 0.15 <= min(scores) < 0.5 < max(scores)


def test_a_square_of_a_picture_gives_the_person_in_it(detector: PersonDetector) -> None:
    """Squares in pixels go in, fractions of the whole picture come out, colours from I420."""
    rgb = read_rgb("person_field.jpg")
    view = picture(rgb)
    # The man stands at x 190..270, y 99..381 of 640x424.
    [man] = [d for d in detector.detect(view, [Square(60, 20, 400)]) if d.score >= 0.4]

    assert man.box.iou(Box(190 / 640, 99 / 424, 80 / 640, 282 / 424)) > 0.75


def test_a_square_over_the_border_is_shifted_inside(ssdlite: PersonDetector) -> None:
    """A crop at the edge costs no black stripe."""
    view = picture(read_rgb("person_field.jpg"))

    assert ssdlite.detect(view, [Square(0, 24, 400)]) == ssdlite.detect(view, [Square(-90, 300, 400)])


def test_a_square_larger_than_the_picture_keeps_its_shape(detector: PersonDetector) -> None:
    """A whole tall picture in one square: padded, not squeezed."""
    view = picture(read_rgb("skateboarder.jpg"))
    [best, *_] = detector.detect(view, [Square(-50, -50, 700)])

    assert best.score > 0.6
    assert best.box.iou(Box(124 / 480, 160 / 640, 186 / 480, 400 / 640)) > 0.7
    assert best.box.x2 <= 1
    assert best.box.y2 <= 1


def test_grey_pictures_work(ssdlite: PersonDetector) -> None:
    """An infrared camera gives luma only."""
    luma = picture(read_rgb("cameraman_grey.jpg")).y
    found = ssdlite.detect(Picture(luma), [Square(0, 0, 512)])

    assert found[0].score > 0.6


def test_overlapping_squares_give_each_person_once(ssdlite: PersonDetector) -> None:
    """The same persons out of two overlapping crops are not two crowds."""
    view = picture(read_rgb("three_pedestrians.jpg"))
    squares = [Square(0, 0, 498), Square(34, 0, 498), Square(20, 0, 498)]
    scores = [d.score for d in ssdlite.detect(view, squares) if d.score >= 0.6]

    assert 4 == len(scores)
    assert sorted(scores, reverse=True) == scores


def test_no_squares_give_nothing(ssdlite: PersonDetector) -> None:
    """An empty plan costs nothing."""
    assert () == ssdlite.detect(picture(read_rgb("neg_dog.jpg")), [])


def test_the_same_picture_gives_the_same_bytes(detector: PersonDetector) -> None:
    """A replay is a proof only when it repeats; nothing of the crop before may shine through."""
    tall, other = read_rgb("skateboarder.jpg"), read_rgb("yard_250.jpg")
    first = detector.look(tall).tobytes()
    detector.look(other)

    assert first == detector.look(tall).tobytes()


def test_the_threshold_of_the_settings_goes_before_the_card() -> None:
    """detector.threshold moves what is given: 0.3 of it is the least."""
    strict = PersonDetector(DetectorSettings(threshold=0.9))
    found = strict.look(read_rgb("yard_250.jpg"))

    assert 0.27 <= found[:, 4].min()


@pytest.mark.parametrize(
    ("card", "line", "told"),
    [
        ("ssdlite", "side = 416", "input has shape"),
        ("ssdlite", 'dtype = "float32"', "takes uint8"),
        ("ssdlite", 'decode = "nanodet"', "output has shape"),
    ],
)
def test_a_card_that_does_not_fit_its_model_is_told(tmp_path: Path, card: str, line: str, told: str) -> None:
    """A wrong card ends at the start, not in wrong boxes."""
    key = line.split(" = ", maxsplit=1)[0]
    text = (SHIPPED / f"{card}.toml").read_text(encoding="utf-8")
    model = next(SHIPPED.glob("*ssdlite*.tflite"))
    lines = [line if old.startswith(f"{key} ") else old for old in text.splitlines()]
    (tmp_path / "own.toml").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / model.name).write_bytes(model.read_bytes())

    with pytest.raises(ModelError, match=told):
        PersonDetector(DetectorSettings(model=str(tmp_path / "own.toml")))


def found(x: float, w: float, score: float, crop: int, *, cut: bool = False) -> _Found:
    return _Found(Detection(Box(x, 0.2, w, 0.5), score), crop, cut)


def test_a_cut_box_gives_way_to_the_whole_one() -> None:
    """Half a person in one crop is the person in the other, and lends it its score."""
    half, whole = found(0.4, 0.05, 0.9, 0, cut=True), found(0.3, 0.15, 0.6, 1)

    assert [found(0.3, 0.15, 0.9, 1)] == _merge([half, whole], 0.5)


def test_two_persons_of_one_crop_stay_two() -> None:
    """The model's own suppression has judged them already."""
    pair = [found(0.3, 0.15, 0.9, 0), found(0.34, 0.15, 0.8, 0, cut=True)]

    assert pair == _merge(pair, 0.5)


def test_a_person_before_another_stays_two() -> None:
    """A whole box inside another whole one may be a child before an adult."""
    pair = [found(0.3, 0.2, 0.9, 0), found(0.35, 0.06, 0.8, 1)]

    assert pair == _merge(pair, 0.5)


def test_a_box_without_area_is_harmless() -> None:
    """A box that was clipped to nothing divides by nothing."""
    pair = [found(0.3, 0.2, 0.9, 0), found(0.35, 0.0, 0.8, 1, cut=True)]

    assert pair == _merge(pair, 0.5)


def test_suppression_keeps_the_best_and_is_bounded() -> None:
    """Greedy, ties by index, never more than KEPT boxes."""
    twins = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]], np.float32)
    far = np.array([[i, 0, i + 0.5, 1] for i in range(KEPT * 2)], np.float32)

    assert [1, 2] == suppress(twins, np.array([0.5, 0.9, 0.5], np.float32), 0.5)
    assert list(range(KEPT)) == suppress(far, np.full(len(far), 0.5, np.float32), 0.5)


def test_thresholds_compare_without_converting() -> None:
    """The stored form of a threshold is the smallest one that means at least the threshold."""
    eighth = Quantisation(1 / 256, -128)

    assert 0 == eighth.stored(0.5)
    assert -89 == eighth.stored(0.15)
    assert 0.4 == Quantisation().stored(0.4)
    assert 0.5 == eighth.real(np.array([0], np.int8))[0]
