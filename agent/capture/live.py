"""A camera on the network or on USB: it may go and come, and its time is the kit's."""

from __future__ import annotations

import logging
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TYPE_CHECKING

from av.error import FFmpegError

from agent.capture.address import without_credentials
from agent.capture.av import AvStream, Corruption, must_encode
from agent.capture.backoff import Backoff
from agent.capture.container import Opened, live_error, open_live
from agent.capture.pipeline import Pipeline
from agent.capture.timeline import Timeline
from agent.errors import SourceError, SourceLostError
from agent.types import SourceDown, SourceUp
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from av.packet import Packet
    from av.video.stream import VideoStream

    from agent.config import Capture, Mask
    from agent.device.clock import Clock
    from agent.types import SourceItem

    Arrival = tuple[Packet[VideoStream], float]

log = logging.getLogger(__name__)

QUEUE_PACKETS = 64  # two seconds at 30 fps: bounds memory when analysis lags; libav then stops reading
QUEUE_RAW = 4  # a webcam's packets are raw pictures of up to 4 MB; its driver drops what is not fetched
PUT_S = 0.25  # how soon a reader whose queue is full sees that it was stopped
MARGIN_S = 0.5  # libav's own timeouts come first: they name the cause
FIX_LOST = say("check the camera, its cable and the network")


class LiveSource:
    """See `agent.capture.source.Source`. Loss is an item, not an error: it tries again until closed."""

    unseen = 0
    unrecorded = 0
    """Its reader may take its time: nothing has to give way."""

    def __init__(
        self,
        settings: Capture,
        masks: Sequence[Mask] = (),
        *,
        clock: Clock,
        keep_packets: bool = True,
        random: Random | None = None,
    ) -> None:
        self._settings = settings
        self._masks = masks
        self._clock = clock
        self._keep_packets = keep_packets
        self._backoff = Backoff(settings, random)
        self._name = without_credentials(settings.source)
        self._closed = Event()
        self._reader: _Reader | None = None
        self._pipeline = Pipeline(settings, masks)
        self._corruption = Corruption(self._name)
        self._down = False
        self._newest = float("-inf")

    @property
    def corrupt(self) -> int:
        """Damaged packets and pictures so far."""
        return self._corruption.count

    def items(self) -> Iterator[SourceItem]:
        """What the camera sends; SourceDown once per outage, SourceUp when pictures come again.

        Raises:
            ConfigError: masks are set, but the camera sends H.264 and it may not be encoded again.
        """
        while not self._closed.is_set():
            try:
                yield from self._connection()
            except SourceError as error:
                if self._closed.is_set():
                    return
                log.log(logging.DEBUG if self._down else logging.WARNING, "%s", error)
                if not self._down:
                    self._down = True
                    yield SourceDown(error.words[0], error.alarm)
            self._closed.wait(self._backoff.next_s())

    def close(self) -> None:
        """End `items()` at once; safe from any thread."""
        self._closed.set()
        if self._reader:
            self._reader.stop()

    def _connection(self) -> Iterator[SourceItem]:
        """One connection, until it is lost."""
        stall_s = self._settings.stall_after_s
        reader = _Reader(self._settings.source, self._name, stall_s, self._clock)
        self._reader = reader
        if self._closed.is_set():
            return
        reader.start()
        try:
            opened = reader.opened(stall_s)
            if opened is None:
                return
            encode = self._keep_packets and must_encode(opened, self._settings, self._masks)
            timeline = Timeline(
                opened.time_base, 1 / opened.rate, reordered=opened.reordered, floor=self._newest
            )
            self._pipeline.begin(opened.rate if encode else None)
            stream = AvStream(
                opened,
                timeline,
                self._pipeline,
                self._corruption,
                copy=self._keep_packets and not encode,
                encode=encode,
            )
            yield from self._watch(reader, stream, timeline)
        finally:
            reader.stop()

    def _watch(self, reader: _Reader, stream: AvStream, timeline: Timeline) -> Iterator[SourceItem]:
        stall_s = self._settings.stall_after_s
        pictures, seen = 0, self._clock.mono()
        arrived = seen
        while arrival := reader.packet(stall_s):
            packet, now = arrival
            # After its timeout libav first hands out the packet that its parser still held.
            if now - arrived >= stall_s:
                raise _no_data(self._name, stall_s)
            arrived = now
            for item in stream.feed(packet, now):
                if self._down:
                    self._down = False
                    log.info("%s: pictures again", self._name)
                    yield SourceUp()
                self._backoff.succeeded()
                yield item
            self._newest = timeline.newest
            if stream.pictures > pictures:
                pictures, seen = stream.pictures, now
            if now - seen > stall_s:
                raise SourceLostError(
                    say("{name}: data, but no picture for {seconds:g} s", name=self._name, seconds=stall_s),
                    fix=FIX_LOST,
                )


