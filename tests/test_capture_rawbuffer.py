"""A camera's buffer as planes."""

from __future__ import annotations

import numpy as np
import pytest

from agent.capture.rawbuffer import PlaneLayout
from agent.errors import SourceError

WIDTH, HEIGHT, STRIDE = 8, 4, 16


def buffer(pixels: str) -> np.ndarray:
    """Luma 10..., U 100..., V 200...; padding 255; what a driver adds at the end 254."""
    y = np.full((HEIGHT, STRIDE), 255, np.uint8)
    y[:, :WIDTH] = np.arange(10, 10 + HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    u = np.arange(100, 108, dtype=np.uint8).reshape(2, 4)
    v = u + 100
    if pixels == "NV12":
        chroma = np.full((2, STRIDE), 255, np.uint8)
        chroma[:, 0:WIDTH:2], chroma[:, 1:WIDTH:2] = u, v
    else:
        chroma = np.full((2, 2, STRIDE // 2), 255, np.uint8)
        chroma[0, :, :4], chroma[1, :, :4] = u, v
    return np.concatenate([y.ravel(), chroma.ravel(), np.full(32, 254, np.uint8)])


@pytest.mark.parametrize("pixels", ["YUV420", "NV12"])
def test_the_planes(pixels: str) -> None:
    """Without padding, each in memory of its own."""
    memory = buffer(pixels)
    layout = PlaneLayout.of("imx708", {"format": pixels, "size": (WIDTH, HEIGHT), "stride": STRIDE})
    picture = layout.picture(memory)
    memory[:] = 0
    assert list(range(10, 42)) == picture.y.ravel().tolist()
    assert list(range(100, 108)) == picture.u.ravel().tolist()
    assert list(range(200, 208)) == picture.v.ravel().tolist()
    assert all(plane.flags.c_contiguous for plane in (picture.y, picture.u, picture.v))


@pytest.mark.parametrize("pixels", ["YUV420", "NV12"])
def test_views_are_the_cameras_memory(pixels: str) -> None:
    """What is drawn into them is in the buffer; padding is not touched."""
    memory = buffer(pixels)
    layout = PlaneLayout(pixels, WIDTH, HEIGHT, STRIDE)
    layout.luma(memory)[:] = 1
    for plane in layout.chroma(memory):
        plane[:] = 2
    assert (32, 16) == ((memory == 1).sum(), (memory == 2).sum())
    assert {1, 2, 254, 255} == set(memory.tolist())


@pytest.mark.parametrize(
    "stream",
    [
        {"format": "XBGR8888", "size": (8, 4), "stride": 32},
        {"format": "YUV420", "size": (7, 4), "stride": 16},
        {},
    ],
)
def test_other_formats_are_refused(stream: dict[str, object]) -> None:
    """A USB camera behind libcamera gives what it has: it is named."""
    with pytest.raises(SourceError, match=r"imx708: the camera gives .* not YUV 4:2:0"):
        PlaneLayout.of("imx708", stream)
