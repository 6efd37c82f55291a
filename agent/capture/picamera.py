"""The camera on a Raspberry Pi's ribbon cable, through Picamera2: see `agent.capture.source.Source`.

It is opened once. When it falls silent it is reopened once in the life of this process. What comes then ends
the process, and the service manager starts a new one: each reopening may cost contiguous memory that does not
come back (picamera2#958, #1102), and what did not close cleanly stays busy as long as its process lives.
A camera that never gave a picture is told of for a while first: a kit that starts over and over tells nobody
anything.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from agent.capture import picamera_stack, videocore
from agent.capture.backoff import Backoff
from agent.capture.bounded_call import BoundedCall
from agent.capture.camera_controls import lores_size
from agent.capture.kind import PICAMERA
from agent.capture.picamera_reading import Reading
from agent.capture.picamera_session import CameraSession, Passage, choose
from agent.capture.pipeline import Sampler
from agent.capture.privacy import PrivacyMask
from agent.capture.sensorclock import SensorClock
from agent.errors import ANEW, SourceError, StallError
from agent.types import SourceDown, SourceUp
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agent.capture.picamera_session import Encoding
    from agent.capture.picamera_stack import Stack
    from agent.config import Capture, Mask
    from agent.config_camera import Camera
    from agent.device.clock import Clock
    from agent.types import SourceItem

log = logging.getLogger(__name__)

OPEN_S = 20.0  # a Zero 2 W needs a few seconds; a driver that hangs in the kernel never comes back
CLOSE_S = 5.0  # half a second is usual
REST_S = 600.0  # a camera without a picture is told of so long; more restarts would only wear the card
OPENINGS = 100  # each that fails costs a file descriptor that Picamera2 keeps; a process has 1024
LOOK_S = 0.25  # how soon a silence and a close are seen

SILENT = ("camera.timeout", "camera.encoder")
HOPELESS = ("camera.memory", "camera.driver")
"""What only a new process can mend."""


def connected(source: str, load: Callable[[], Stack] = picamera_stack.load) -> str:
    """The model of the camera that `source` names; it is not opened, and may be in use.

    Raises:
        SourceError: the camera's software does not load, or there is no such camera.
    """
    return choose(load().cameras(), source.removeprefix(PICAMERA))[1]


class PicameraSource:
    """See `agent.capture.source.Source`.

    Raises:
        ConfigError: the picture's size cannot be reduced for motion.
    """

    def __init__(
        self,
        capture: Capture,
        camera: Camera,
        masks: Sequence[Mask] = (),
        *,
        clock: Clock,
        keep_packets: bool = True,
        load: Callable[[], Stack] = picamera_stack.load,
        probe: Callable[[], bool] = videocore.probe,
    ) -> None:
        lores_size(camera)
        self._capture = capture
        self._camera = camera
        self._masks = PrivacyMask(masks)
        self._clock = clock
        self._keep_packets = keep_packets
        self._load = load
        self._probe = probe
        self._name = capture.source.removeprefix(PICAMERA)
        self._stamps = SensorClock()
        self._passage = Passage(Sampler(capture.fps), self._stamps)
        self._backoff = Backoff(capture)
        self._closed = threading.Event()
        self._session: CameraSession | None = None
        self._down: str | None = None
        self._filmed = False
        self._reopened = False
        self._unseen = self._unrecorded = 0

    @property
    def corrupt(self) -> int:
        """Pictures without a usable time of their own."""
        return self._stamps.unstamped

    @property
    def unseen(self) -> int:
        """Frames for analysis that were not read in time: the board is too slow."""
        session = self._session
        return self._unseen + (session.handover.unseen if session else 0)

    @property
    def unrecorded(self) -> int:
        """Pictures to encode, or packets up to a key frame, that were not read in time."""
        session = self._session
        return self._unrecorded + (session.handover.unrecorded if session else 0)

    def items(self) -> Iterator[SourceItem]:
        """What the camera films; SourceDown once per outage and cause, SourceUp when pictures come again.

        A Frame comes a few pictures before its packet where the hardware encodes.

        Raises:
            StallError: this process cannot get pictures any more, a new one may.
        """
        try:
            while not self._closed.is_set():
                try:
                    yield from self._watch(self._open())
                except (SourceError, StallError) as error:
                    if self._closed.is_set():
                        return
                    yield from self._tell(error)
                    self._wait(self._ended(error))
        finally:
            self._end()

    def close(self) -> None:
        """End `items()`; safe from any thread."""
        self._closed.set()
        if session := self._session:
            session.handover.wake()

    def _open(self) -> CameraSession | None:
        def opening() -> CameraSession:
            stack = self._load()
            return CameraSession(
                stack,
                self._name,
                self._camera,
                self._capture,
                self._masks,
                self._passage,
                self._clock,
                self._encoding(),
            )

        self._session = BoundedCall("opening the camera", opening).wait(OPEN_S, self._closed.is_set)
        return self._session

    def _encoding(self) -> Encoding:
        """Who encodes.

        Raises:
            SourceError: the hardware shall, and there is none.
        """
        if not self._keep_packets:
            return "no"
        wanted = self._camera.encoder
        if wanted == "software" or (not (there := self._probe()) and wanted == "auto"):
            return "software"
        if not there:
            raise SourceError(
                say(
                    "camera.encoder = {wanted!r}: {device} is no H.264 encoder",
                    wanted=wanted,
                    device=videocore.DEVICE,
                ),
                fix=say('set camera.encoder = "auto"'),
                alarm="camera.encoder",
            )
        return "hardware"

    def _watch(self, session: CameraSession | None) -> Iterator[SourceItem]:
        """One opened camera, until it falls silent."""
        if session is None:
            return
        reading = Reading(session, self._camera, self._capture, self._clock.mono())
        wait_s = min(LOOK_S, self._capture.stall_after_s / 4)
        while not self._closed.is_set():
            item = session.handover.take(wait_s)
            if item is not None:
                yield from self._filming(session)
                yield from reading.take(item, self._clock.mono())
            reading.check(self._clock.mono())

    def _filming(self, session: CameraSession) -> Iterator[SourceItem]:
        """Something came."""
        self._filmed = True
        self._backoff.succeeded()
        if self._down is not None:
            log.info("%s: pictures again", session.name)
            self._down = None
            yield SourceUp()

    def _tell(self, error: SourceError | StallError) -> Iterator[SourceItem]:
        alarm = error.alarm if isinstance(error, SourceError) else "camera.lost"
        log.log(logging.DEBUG if self._down == alarm else logging.WARNING, "%s", error)
        if self._down != alarm:
            self._down = alarm
            yield SourceDown(error.words[0], alarm)

    def _wait(self, error: SourceError | StallError) -> None:
        """Until the camera may be opened again.

        Raises:
            StallError: not in this process.
        """
        if isinstance(error, SourceError):
            silent = error.alarm in SILENT
            if silent and not self._reopened:
                self._reopened = True
                return
            curable = not silent and error.alarm not in HOPELESS
            if curable and not self._filmed and self._backoff.tries < OPENINGS:
                self._closed.wait(self._backoff.next_s())
                return
        if not self._filmed:
            self._closed.wait(REST_S)
        if not self._closed.is_set():
            raise StallError(error.words[0], fix=ANEW) from error

    def _ended(self, error: SourceError | StallError) -> SourceError | StallError:
        """Give the camera back after this error; what counts of it and of what comes of that."""
        try:
            self._end()
        except StallError as hang:
            return hang
        return error

    def _end(self) -> None:
        """Give the camera back.

        Raises:
            StallError: its driver hangs, and this is no stop: the process must end for it.
        """
        session, self._session = self._session, None
        if session is None:
            return
        self._unseen += session.handover.unseen
        self._unrecorded += session.handover.unrecorded
        try:
            BoundedCall("closing the camera", session.close).wait(CLOSE_S)
        except StallError as error:
            session.abandon()
            if not self._closed.is_set():
                raise
            log.warning("%s", error)
