"""One opened Raspberry Pi camera, from its opening to its end.

Invariant: masked pixels are black before the encoder and before any copy is made. It is done in Picamera2's
pre-callback, in the camera's own buffer; when it fails the camera's thread ends with it, so nothing unmasked
goes on.
"""

from __future__ import annotations

import atexit
import logging
from typing import TYPE_CHECKING, Literal

from agent.capture.camera_controls import crop_rectangle, flips, lores_size, offered, wanted_controls
from agent.capture.camera_fault import missing, opening_fault
from agent.capture.handover import Encoded, Handover, Shot
from agent.capture.hardware_encoder import LATE_KEY, InFlight
from agent.capture.rawbuffer import PlaneLayout
from agent.words import say

if TYPE_CHECKING:
    from agent.capture.camera_controls import Controls
    from agent.capture.picamera_stack import CameraInfo, Configuration, Encoder, Picamera, Request, Stack
    from agent.capture.pipeline import Sampler
    from agent.capture.privacy import PrivacyMask
    from agent.capture.sensorclock import SensorClock
    from agent.config import Capture
    from agent.config_camera import Camera
    from agent.device.clock import Clock
    from agent.types import Luma

log = logging.getLogger(__name__)

Encoding = Literal["hardware", "software", "no"]
"""Who encodes: the board; the reader of the handover, who gets every picture for it; nobody."""

BUFFERS = (
    4  # sensor, image processor, callback and encoder hold one each; more is CMA that 512 MB boards lack
)


class Passage:
    """What outlives a reopening: choice, numbers and time of the pictures. For one thread at a time."""

    def __init__(self, sampler: Sampler, stamps: SensorClock) -> None:
        self.sampler = sampler
        self.stamps = stamps
        self.index = 0


