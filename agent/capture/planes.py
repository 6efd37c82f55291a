"""A decoded frame as planes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agent.picture import Picture

if TYPE_CHECKING:
    import av
    from av.video.plane import VideoPlane

    from agent.types import Luma

FULL_RANGE, LIMITED_RANGE = 2, 1  # AVCOL_RANGE_JPEG, AVCOL_RANGE_MPEG
RIGHT_ANGLE = 90


def rotation(frame: av.VideoFrame) -> int:
    """Degrees by which the picture must be turned counterclockwise to stand upright: 0, 90, 180 or 270."""
    return round(frame.rotation / RIGHT_ANGLE) * RIGHT_ANGLE % 360


def picture(frame: av.VideoFrame, *, limited: bool) -> Picture:
    """The frame upright, as I420: views of the decoder's memory where it is 8-bit 4:2:0 and not turned.

    `limited` has full-range pictures (0..255) brought to 16..235, as our encoder says of its output.
    """
    full = frame.format.name == "yuvj420p" or frame.color_range == FULL_RANGE
    if frame.format.name not in {"yuv420p", "yuvj420p"} or (limited and full):
        frame = frame.reformat(format="yuv420p", dst_color_range=LIMITED_RANGE)
    turns = rotation(frame) // RIGHT_ANGLE
    y, u, v = (_read_only(view(plane)) for plane in frame.planes)
    if turns:
        y, u, v = (np.ascontiguousarray(np.rot90(plane, turns)) for plane in (y, u, v))
    return Picture(y, u, v)


def view(plane: VideoPlane) -> Luma:
    """The plane's own memory, without the padding of its lines; shape (height, width)."""
    rows = np.frombuffer(memoryview(plane), np.uint8, plane.line_size * plane.height)
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width]


def _read_only(plane: Luma) -> Luma:
    """The decoder predicts the next pictures from this memory."""
    plane.flags.writeable = False
    return plane
