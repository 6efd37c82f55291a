"""What rooms hand to each other: boxes and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.picture import Picture
from agent.types import Box

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PLACES = st.floats(0, 1)
SIDES = st.just(0.0) | st.floats(1e-4, 1)  # below a pixel the rounding of the place is what one measures
BOXES = st.builds(Box, PLACES, PLACES, SIDES, SIDES)


def test_edges_and_area() -> None:
    """Right and lower edge and the covered share follow from position and size."""
    box = Box(0.25, 0.5, 0.5, 0.125)
    assert (0.75, 0.625, 0.0625) == (box.x2, box.y2, box.area)


@pytest.mark.parametrize(
    ("other", "common", "iou"),
    [
        (Box(0, 0, 0.5, 0.5), 0.25, 1.0),
        (Box(0.25, 0, 0.5, 0.5), 0.125, 1 / 3),
        (Box(0.125, 0.125, 0.25, 0.25), 0.0625, 0.25),
        (Box(0.5, 0, 0.5, 0.5), 0.0, 0.0),
        (Box(0.6, 0.6, 0.1, 0.1), 0.0, 0.0),
        (Box(0.6, 0.1, 0.1, 0.1), 0.0, 0.0),
    ],
    ids=["same", "half", "inside", "touching", "apart", "beside"],
)
def test_overlap(other: Box, common: float, iou: float) -> None:
    """Intersection and IoU of the known cases."""
    box = Box(0, 0, 0.5, 0.5)
    assert common == box.intersection(other)
    assert iou == pytest.approx(box.iou(other))


@given(BOXES, BOXES)
def test_overlap_laws(a: Box, b: Box) -> None:
    """Overlap is symmetric and never larger than either box; IoU stays within 0..1."""
    assert a.intersection(b) == b.intersection(a)
    assert a.iou(b) == b.iou(a)
    assert 0 <= a.intersection(b) <= min(a.area, b.area) + 1e-12
    assert 0 <= a.iou(b) <= 1 + 1e-9


def test_empty_boxes_have_no_overlap() -> None:
    """Two boxes without area divide by nothing."""
    assert Box(0.5, 0.5, 0, 0).iou(Box(0.5, 0.5, 0, 0)) == 0


def test_as_list_is_short() -> None:
    """Messages carry four decimals."""
    assert [0.3333, 0.6667, 0.1, 1.0] == Box(1 / 3, 2 / 3, 0.1, 0.99999).as_list()


@pytest.fixture(scope="module")
def frame(samples: Path) -> av.VideoFrame:
    """A decoded frame with persons in it."""
    with av.open(str(samples / "demo_people.mp4")) as container:
        return next(f for n, f in enumerate(container.decode(video=0)) if n == 80)


@pytest.fixture(scope="module")
def picture(frame: av.VideoFrame) -> Picture:
    return cut(frame, frame.width, frame.height)


def cut(frame: av.VideoFrame, width: int, height: int) -> Picture:
    """The upper left part, as views with the decoder's own strides."""
    y, u, v = (
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    )
    half = (slice((height + 1) // 2), slice((width + 1) // 2))
    return Picture(y[:height, :width], u[half], v[half])


@pytest.fixture(scope="module")
def reference(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """The same frame as OpenCV converts it: limited-range BT.601 with the nearest chroma.

    Encoders overshoot the range (this frame has luma up to 255). A Picture clips that before the chroma is
    added, OpenCV after it, so the excess is taken out here.
    """
    i420 = frame.to_ndarray(format="yuv420p")
    i420[: frame.height] = np.clip(i420[: frame.height], 16, 235)
    return np.asarray(cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420), np.uint8)


def apart(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(np.int16) - b).max())


def test_size(picture: Picture) -> None:
    """Width and height are those of the luma plane, as plain integers."""
    assert (640, 480) == (picture.width, picture.height)
    assert int is type(picture.width)


@pytest.mark.parametrize(
    ("x", "y", "w", "h"),
    [
        (0, 0, 640, 480),
        (100, 60, 200, 150),
        (101, 61, 200, 150),
        (100, 61, 7, 3),
        (639, 479, 1, 1),
        (3, 5, 2, 2),
    ],
)
def test_rgb_is_the_right_rectangle(
    picture: Picture, reference: NDArray[np.uint8], x: int, y: int, w: int, h: int
) -> None:
    """The rectangle, at even and odd offsets, is within three levels of a conversion of the whole picture."""
    rgb = picture.rgb(x, y, w, h)
    assert (h, w, 3) == rgb.shape
    assert np.uint8 == rgb.dtype
    assert apart(rgb, reference[y : y + h, x : x + w]) <= 3


def test_rgb_agrees_with_ffmpeg(picture: Picture, frame: av.VideoFrame) -> None:
    """libswscale, which interpolates chroma, gives the same colours on the whole."""
    theirs = frame.to_ndarray(format="rgb24").astype(np.int16)
    difference = np.abs(picture.rgb(0, 0, 640, 480) - theirs)
    assert difference.mean() < 1.5


@pytest.mark.parametrize(
    ("x", "y", "w", "h", "part"),
    [
        (-20, -11, 50, 30, (0, 0, 30, 19)),
        (600, 470, 100, 100, (600, 470, 40, 10)),
        (-5, -5, 1000, 1000, (0, 0, 640, 480)),
    ],
)
def test_rgb_is_clipped_to_the_picture(
    picture: Picture, x: int, y: int, w: int, h: int, part: tuple[int, int, int, int]
) -> None:
    """What hangs over the edge is cut off, not wrapped round."""
    assert np.array_equal(picture.rgb(*part), picture.rgb(x, y, w, h))
    assert (part[3], part[2], 3) == picture.rgb(x, y, w, h).shape


@pytest.mark.parametrize(("width", "height"), [(639, 480), (640, 479), (321, 241)])
def test_odd_pictures(frame: av.VideoFrame, reference: NDArray[np.uint8], width: int, height: int) -> None:
    """A picture with an odd side has its last column and row too."""
    odd = cut(frame, width, height)
    assert apart(odd.rgb(0, 0, width, height), reference[:height, :width]) <= 3
    assert apart(odd.rgb(width - 9, height - 7, 9, 7), reference[height - 7 : height, width - 9 : width]) <= 3


def test_the_range_is_stretched() -> None:
    """Black is 0 and white is 255, though a camera writes 16 and 235; beyond that is clipped."""
    y = np.array([[16, 235], [0, 255]], np.uint8)
    grey = np.array([[128]], np.uint8)
    assert [[0, 255], [0, 255]] == Picture(y, grey, grey).rgb(0, 0, 2, 2)[:, :, 0].tolist()


def test_grey_pictures(picture: Picture) -> None:
    """Without chroma the three channels are the luma, at odd offsets too."""
    grey = Picture(picture.y)
    rgb = grey.rgb(33, 21, 50, 40)
    for channel in range(3):
        assert np.array_equal(picture.y[21:61, 33:83], rgb[:, :, channel])