class CameraSession:
    """A running camera; what it films comes out of `handover`.

    Raises:
        SourceError: there is no such camera, or it cannot be opened or started; `alarm` names the fault.
    """

    def __init__(
        self,
        stack: Stack,
        name: str,
        camera: Camera,
        capture: Capture,
        masks: PrivacyMask,
        passage: Passage,
        clock: Clock,
        encoding: Encoding,
    ) -> None:
        self._stack = stack
        self._settings = camera
        self._gop_s = capture.gop_s
        self._masks = masks
        self._passage = passage
        self._clock = clock
        self.encoding = encoding
        self._encoder: Encoder | None = None
        self._key_t: float | None = None
        self.handover = Handover(records=encoding == "software")
        self.in_flight = InFlight()
        self.pictures = 0
        """Frames so far."""
        number, self.name = choose(stack.cameras(), name)
        tuning = str(camera.tuning_file) if camera.tuning_file else None
        try:
            self._camera: Picamera = stack.open(number, tuning=tuning)
        except (OSError, RuntimeError) as error:
            raise opening_fault(self.name, error) from error
        self.seen = clock.mono()
        """When the last frame came; before the first, when the camera was opened."""
        try:
            self._layout, self._small = self._configure()
            self._start(capture)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError | RuntimeError):
                raise opening_fault(self.name, error) from error
            raise
        log.info("%s: %dx%d, %s encoding", self.name, *self.size, encoding)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the recorded picture."""
        return self._layout.width, self._layout.height

    def close(self) -> None:
        """Stop and give the camera back. A driver may hang here; what it says is logged, not raised."""
        self._camera.pre_callback = None
        for step in (self._camera.stop, self._stop_encoder, self._camera.close):
            try:
                step()
            except (OSError, RuntimeError, BufferError) as error:
                log.warning("%s: did not close cleanly (%s)", self.name, error)

    def abandon(self) -> None:
        """Leave a camera alone that does not close: Picamera2 would try again, and hang, as Python exits."""
        atexit.unregister(self._camera.close)

    def _stop_encoder(self) -> None:
        if self._encoder is not None:
            self._camera.stop_encoder(self._encoder)

    def _configure(self) -> tuple[PlaneLayout, PlaneLayout]:
        camera, settings = self._camera, self._settings
        controls, absent = offered(wanted_controls(settings), camera.camera_controls)
        if absent:
            log.info("%s: has no %s", self.name, ", ".join(absent))
        hflip, vflip = flips(settings)
        camera.configure(
            camera.create_video_configuration(
                main={"format": "YUV420", "size": (settings.width, settings.height)},
                lores={"format": "YUV420", "size": lores_size(settings)},
                raw=None,
                transform=self._stack.transform(hflip=hflip, vflip=vflip),
                colour_space=self._stack.colour_space(),
                buffer_count=BUFFERS,
                controls=controls,
                display=None,
                queue=False,  # keep no finished frame back: every buffer is needed
                sensor={"output_size": settings.sensor_size} if settings.sensor_size else {},
            )
        )
        given = camera.camera_configuration()
        self._crop(camera, given)
        return self._checked(given, "main"), self._checked(given, "lores")

    def _crop(self, camera: Picamera, given: Configuration) -> None:
        if self._settings.crop == (0.0, 0.0, 1.0, 1.0):
            return
        known = camera.camera_controls
        if "ScalerCrop" not in known:
            log.warning("%s: camera.crop is not possible with this camera", self.name)
            return
        rectangle = crop_rectangle(self._settings, known["ScalerCrop"][1])
        controls: Controls = {"ScalerCrop": rectangle}
        if "ScalerCrops" in known:  # one for each stream; where it is offered it wins
            controls["ScalerCrops"] = [rectangle] * (2 if given.get("lores") else 1)
        camera.set_controls(controls)

    def _checked(self, given: Configuration, stream: str) -> PlaneLayout:
        return PlaneLayout.of(f"{self.name}: {stream}", given[stream] or {})

    def _start(self, capture: Capture) -> None:
        self._camera.pre_callback = self._on_request
        if self.encoding == "hardware":
            self._encoder = self._stack.hardware_encoder(
                bitrate=capture.bitrate_kbps * 1000,
                repeat=True,  # headers before each key frame: a clip may begin at any of them
                iperiod=max(1, round(self._settings.fps * self._gop_s)),
                framerate=self._settings.fps,
            )
            output = self._stack.packet_output(self._on_packet)
            self._camera.start_encoder(self._encoder, output, name="main")
        self._camera.start()

    def _on_request(self, request: Request) -> None:
        """The camera's thread, for each frame, before the encoder sees it."""
        try:
            self._take(request)
        except BaseException as error:
            self.handover.fail(error)
            raise  # Picamera2's thread ends: the encoder never gets this frame

    def _take(self, request: Request) -> None:
        now = self._clock.mono()
        stamp = request.get_metadata().get("SensorTimestamp")
        passage = self._passage
        t = passage.stamps.place(stamp, now)
        index, passage.index = passage.index, passage.index + 1
        due = passage.sampler.take(t)
        picture = None
        wanted = due or self.encoding == "software"
        if wanted or self._masks:
            with self._stack.mapped(request, "main", reshape=False, write=bool(self._masks)) as main:
                buffer = main.array
                self._masks.burn(self._layout.luma(buffer), self._layout.chroma(buffer))
                if wanted:
                    picture = self._layout.picture(buffer)
                del buffer
        luma = self._luma(request) if due else None
        if self._encoder is not None and isinstance(stamp, int):
            self.in_flight.add(int(stamp / 1000), t)  # as Picamera2 reckons it
            self._cut_long_groups(t)
        if picture is not None:
            self.handover.shot(Shot(index, t, picture, luma))
        self.pictures += 1
        self.seen = now

    def _luma(self, request: Request) -> Luma:
        """The small plane, copied once out of memory that may be uncached, masked like the large one."""
        with self._stack.mapped(request, "lores", reshape=False, write=False) as lores:
            luma = self._small.luma(lores.array).copy()
        self._masks.burn(luma)
        return luma

    def _cut_long_groups(self, t: float) -> None:
        """Ask for a key frame where the camera is so slow that the encoder's own count comes late."""
        if self._key_t is None:
            self._key_t = t  # the encoder begins with one
        force = getattr(self._encoder, "force_key_frame", None)  # newer releases of Picamera2 have it
        if force is not None and t - self._key_t > LATE_KEY * self._gop_s:
            self._key_t = t
            force()

    def _on_packet(self, data: bytes, keyframe: bool, microseconds: int) -> None:  # noqa: FBT001 - an output's
        """The encoder's thread, for each packet."""
        base = self._encoder.firsttimestamp if self._encoder is not None else None
        t = self.in_flight.take((base or 0) + microseconds)
        if t is None:
            log.debug("%s: a packet of no known picture", self.name)
            return
        if keyframe:
            self._key_t = max(t, self._key_t or t)
        self.handover.encoded(Encoded(data, t, keyframe))


def choose(cameras: list[CameraInfo], name: str) -> tuple[int, str]:
    """Number and model of the camera with this number or id, or whose model begins so; the first for "".

    Raises:
        SourceError: there is none, or none of that name.
    """
    if not cameras:
        raise missing("picamera", say("no camera is connected"))
    for number, info in enumerate(cameras):
        by_model = not name.isdigit() and info["Model"].startswith(name)
        if by_model or name in {str(number), info["Id"]}:
            if len(cameras) > 1:
                log.info("of %d cameras only number %d (%s) is used", len(cameras), number, info["Model"])
            return number, info["Model"]
    known = ", ".join(f"{number} ({info['Model']})" for number, info in enumerate(cameras))
    raise missing(f"picamera:{name}", say("no such camera; connected are {known}", known=known))
