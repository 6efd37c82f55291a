"""Decoded frames as planes."""

from __future__ import annotations

import av
import numpy as np
import pytest

from agent.capture import planes


def frame(width: int, height: int, kind: str = "yuv420p", level: int = 100) -> av.VideoFrame:
    made = av.VideoFrame(width, height, kind)
    for plane in made.planes:
        np.frombuffer(memoryview(plane), np.uint8)[:] = 128
    planes.view(made.planes[0])[:] = level
    return made


@pytest.mark.parametrize(("width", "height"), [(320, 240), (161, 121), (1918, 1079)])
def test_planes_have_the_pictures_shape(width: int, height: int) -> None:
    """Lines are padded in memory: the padding is no part of the picture."""
    picture = planes.picture(frame(width, height), limited=False)
    assert (height, width) == picture.y.shape
    assert picture.u is not None
    assert picture.v is not None
    assert ((height + 1) // 2, (width + 1) // 2) == picture.u.shape == picture.v.shape


def test_420_is_viewed_not_copied_and_not_writable() -> None:
    """A copy of each picture would cost as much as the motion stage; writing would spoil the next ones."""
    made = frame(320, 240)
    picture = planes.picture(made, limited=False)
    planes.view(made.planes[0])[0, 0] = 7
    assert int(picture.y[0, 0]) == 7
    with pytest.raises(ValueError, match="read-only"):
        picture.y[0, 0] = 1


def test_planes_outlive_the_frame() -> None:
    """The memory stays as long as somebody looks at it."""
    pictures = [planes.picture(frame(320, 240, level=n), limited=False) for n in range(50)]
    assert list(range(50)) == [int(p.y.mean()) for p in pictures]


@pytest.mark.parametrize("kind", ["yuv422p", "yuv444p", "gray", "rgb24", "nv12", "yuv420p10le"])
def test_other_formats_become_420(kind: str) -> None:
    """Webcams and old codecs deliver all sorts."""
    picture = planes.picture(av.VideoFrame(64, 48, kind), limited=False)
    assert picture.u is not None
    assert ((48, 64), (24, 32)) == (picture.y.shape, picture.u.shape)


def test_full_range_is_limited_only_for_the_encoder() -> None:
    """White is 255 in a full-range picture and 235 in what our encoder says it encodes."""
    full = frame(64, 48, "yuvj420p", level=255)
    assert [255, 235] == [int(planes.picture(full, limited=x).y.max()) for x in (False, True)]
    tagged = frame(64, 48, level=255)
    tagged.color_range = planes.FULL_RANGE
    assert int(planes.picture(tagged, limited=True).y.max()) == 235