def _no_data(name: str, seconds: float) -> SourceLostError:
    return SourceLostError(say("{name}: no data for {seconds:g} s", name=name, seconds=seconds), fix=FIX_LOST)


class _Reader(Thread):
    """Reads one connection: libav's calls block, and a device's can hang for ever."""

    def __init__(self, url: str, name: str, stall_s: float, clock: Clock) -> None:
        super().__init__(name="capture-reader", daemon=True)
        self._url = url
        self._source = name
        self._stall_s = stall_s
        self._clock = clock
        self._stopped = Event()
        self._device = url.startswith("/dev/")
        self._queue: Queue[Opened | Arrival | BaseException | None] = Queue(
            QUEUE_RAW if self._device else QUEUE_PACKETS
        )

    def run(self) -> None:
        """Until the connection ends or nobody wants it; whatever ends it is told to the consumer."""
        opened: Opened | None = None
        try:
            opened = self._open()
            self._put(opened)
            for packet in opened.packets():
                if self._stopped.is_set():
                    return
                self._put((packet, self._clock.mono()))
            self._put(SourceLostError(say("{name}: the stream ended", name=self._source), fix=FIX_LOST))
        except FFmpegError as error:
            self._put(live_error(self._source, error))
        except BaseException as error:  # noqa: BLE001 - the top of a thread: raised again in items()
            self._put(error)
        finally:
            if opened:
                opened.close()

    def stop(self) -> None:
        """Leave the connection to its own timeouts; wakes who waits for it."""
        self._stopped.set()
        try:
            self._queue.put_nowait(None)
        except Full:
            log.debug("%s: nobody waits for this reader", self._source)

    def opened(self, stall_s: float) -> Opened | None:
        """The connection once it stands; None when stopped. Raises what ended it."""
        item = self._get(stall_s)
        if isinstance(item, Opened) or item is None:
            return item
        raise TypeError(f"a connection was expected, not {item!r}")

    def packet(self, stall_s: float) -> Arrival | None:
        """The next packet and its arrival; None when stopped. Raises what ended the connection."""
        item = self._get(stall_s)
        if isinstance(item, Opened):
            raise TypeError("a packet was expected, not a second connection")
        return item

    def _get(self, stall_s: float) -> Opened | Arrival | None:
        if self._stopped.is_set():
            return None
        try:
            item = self._queue.get(timeout=stall_s + MARGIN_S)
        except Empty:
            raise _no_data(self._source, stall_s) from None
        if isinstance(item, BaseException):
            raise item
        return None if self._stopped.is_set() else item

    def _put(self, item: Opened | Arrival | BaseException) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=PUT_S)
            except Full:
                continue
            return

    def _open(self) -> Opened:
        microseconds = str(int(self._stall_s * 1e6))
        options = {}
        if self._url.startswith("rtsp"):
            options = {
                "rtsp_transport": "tcp",  # UDP loses packets, and each smears a second of video
                "allowed_media_types": "video",
                "timeout": microseconds,
            }
        if not self._device:
            # Less than libav's own 5 s where even that is too long to find out what the stream is.
            options["analyzeduration"] = str(int(min(5.0, self._stall_s / 4) * 1e6))
        open_s = self._stall_s / 2  # for each of the two steps of opening
        begin = self._clock.mono()
        try:
            return open_live(
                self._url,
                self._source,
                format_name="v4l2" if self._device else None,
                options=options,
                open_s=open_s,
                read_s=self._stall_s,
            )
        except SourceError:
            # libav calls an answer that never came invalid data.
            if self._clock.mono() - begin < open_s:
                raise
            raise SourceLostError(
                say("{name}: no answer for {seconds:g} s", name=self._source, seconds=open_s), fix=FIX_LOST
            ) from None
