"""H.264 from raw pictures, for sources that do not deliver it themselves."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.codec.context import Flags
from av.video.frame import PictureType

from agent.capture.planes import LIMITED_RANGE, view
from agent.types import Packet, StreamInfo

if TYPE_CHECKING:
    from agent.picture import Picture

TICKS = 90_000  # per second: MPEG's clock, divides by every usual frame rate

# superfast costs 64 % of veryfast's CPU at 1080p, for about a tenth more bytes.
PRESET = "superfast"
# A still stairwell needs a few percent of the bitrate: constant quality, with the bitrate as its ceiling.
QUALITY = "23"


class H264Encoder:
    """libx264 without delay: one picture in, one packet out; no B-frames; closed groups of `gop_s`.

    Pictures of an odd size lose their last column or row: 4:2:0 has none.
    """

    def __init__(self, width: int, height: int, fps: float, bitrate_kbps: int, gop_s: float) -> None:
        self._width, self._height = width & ~1, height & ~1
        self._gop_s = gop_s
        self._duration = max(1, round(TICKS / fps))
        self._next_key = float("-inf")
        self._last = -(1 << 62)
        self._times: dict[int, float] = {}
        time_base = Fraction(1, TICKS)
        rate = bitrate_kbps * 1000
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = self._width, self._height, "yuv420p"
        context.time_base = time_base
        context.framerate = Fraction(fps).limit_denominator(1001)
        context.color_range = LIMITED_RANGE
        context.thread_count = 1
        context.max_b_frames = 0
        # Key frames are placed by time below; x264's own count only bounds a source that runs too fast.
        context.gop_size = max(1, round(10 * fps * gop_s))
        context.flags |= Flags.global_header | Flags.closed_gop
        context.options = {
            "preset": PRESET,
            "tune": "zerolatency",
            "crf": QUALITY,
            "maxrate": str(rate),
            "bufsize": str(rate),
            "forced-idr": "1",
            "sc_threshold": "0",
        }
        context.open()
        self._context = context
        self.info = StreamInfo("h264", self._width, self._height, time_base, context.extradata or b"")

    def encode(self, picture: Picture, t: float) -> list[Packet]:
        """The picture of time `t` (seconds, may step unevenly) as packets; `t` must not fall."""
        frame = av.VideoFrame(self._width, self._height, "yuv420p")
        for plane, source in zip(frame.planes, (picture.y, picture.u, picture.v), strict=True):
            view(plane)[:] = _GREY if source is None else source[: plane.height, : plane.width]
        frame.pts = self._last = max(round(t * TICKS), self._last + 1)
        if t >= self._next_key - _KEY_SLACK_S:
            frame.pict_type = PictureType.I
            behind = t - self._next_key
            self._next_key = self._next_key + self._gop_s if behind < self._gop_s else t + self._gop_s
        self._times[frame.pts] = t
        return self._collect(frame)

    def flush(self) -> list[Packet]:
        """What the encoder still holds; it takes no more pictures."""
        return self._collect(None)

    def _collect(self, frame: av.VideoFrame | None) -> list[Packet]:
        packets = []
        for packet in self._context.encode(frame):
            pts = packet.pts or 0
            dts = pts if packet.dts is None else packet.dts
            t = self._times.pop(pts)
            packets.append(Packet(bytes(packet), pts, dts, self._duration, packet.is_keyframe, t))
        return packets


_GREY = 128  # no colour
_KEY_SLACK_S = 1e-6  # sums of a frame's duration fall short of whole seconds by less
