"""Lets a real Picamera2 work with libcamera's `virtual` camera. `install()` before a camera is opened.

`virtual` is libcamera's own pipeline for tests: real requests, streams, buffers and events, and a picture
that libcamera draws. What it and this machine lack is supplied here, and only that:

- memory: a kernel for servers has no dma-buf heaps, so buffers are memfds (`_Allocator`);
- planes: Picamera2 gives each buffer as one plane, as a Raspberry Pi takes it; `virtual` wants luma and
  chroma apart (the same);
- pace: `virtual` finishes a frame at once; a sensor has its rate, and shows nothing when no buffer is free
  (`_Shutter`);
- raw modes: Picamera2 asks every camera for them when it opens it; there are none (`_modes`).

Not supplied, so not exercised: a sensor, an image processor and its controls, YUV420 (it gives NV12), a
hardware encoder. Written against Picamera2 0.3.38 and libcamera 0.7.
"""

from __future__ import annotations

import mmap
import os
import queue
import sys
import threading
import time
from types import ModuleType
from typing import TYPE_CHECKING, Any


class _Unused(ModuleType):
    """What Picamera2 imports for previews on a screen and for raw photographs; nobody here calls it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Unused(name)


for _name in ("pykms", "pidng", "pidng.camdefs", "pidng.core"):
    sys.modules[_name] = _Unused(_name)

import libcamera  # noqa: E402 - after what it stands on
import picamera2  # noqa: E402
from picamera2 import picamera2 as _inside  # noqa: E402
from picamera2.allocators.allocator import Allocator, Sync  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

fps = 15.0
"""Frames per second of the cameras that are opened from now on."""

frames: int | None = None
"""So many from each start, then silence, as with a loose cable; None: no end."""

hang_after: int | None = None
"""After so many frames Picamera2's own thread hangs, as in a driver; None: never."""


class _Shutter:
    """A libcamera camera that gets its requests one by one, at the sensor's rate."""

    def __init__(self, camera: Any) -> None:
        self._camera = camera
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._open = threading.Event()
        self._thread: threading.Thread | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._camera, name)

    def start(self, *arguments: Any) -> None:
        self._camera.start(*arguments)
        self._open.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def queue_request(self, request: Any) -> None:
        self._waiting.put(request)

    def stop(self) -> None:
        self._open.set()
        if self._thread:
            self._thread.join()
        while not self._waiting.empty():
            self._waiting.get()
        self._camera.stop()

    def _run(self) -> None:
        due = time.monotonic()
        number = 0
        while not self._open.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / fps, time.monotonic())
            if number == frames:
                continue
            try:
                request = self._waiting.get_nowait()
            except queue.Empty:
                continue  # no buffer is free: this frame is lost, as on a kit
            self._camera.queue_request(request)
            number += 1


class Footage:
    """Raw pictures in the files `main` and `lores`, for a looped show at their own rate.

    They are read from the file each time: in memory they would count as the agent's.
    """

    def __init__(self, directory: Path, rate: float) -> None:
        self._files = {name: os.open(directory / name, os.O_RDONLY) for name in ("main", "lores")}
        self._rate = rate

    def paint(self, request: Any) -> None:
        """Put this moment's picture in place of what libcamera has drawn."""
        number = int(time.monotonic() * self._rate)
        for stream, file in self._files.items():
            with picamera2.MappedArray(request, stream, reshape=False, write=True) as mapped:
                size = mapped.array.nbytes
                count = os.fstat(file).st_size // size
                os.preadv(file, [memoryview(mapped.array)], number % count * size)


footage: Footage | None = None
"""What is seen; None: libcamera's own pattern."""


class _Camera(picamera2.Picamera2):
    """Picamera2 with a shutter before its camera."""

    _behind: _Shutter | None = None
    _before: Any = None

    @property
    def pre_callback(self) -> Any:
        return self._seen if self._before else None

    @pre_callback.setter
    def pre_callback(self, function: Any) -> None:
        self._before = function

    def _seen(self, request: Any) -> None:
        if footage is not None:
            footage.paint(request)
        self._before(request)

    @property
    def camera(self) -> Any:
        return self._behind

    @camera.setter
    def camera(self, camera: Any) -> None:
        self._behind = None if camera is None else _Shutter(camera)

    def process_requests(self, display: object) -> None:
        if hang_after is not None and self.frames >= hang_after:
            threading.Event().wait()
        super().process_requests(display)

    def _get_raw_modes(self) -> list[dict[str, Any]]:
        config = self.camera.generate_configuration([libcamera.StreamRole.VideoRecording]).at(0)
        return [{"format": str(config.pixel_format), "size": (config.size.width, config.size.height)}]


class _NoSync(Sync):
    """Memory that one processor alone uses needs no flushing."""

    def __init__(self, allocator: _Allocator, buffer: Any, write: bool) -> None:
        del write
        self._memory = allocator.mapped_buffers[buffer]

    def __enter__(self) -> mmap.mmap:
        return self._memory

    def __exit__(self, *_: object) -> None:
        pass


class _Allocator(Allocator):
    """Buffers in memfds, with two planes each."""

    def __init__(self) -> None:
        super().__init__()
        self.sync = _NoSync
        self.mapped_buffers: dict[Any, mmap.mmap] = {}
        self._buffers: dict[Any, list[Any]] = {}
        self._files: list[int] = []

    def allocate(self, libcamera_config: Any, _use_case: str) -> None:
        for config in libcamera_config:
            self._buffers[config.stream] = [self._buffer(config) for _ in range(config.buffer_count)]

    def buffers(self, stream: Any) -> list[Any]:
        return self._buffers[stream]

    def acquire(self, buffers: Any) -> None:
        pass

    def release(self, buffers: Any) -> None:
        pass

    def close(self) -> None:
        for memory in self.mapped_buffers.values():
            memory.close()
        for file in self._files:
            os.close(file)
        self.mapped_buffers, self._buffers, self._files = {}, {}, []

    def __del__(self) -> None:
        self.close()

    def _buffer(self, config: Any) -> Any:
        file = os.memfd_create("frame", os.MFD_CLOEXEC)
        os.ftruncate(file, config.frame_size)
        self._files.append(file)
        luma = config.stride * config.size.height
        planes = []
        for offset, length in ((0, luma), (luma, config.frame_size - luma)):
            plane = libcamera.FrameBuffer.Plane()
            plane.fd, plane.offset, plane.length = file, offset, length
            planes.append(plane)
        buffer = libcamera.FrameBuffer(planes)
        self.mapped_buffers[buffer] = mmap.mmap(file, config.frame_size)
        return buffer


def open_camera() -> picamera2.Picamera2:
    """A camera in other hands than the agent's."""
    return _Camera()


def install() -> None:
    """From now on `picamera2.Picamera2` opens virtual cameras too."""
    _inside.DmaAllocator = _Allocator
    picamera2.Picamera2 = _Camera
