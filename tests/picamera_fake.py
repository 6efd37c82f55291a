"""A board with a camera, behind the surface of Picamera2 0.3.38 that the agent uses.

What is real: threads, locks and their order, buffers that are mapped memory with padded lines, reference
counts (a camera without a free buffer gives no frame), libx264 in the place of the hardware encoder, and what
is raised for which mistake. `Board` says what is connected, and what fails.
"""

from __future__ import annotations

import atexit
import errno
import mmap
import os
import queue
import sys
import threading
import time
from fractions import Fraction
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

import av
import numpy as np
from av.video.frame import PictureType

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

CONFIGURATION = {"main", "lores", "raw", "transform", "colour_space", "buffer_count", "controls", "sensor"}
CONFIGURATION |= {"display", "encode", "queue"}
FIELD = (0, 0, 4608, 2592)
CONTROLS = {
    "FrameDurationLimits": (8333, 1_000_000, 33_333),
    "ScalerCrop": ((0, 0, 64, 64), FIELD, FIELD),
    **dict.fromkeys(
        ("AeExposureMode", "ExposureValue", "AwbMode", "NoiseReductionMode", "AeFlickerMode"), (0, 8, 0)
    ),
    **dict.fromkeys(("AeFlickerPeriod", "ExposureTime", "AnalogueGain", "ColourGains"), (0, 66_666, 0)),
}


