"""A camera's buffer as planes: one flat stretch of memory, lines padded to a stride."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.errors import SourceError
from agent.picture import Picture
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.types import Luma

FORMATS = ("YUV420", "NV12")


@dataclass(frozen=True, slots=True)
class PlaneLayout:
    """Where the planes of a 4:2:0 buffer lie. Sizes are even, the stride counts bytes of a luma line.

    Views share the camera's memory: they must be gone before the buffer is given back.
    """

    format: str
    width: int
    height: int
    stride: int

    @classmethod
    def of(cls, name: str, stream: Mapping[str, object]) -> PlaneLayout:
        """The layout of a configured stream (`format`, `size`, `stride` of Picamera2).

        Raises:
            SourceError: the camera gives another format than it was asked for.
        """
        match stream:
            case {"format": str(pixels), "size": (int(width), int(height)), "stride": int(stride)} if (
                pixels in FORMATS and width % 2 == 0 and height % 2 == 0
            ):
                return cls(pixels, width, height, stride)
        raise SourceError(
            say(
                "{name}: the camera gives {format} of {size} pixels, not YUV 4:2:0",
                name=name,
                format=stream.get("format"),
                size=stream.get("size"),
            ),
            fix=say("check camera.width and camera.height, and that the camera is one for Raspberry Pi"),
        )

    def luma(self, buffer: Luma) -> Luma:
        """A view of the luma plane, shape (height, width)."""
        return self._rows(buffer, 0, self.height, self.stride)[:, : self.width]

    def chroma(self, buffer: Luma) -> tuple[Luma, ...]:
        """Views of U and V, shape (height/2, width/2), or of both interleaved, shape (height/2, width)."""
        at, rows = self.stride * self.height, self.height // 2
        if self.format == "NV12":
            return (self._rows(buffer, at, rows, self.stride)[:, : self.width],)
        half = self.stride // 2
        return tuple(
            self._rows(buffer, at + i * half * rows, rows, half)[:, : self.width // 2] for i in (0, 1)
        )

    def picture(self, buffer: Luma) -> Picture:
        """A copy of the whole picture."""
        planes = self.chroma(buffer)
        if self.format == "NV12":
            # One pass over memory that may be uncached, then a split of what the cache holds.
            both = planes[0].copy()
            planes = (both[:, 0::2], both[:, 1::2])
        u, v = (plane.copy() for plane in planes)
        return Picture(self.luma(buffer).copy(), u, v)

    @staticmethod
    def _rows(buffer: Luma, at: int, rows: int, stride: int) -> Luma:
        return buffer[at : at + rows * stride].reshape(rows, stride)
