"""The threads of the live agent, each the owner of one room's state.

camera:    reads the source; packets go to `recording`, frames to `analysis`.
analysis:  vision and events; event changes go to the journal and to `recording`.
recording: ring and recorder.

Queues are bounded by dropping frames, or packets up to the next key frame; events are never dropped.
The end of the source travels through the queues, so everything before it is finished first.
"""

from __future__ import annotations

import logging
import queue
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.doctor.registry import NO_PICTURES
from agent.errors import StairwellError
from agent.thread import NamedThread
from agent.types import Frame, Packet, Phase, SourceDown, SourceUp, StreamInfo

if TYPE_CHECKING:
    from agent.app.analysis import Analyser, Analysis
    from agent.app.announcer import Announcer
    from agent.app.ledger import Ledger
    from agent.capture.ring import PacketRing
    from agent.capture.source import Source
    from agent.clips.recorder import Recorder
    from agent.device.clock import Clock
    from agent.types import EventChange, SourceItem
    from agent.vision.landmark import Landmark
    from agent.words import Text

log = logging.getLogger(__name__)

FRAMES_WAITING = 2  # a third would be older than what follows it: analysis must stay at the present
INTERRUPT_CHECK_S = 1.0  # how late an event may end after its source went down
PACKETS_WAITING = 900  # 30 s at 30 fps: a slow card may sync for seconds; a few MB at 2 Mbit/s


@dataclass(frozen=True, slots=True)
class EventOpened:
    """Recording must cover this event from `t` on."""

    event: str
    t: float


@dataclass(frozen=True, slots=True)
class EventClosed:
    """The event's last evidence was at `t`."""

    event: str
    t: float


Recorded = StreamInfo | Packet | SourceDown | EventOpened | EventClosed


class Stage(ABC):
    """A named thread. What kills it is kept in `failure`, and the supervisor ends the process for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failure: Exception | None = None
        self.busy_since: float | None = None
        """Since when there is work of which nothing was taken up or done; None when there is none."""
        self._thread = NamedThread(name, self._top)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the thread has work to do still."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the stage."""
        self._thread.join(timeout_s)

    @abstractmethod
    def _work(self) -> None:
        """The whole life of the stage."""

    def _top(self) -> None:
        try:
            self._work()
        except Exception as error:
            self.failure = error
            if isinstance(error, StairwellError):  # for people: a line, no traceback
                log.error("stage %s ended: %s", self.name, error)  # noqa: TRY400
            else:
                log.exception("stage %s died", self.name)