class Board:
    """What is connected and how it behaves; counts what was done to it."""

    def __init__(
        self, *, fps: float = 30, pixels: str = "YUV420", models: tuple[str, ...] = ("imx708",)
    ) -> None:
        self.fps = fps
        self.pixels = pixels
        self.models = list(models)
        self.controls: dict[str, tuple[Any, ...]] = dict(CONTROLS)
        self.busy = False
        self.cma = 200_000_000
        self.frames: int | None = None
        """So many frames from each opening, then silence; None: no end."""
        self.packets: int | None = None
        """The same for the hardware encoder."""
        self.hangs_on_close = False
        self.stamps: Callable[[int], object] = lambda now: now
        self.opened: list[FakePicamera2] = []
        self.attempts = 0
        self.encoders: list[dict[str, object]] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be what `import picamera2` and `import libcamera` find."""
        board = self

        class Bound(FakePicamera2):
            def __init__(self, camera_num: int = 0, tuning: str | None = None) -> None:
                super().__init__(board, camera_num, tuning)

            @staticmethod
            def global_camera_info() -> list[dict[str, object]]:
                return [
                    {"Model": model, "Id": f"/base/soc/i2c0mux/i2c@{n}/{model}@1a", "Num": n, "Location": 2}
                    for n, model in enumerate(board.models)
                ]

        class BoundEncoder(FakeH264Encoder):
            def __init__(self, **options: object) -> None:
                board.encoders.append(options)
                super().__init__(board, **options)

        modules = {
            "libcamera": {"Transform": Transform, "ColorSpace": ColorSpace},
            "picamera2": {"Picamera2": Bound, "MappedArray": MappedArray},
            "picamera2.outputs": {"Output": Output},
            "picamera2.encoders": {},
            "picamera2.encoders.h264_encoder": {"H264Encoder": BoundEncoder},
        }
        for name, content in modules.items():
            module = ModuleType(name)
            vars(module).update(content)
            monkeypatch.setitem(sys.modules, name, module)


class Transform:
    """libcamera.Transform."""

    def __init__(self, *, hflip: bool = False, vflip: bool = False) -> None:
        self.flips = (hflip, vflip)


class ColorSpace:
    """libcamera.ColorSpace."""

    @staticmethod
    def Smpte170m() -> str:  # noqa: N802 - libcamera's name
        return "Smpte170m"


class Output:
    """picamera2.outputs.Output."""

    def __init__(self) -> None:
        self.recording = False

    def outputframe(
        self, frame: bytes, keyframe: bool = True, timestamp: int | None = None, packet: object = None
    ) -> None:
        raise NotImplementedError


class FakeRequest:
    """A finished frame: buffers that go back when nobody holds it any more."""

    def __init__(self, camera: FakePicamera2, slot: int, metadata: dict[str, object]) -> None:
        self.picam2 = camera
        self.slot = slot
        self._metadata = metadata
        self._count = 1
        self._lock = threading.Lock()

    def get_metadata(self) -> dict[str, object]:
        return dict(self._metadata)

    def acquire(self) -> None:
        with self._lock:
            self._count += 1

    def release(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0:
                self.picam2.free.put(self.slot)


class MappedArray:
    """picamera2.MappedArray."""

    def __init__(self, request: FakeRequest, stream: str, reshape: bool = True, write: bool = True) -> None:
        assert not reshape, "the fake gives flat buffers only"
        self._memory = request.picam2.memory[stream][request.slot]
        self._write = write
        self.array: np.ndarray | None = None

    def __enter__(self) -> Self:
        self.array = np.frombuffer(self._memory, np.uint8)
        self.array.flags.writeable = self._write
        return self

    def __exit__(self, *_: object) -> None:
        del self.array


class FakePicamera2:
    """picamera2.Picamera2."""

    def __init__(self, board: Board, camera_num: int, tuning: str | None) -> None:
        board.attempts += 1
        self.board = board
        self.number = camera_num
        self.tuning = tuning
        self.pre_callback: Callable[[FakeRequest], None] | None = None
        self.memory: dict[str, list[mmap.mmap]] = {}
        self.free: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.taken: dict[str, Any] = {}
        self.set: dict[str, object] = {}
        self.lock = threading.Lock()
        self._config: dict[str, Any] = {}
        self._encoders: list[FakeH264Encoder] = []
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._ended = threading.Event()
        self.closed = False
        if camera_num >= len(board.models):
            raise RuntimeError(f"No camera number {camera_num} found")
        if board.busy:
            try:
                raise RuntimeError(f"Failed to acquire camera: {os.strerror(errno.EBUSY)}")
            except RuntimeError as error:
                raise RuntimeError("Camera __init__ sequence did not complete.") from error
        board.opened.append(self)
        atexit.register(self.close)

    @property
    def camera_controls(self) -> dict[str, tuple[Any, ...]]:
        return self.board.controls

    def create_video_configuration(self, *, sensor: object, **asked: object) -> dict[str, Any]:
        asked["sensor"] = sensor
        assert set(asked) <= CONFIGURATION, f"unexpected {set(asked) - CONFIGURATION}"
        return asked

    def configure(self, camera_config: dict[str, Any]) -> None:
        self.taken = camera_config
        (main_w, main_h), (small_w, small_h) = (camera_config[s]["size"] for s in ("main", "lores"))
        if main_w % 2 or main_h % 2 or small_w % 2 or small_h % 2:
            raise RuntimeError("width and height should be even")
        if small_w > main_w or small_h > main_h:
            raise RuntimeError("lores stream dimensions may not exceed main stream")
        self.set_controls(camera_config["controls"])
        count = camera_config["buffer_count"]
        for stream in ("main", "lores"):
            width, height = camera_config[stream]["size"]
            stride = (width + 63) // 64 * 64 + 64  # padded more than it is anywhere: nobody may forget it
            size = stride * height * 3 // 2
            if self.board.cma < size * count:
                raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            self.board.cma -= size * count
            self.memory[stream] = [mmap.mmap(-1, size) for _ in range(count)]
            self._config[stream] = {"format": self.board.pixels, "size": (width, height), "stride": stride}
        for slot in range(count):
            self.free.put(slot)

    def camera_configuration(self) -> dict[str, Any]:
        return self._config

    def set_controls(self, controls: dict[str, object]) -> None:
        for name, value in controls.items():
            if name not in self.board.controls:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")
            self.set[name] = value

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def start_encoder(self, encoder: FakeH264Encoder, output: object, *, name: str) -> None:
        if not isinstance(output, Output):
            raise RuntimeError("Must pass Output")
        encoder.start(output, name, self._config[name])
        with self.lock:
            self._encoders.append(encoder)

    def stop_encoder(self, encoders: FakeH264Encoder) -> None:
        encoders.stop()
        with self.lock:
            self._encoders.remove(encoders)

    def stop(self) -> None:
        if self._thread is not None:
            self._ending.set()
            if self.board.hangs_on_close:
                threading.Event().wait()
            self._ended.wait()  # for ever when the thread died, as the real one does
            self._thread = None

    def close(self) -> None:
        atexit.unregister(self.close)
        self.stop()
        for memory in (m for stream in self.memory.values() for m in stream):
            memory.close()  # a BufferError while somebody holds on to it
        self.closed = True

    def _loop(self) -> None:
        due = time.monotonic()
        number = 0
        while not self._ending.is_set():
            due += 1 / self.board.fps
            if self._ending.wait(max(0.0, due - time.monotonic())):
                break
            if self.board.frames is not None and number >= self.board.frames:
                continue
            try:
                slot = self.free.get_nowait()
            except queue.Empty:
                continue  # no buffer, no frame
            self._film(slot, number)
            request = FakeRequest(self, slot, {"SensorTimestamp": self.board.stamps(time.monotonic_ns())})
            number += 1
            with self.lock:
                if self.pre_callback:
                    self.pre_callback(request)
                for encoder in self._encoders:
                    encoder.encode(request)
                request.release()
        self._ended.set()

    def _film(self, slot: int, number: int) -> None:
        """A bright, noisy picture everywhere, padding included; the left eighth brightens with the number."""
        random = np.random.default_rng(number % 4)
        for stream, buffers in self.memory.items():
            picture = np.frombuffer(buffers[slot], np.uint8)
            picture[:] = random.integers(180, 220, 997, np.uint8).repeat(-(-picture.size // 997))[
                : picture.size
            ]
            config = self._config[stream]
            rows = picture[: config["stride"] * config["size"][1]].reshape(-1, config["stride"])
            rows[:, : config["size"][0] // 8] = 60 + number % 100


class FakeH264Encoder:
    """picamera2.encoders.h264_encoder.H264Encoder: takes buffers as they are, gives annex B with headers."""

    def __init__(self, board: Board, *, bitrate: int, repeat: bool, iperiod: int, framerate: float) -> None:
        assert repeat
        self._board = board
        self._rate = (bitrate, iperiod, framerate)
        self.firsttimestamp: int | None = None
        self._queue: queue.SimpleQueue[tuple[FakeRequest, int, bool] | None] = queue.SimpleQueue()
        self._force = False
        self.forced = 0

    def force_key_frame(self) -> None:
        self._force = True
        self.forced += 1

    def start(self, output: Output, name: str, config: dict[str, Any]) -> None:
        self._output, self._name, self._config = output, name, config
        width, height = config["size"]
        bitrate, iperiod, framerate = self._rate
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.bit_rate, context.gop_size, context.max_b_frames = bitrate, iperiod, 0
        context.time_base, context.framerate = Fraction(1, 1_000_000), Fraction(framerate)
        context.options = {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1"}
        context.thread_count = 1
        self._context = context
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def encode(self, request: FakeRequest) -> None:
        stamp = int(request.get_metadata()["SensorTimestamp"] / 1000)  # a KeyError or TypeError, as there
        self.firsttimestamp = stamp if self.firsttimestamp is None else self.firsttimestamp
        request.acquire()
        self._queue.put((request, stamp - self.firsttimestamp, self._force))
        self._force = False

    def _poll(self) -> None:
        number = 0
        while (item := self._queue.get()) is not None:
            if self._board.packets is not None and number >= self._board.packets:
                continue  # stalled: takes, keeps, gives nothing
            request, stamp, force = item
            frame = self._frame(request)
            request.release()
            frame.pts = stamp
            if force:
                frame.pict_type = PictureType.I
            for packet in self._context.encode(frame):
                number += 1
                self._output.outputframe(bytes(packet), packet.is_keyframe, packet.pts)

    def _frame(self, request: FakeRequest) -> av.VideoFrame:
        width, height = self._config["size"]
        stride = self._config["stride"]
        flat = np.frombuffer(request.picam2.memory[self._name][request.slot], np.uint8)
        frame = av.VideoFrame(width, height, "yuv420p")
        planes = [flat[: stride * height].reshape(height, stride)]
        at = stride * height
        if self._config["format"] == "NV12":
            both = flat[at:].reshape(height // 2, stride)
            planes += [both[:, 0::2], both[:, 1::2]]
        else:
            half = stride // 2
            planes += [
                flat[at + i * half * height // 2 :][: half * height // 2].reshape(height // 2, half)
                for i in (0, 1)
            ]
        for plane, source in zip(frame.planes, planes, strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
            rows[:, : plane.width] = source[:, : plane.width]
        return frame
