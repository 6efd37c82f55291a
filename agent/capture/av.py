"""One opened stream through PyAV: its packets in, what a source yields out.

H.264 is passed on as it came (no second encoding: it costs a core and a little of every picture), and
decoded beside it for analysis; anything else, and anything masked, is encoded anew.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from av.error import FFmpegError

from agent.capture import planes
from agent.capture.container import check_size
from agent.capture.h264 import ParameterSets
from agent.errors import ConfigError, SourceError
from agent.types import Packet, StreamInfo
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import av
    from av.packet import Packet as AvPacket
    from av.video.stream import VideoStream

    from agent.capture.container import Opened
    from agent.capture.pipeline import Pipeline
    from agent.capture.timeline import Timeline
    from agent.config import Capture, Mask
    from agent.types import SourceItem

log = logging.getLogger(__name__)

BLIND_PACKETS = 600  # a minute at 10 fps: no sane stream goes so long before its first picture
DISTRUST_S = 1.0  # a camera that flags all its pictures as damaged shall be seen all the same


class Corruption:
    """Counts what arrives damaged; says so once aloud, then only to who debugs."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.count = 0

    def add(self, what: str) -> None:
        """One more damaged packet or picture."""
        self.count += 1
        level = logging.WARNING if self.count == 1 else logging.DEBUG
        log.log(level, "%s: %s; skipped (%d so far)", self._name, what, self.count)


def must_encode(opened: Opened, settings: Capture, masks: Sequence[Mask]) -> bool:
    """Whether recording needs our own encoder.

    Raises:
        ConfigError: there are masks, and encoding again what is H.264 already was not allowed.
    """
    if opened.codec != "h264" or settings.reencode:
        return True
    if masks:
        raise ConfigError(
            say(
                "privacy.masks: {name} is H.264 and would be recorded as it comes, without the masks",
                name=opened.name,
            ),
            fix=say("set capture.reencode = true"),
        )
    return opened.untimed


class AvStream:
    """From the packets of `opened` to StreamInfo, Packet and Frame, in the order of decoding.

    StreamInfo and the packets after it are held back until a picture shows the size and the rotation.
    With `copy`, packets are passed on as they came; else the pipeline encodes (if it was told to).
    """

    def __init__(
        self,
        opened: Opened,
        timeline: Timeline,
        pipeline: Pipeline,
        corruption: Corruption,
        *,
        copy: bool,
        encode: bool,
    ) -> None:
        self._opened = opened
        self._context = opened.context
        self._timeline = timeline
        self._pipeline = pipeline
        self._corruption = corruption
        self._copy = copy
        self._encode = encode
        self._sets = ParameterSets(opened.extradata) if copy else None
        self._step = max(1, round(1 / (opened.rate * opened.time_base)))
        self._info: StreamInfo | None = None
        self._held: list[Packet] = []
        self._began = False
        self._blind = 0
        self.pictures = 0
        """How many came out of the decoder."""
        self._shown: int | None = None
        self._next = 0
        self._sound_t = float("-inf")

    def feed(self, packet: AvPacket[VideoStream], now: float | None = None) -> Iterator[SourceItem]:
        """What the packet gives; `now` is its arrival, for a live source.

        Raises:
            SourceError: there are packets, but no picture comes out of them.
        """
        self._blind += 1
        if self._blind > BLIND_PACKETS:
            raise _no_picture(self._opened.name, f"{BLIND_PACKETS} packets")
        if packet.is_corrupt:
            self._corruption.add("a damaged packet")
            return
        if not (self._began or packet.is_keyframe):
            return
        stamps = self._timeline.place(packet.pts, packet.dts, packet.duration, now)
        if not self._began:
            self._began, self._next = True, stamps.pts
        data = bytes(packet) if self._copy else b""
        yield from self._renew(packet, data)
        packet.pts, packet.dts = (None, None) if self._opened.untimed else stamps[:2]
        try:
            frames = self._context.decode(packet)
        except FFmpegError as error:
            self._corruption.add(f"a packet that does not decode ({error.strerror})")
            return
        if self._copy:
            t = self._timeline.t(stamps.pts)
            self._held.append(Packet(data, *stamps, packet.is_keyframe, t))
        yield from self._show(frames)

    def finish(self) -> Iterator[SourceItem]:
        """What the decoder still holds when no more packets come.

        Raises:
            SourceError: not one picture came out of the stream.
        """
        yield from self._drain()
        if not self.pictures:
            raise _no_picture(self._opened.name, "all its packets")

    def _renew(self, packet: AvPacket[VideoStream], data: bytes) -> Iterator[SourceItem]:
        """Close what came before when the packet brings other parameter sets."""
        if self._sets is None:
            return
        if packet.has_sidedata("new_extradata"):
            self._sets = ParameterSets(bytes(packet.get_sidedata("new_extradata")))
        elif not (packet.is_keyframe and self._sets.renew(data)):
            return
        yield from self._drain()
        self._context.flush_buffers()
        self._info = None
        self._held.clear()

    def _drain(self) -> Iterator[SourceItem]:
        try:
            frames = self._context.decode(None)
        except FFmpegError as error:
            self._corruption.add(f"a last picture that does not decode ({error.strerror})")
            return
        yield from self._show(frames)

    def _show(self, frames: list[av.VideoFrame]) -> Iterator[SourceItem]:
        for frame in frames:
            check_size(self._opened.name, frame.width, frame.height)
        if frames:
            self._blind = 0
            yield from self._announce(frames[0])
        if self._info:
            yield from self._held
            self._held.clear()
        for frame in frames:
            self.pictures += 1
            yield from self._picture(frame)

    def _announce(self, frame: av.VideoFrame) -> Iterator[SourceItem]:
        if self._sets and self._info is None:
            self._info = StreamInfo(
                codec=self._opened.codec,
                width=frame.width,
                height=frame.height,
                time_base=self._opened.time_base,
                extradata=self._sets.extradata,
                rotation=planes.rotation(frame),
            )
            yield self._info

    def _picture(self, frame: av.VideoFrame) -> Iterator[SourceItem]:
        pts = frame.pts
        if pts is None or (self._shown is not None and pts <= self._shown):
            pts = self._next
        self._shown, self._next = pts, pts + self._step
        t = self._timeline.t(pts)
        if frame.is_corrupt:
            self._corruption.add("a damaged picture")
            if t - self._sound_t < DISTRUST_S:
                self._pipeline.skip()
                return
        self._sound_t = t
        yield from self._pipeline.push(t, partial(planes.picture, frame, limited=self._encode))


def _no_picture(name: str, of: str) -> SourceError:
    return SourceError(
        say("{name}: no picture can be decoded from {of}", name=name, of=of),
        fix=say("check that it plays elsewhere, e.g. in `ffplay`"),
    )