class RecordingStage(Stage):
    """Ring and recorder."""

    def __init__(
        self,
        ring: PacketRing,
        recorder: Recorder | None,
        announcer: Announcer,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        super().__init__("recording")
        self._clock = clock
        self._ring = ring
        self._recorder = recorder
        self._announcer = announcer
        self._ledger = ledger
        self._queue: queue.SimpleQueue[Recorded | None] = queue.SimpleQueue()
        self._await_keyframe = False

    @property
    def backlog(self) -> int:
        """Items waiting."""
        return self._queue.qsize()

    @property
    def gops_dropped(self) -> int:
        """Groups of pictures that had to leave the pre-roll early, for want of memory."""
        return self._ring.dropped_gops

    def put(self, item: Recorded) -> None:
        """Hand over; a packet may be dropped (counted), an event never is."""
        if isinstance(item, Packet):
            self._await_keyframe &= not item.keyframe
            if self._await_keyframe or self._queue.qsize() >= PACKETS_WAITING:
                self._await_keyframe = True
                self._ledger.drop_packet()
                return
        self._enqueue(item)

    def end(self) -> None:
        """No more will come."""
        self._enqueue(None)

    def _enqueue(self, item: Recorded | None) -> None:
        if self.busy_since is None:  # before the item can be taken
            self.busy_since = self._clock.mono()
        self._queue.put(item)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            self.busy_since = self._clock.mono()
            self._take(item)
            self.busy_since = self._clock.mono() if self._queue.qsize() else None
        if self._recorder is not None:
            self._recorder.close()

    def _take(self, item: Recorded) -> None:
        match item:
            case StreamInfo():
                self._ring.stream(item)
            case Packet():
                self._ring.push(item)
        if self._recorder is None:
            return
        match item:
            case StreamInfo():
                self._recorder.stream(item)
            case Packet():
                self._recorder.packet(item)
            case SourceDown():
                self._recorder.interrupted()
            case EventOpened():
                self._recorder.event_opened(item.event, item.t)
            case EventClosed():
                self._recorder.event_closed(item.event, item.t)
        self._announcer.alarm("clips.failed", active=self._recorder.failed is not None)


class AnalysisStage(Stage):
    """Vision and events."""

    def __init__(
        self,
        analyser: Analyser,
        announcer: Announcer,
        recording: RecordingStage,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        super().__init__("analysis")
        self._analyser = analyser
        self._announcer = announcer
        self._recording = recording
        self._ledger = ledger
        self._clock = clock
        self._queue: queue.Queue[Frame | None] = queue.Queue()
        self._last_t = 0.0
        self._interrupted = threading.Event()
        self.share = 1.0
        """Of the frames that are analysed; the rest is left out, to spare a board that is hot or busy."""
        self._due = 0.0
        self.latest: Analysis | None = None
        """What the last frame gave."""

    @property
    def backlog(self) -> int:
        """Frames waiting."""
        return self._queue.qsize()

    def know(self, landmark: Landmark | None) -> None:
        """See Analyser."""
        self._analyser.know(landmark)

    def forget(self) -> None:
        """See Analyser."""
        self._analyser.forget()

    def put(self, frame: Frame) -> None:
        """Hand over; the oldest waiting frame gives way (counted), and some are left out as `share` says."""
        self._due += self.share
        if self._due < 1.0:
            return
        self._due -= 1.0
        while self._queue.qsize() >= FRAMES_WAITING:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                break
            self._ledger.skip()
        self._interrupted.clear()  # here, not where frames are taken: one from before the loss may wait still
        self._enqueue(frame)

    def interrupt(self) -> None:
        """The source is down: nobody can be seen any more, so open events end."""
        self._interrupted.set()

    def end(self) -> None:
        """No more will come."""
        self._enqueue(None)

    def _enqueue(self, item: Frame | None) -> None:
        if self.busy_since is None:  # before the item can be taken
            self.busy_since = self._clock.mono()
        self._queue.put(item)

    def _work(self) -> None:
        while True:
            try:
                frame = self._queue.get(timeout=INTERRUPT_CHECK_S)
            except queue.Empty:
                if self._interrupted.is_set():
                    self._interrupted.clear()
                    self._finish()
                continue
            self.busy_since = self._clock.mono()
            if frame is None:
                break
            self._take(self._analyser.step(frame))
            self._last_t = frame.t
            self.busy_since = self._clock.mono() if self._queue.qsize() else None
        self._finish()
        self._announcer.figures(self._analyser.last_figures())
        self._recording.end()
        self.busy_since = None

    def _finish(self) -> None:
        for change in self._analyser.finish(self._last_t):
            self._record(self._announcer.change(change), change)

    def _take(self, analysis: Analysis) -> None:
        self.latest = analysis
        self._ledger.analyse(
            self._clock.mono(), analysis.seconds.get("detector"), motion=bool(analysis.motion.regions)
        )
        for event, change in self._announcer.analysis(analysis):
            self._record(event, change)

    def _record(self, event: str, change: EventChange) -> None:
        if change.phase is Phase.NEW:
            self._recording.put(EventOpened(event, change.started))
        elif change.ended is not None:
            self._recording.put(EventClosed(event, change.ended))


class CameraStage(Stage):
    """Reads the source."""

    def __init__(
        self,
        source: Source,
        analysis: AnalysisStage,
        recording: RecordingStage,
        announcer: Announcer,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        super().__init__("camera")
        self._source = source
        self._analysis = analysis
        self._recording = recording
        self._announcer = announcer
        self._ledger = ledger
        self._clock = clock
        self.latest: Frame | None = None
        """The newest picture, masked; it may be old."""
        self._unseen = self._unrecorded = 0
        self.down: Text | None = None
        """Why there are no pictures; None while there are."""
        self.alarm: str | None = None
        """The alarm of that."""
        self.silent_since: float | None = None
        """When the last frame came; None while none is owed: the source is said to be down, or at its end."""

    def close(self) -> None:
        """End the source; what it gave so far is finished."""
        self._source.close()

    def _work(self) -> None:
        self.silent_since = self._clock.mono()
        try:
            for item in self._source.items():
                self._take(item)
        finally:
            self.silent_since = None
            self._analysis.end()

    def _take(self, item: SourceItem) -> None:
        match item:
            case Frame():
                self.silent_since = self._clock.mono()
                self.latest = item
                self._ledger.frame(self.silent_since)
                self._count_dropped()
                self._no_pictures(None)
                self._analysis.put(item)
            case Packet():
                self._ledger.packet(self._clock.mono())
                self._recording.put(item)
            case StreamInfo():
                self._recording.put(item)
            case SourceDown():
                self.down, self.alarm = item.reason, item.alarm
                self.silent_since = None
                log.warning("the source gives no pictures: %s", item.reason.en)
                self._no_pictures(item)
                self._recording.put(item)
                self._analysis.interrupt()
            case SourceUp():
                self.down = self.alarm = None
                self.silent_since = self._clock.mono()
                log.info("the source gives pictures")

    def _count_dropped(self) -> None:
        """What gave way inside the source counts as what gives way behind it."""
        while self._unseen < self._source.unseen:
            self._unseen += 1
            self._ledger.skip()
        while self._unrecorded < self._source.unrecorded:
            self._unrecorded += 1
            self._ledger.drop_packet()

    def _no_pictures(self, down: SourceDown | None) -> None:
        """Raise the alarm of this outage alone; None: pictures come, and none of them holds."""
        for code in NO_PICTURES:
            active = down is not None and code == down.alarm
            self._announcer.alarm(code, active=active, detail=down.reason.en if down else "")
