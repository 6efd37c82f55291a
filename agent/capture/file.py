"""A video file as a source: replayed as fast as it decodes, or in real time as a camera would."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from av.error import FFmpegError

from agent.capture.av import AvStream, Corruption, must_encode
from agent.capture.container import open_file
from agent.capture.pacer import Pacer
from agent.capture.pipeline import Pipeline
from agent.capture.timeline import Timeline
from agent.types import Frame, Packet, StreamInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.capture.container import Opened
    from agent.capture.pacer import Pace
    from agent.config import Capture, Mask
    from agent.device.clock import Clock
    from agent.types import SourceItem

log = logging.getLogger(__name__)

SHORT_S = 0.5  # containers round their duration by up to a few pictures
SHORT_SHARE = 0.02


class FileSource:
    """See `agent.capture.source.Source`. The file is opened at once, so that a bad one is told at once.

    Raises:
        SourceError: the file is missing, unreadable, or no video.
        ConfigError: masks are set, but the file is H.264 and may not be encoded again.
    """

    unseen = 0
    unrecorded = 0
    """Its reader may take its time: nothing has to give way."""

    def __init__(
        self,
        settings: Capture,
        masks: Sequence[Mask] = (),
        *,
        pace: Pace = "real",
        clock: Clock | None = None,
        keep_packets: bool = True,
    ) -> None:
        self._path = Path(settings.source)
        self._loop = settings.loop
        self._pacer = Pacer(clock, pace)
        self._pipeline = Pipeline(settings, masks)
        self._corruption = Corruption(str(self._path))
        self._opened: Opened | None = open_file(self._path)
        self._encode = keep_packets and must_encode(self._opened, settings, masks)
        self._copy = keep_packets and not self._encode

    @property
    def corrupt(self) -> int:
        """Damaged packets and pictures so far."""
        return self._corruption.count

    def items(self) -> Iterator[SourceItem]:
        """Everything in the file, again and again when it loops.

        Raises:
            SourceError: no picture can be decoded.
        """
        timeline: Timeline | None = None
        info: StreamInfo | None = None
        while not self._pacer.closed:
            opened, self._opened = self._opened or open_file(self._path), None
            if timeline is None:
                timeline = Timeline(
                    opened.time_base,
                    1 / opened.rate,
                    origin=self._pacer.origin(),
                    reordered=opened.reordered,
                )
                self._pipeline.begin(opened.rate if self._encode else None)
            for item in self._pass(opened, timeline):
                if isinstance(item, StreamInfo):
                    if item == info:  # the next round: what is recorded goes on
                        continue
                    info = item
                if isinstance(item, Frame | Packet) and not self._pacer.wait(item.t):
                    return
                yield item
            if not self._loop:
                yield from self._pipeline.finish()
                return
            timeline.rejoin()

    def close(self) -> None:
        """End `items()`; safe from any thread."""
        self._pacer.close()

    def _pass(self, opened: Opened, timeline: Timeline) -> Iterator[SourceItem]:
        """The file once, from its beginning."""
        begin = timeline.seconds
        stream = AvStream(
            opened, timeline, self._pipeline, self._corruption, copy=self._copy, encode=self._encode
        )
        try:
            for packet in opened.packets():
                if self._pacer.closed:
                    return
                yield from stream.feed(packet)
        except FFmpegError as error:
            log.warning("%s: reading ended early (%s)", opened.name, error.strerror)
        finally:
            opened.close()
        yield from stream.finish()
        played = timeline.seconds - begin
        promised = opened.duration or 0.0
        if begin == 0 and promised - played > max(SHORT_S, SHORT_SHARE * promised):
            log.warning("%s: cut off: %.1f s of %.1f s could be played", opened.name, played, promised)
