"""What the agent uses of Picamera2 and libcamera, as types, and how it gets at them.

Both come from the operating system (apt), built for its Python: they are no dependency of ours and are
imported only when a camera is opened. Written against Picamera2 0.3.38 and libcamera 0.7.2; the first to have
all of it is LEAST.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, cast

from agent.capture.camera_fault import outdated, unloadable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from agent.types import Luma

    Configuration = dict[str, Any]
    """A camera configuration of Picamera2: `main` and `lores` hold `format`, `size` and `stride`."""


LEAST = (
    "0.3.14"  # of November 2023: `sensor` of a configuration, and buffers that are mapped for reading only
)


class CameraInfo(TypedDict):
    """One connected camera."""

    Model: str
    Id: str
    Num: int


class Request(Protocol):
    """A finished frame; its buffers are the camera's, and valid within the callback only."""

    def get_metadata(self) -> Mapping[str, object]:
        """What libcamera says of the frame."""
        ...


class Mapped(Protocol):
    """A buffer that is mapped."""

    @property
    def array(self) -> Luma:
        """The buffer itself, flat."""
        ...


class Encoder(Protocol):
    """Picamera2's hardware H.264 encoder."""

    firsttimestamp: int | None
    """Microseconds of the first picture's stamp; packets count from it."""


class Picamera(Protocol):
    """An opened camera."""

    pre_callback: Callable[[Request], None] | None
    """Called for each frame before any encoder or reader sees it."""

    @property
    def camera_controls(self) -> Mapping[str, tuple[Any, Any, Any]]:
        """The controls that it offers: least, greatest, default."""
        ...

    def create_video_configuration(
        self,
        *,
        main: Mapping[str, object],
        lores: Mapping[str, object],
        raw: None,
        transform: object,
        colour_space: object,
        buffer_count: int,
        controls: Mapping[str, object],
        display: None,
        queue: bool,
        sensor: Mapping[str, object],
    ) -> Configuration:
        """A configuration to be given to `configure`."""
        ...

    def configure(self, camera_config: Configuration) -> None:
        """Set the streams up and allocate their buffers."""
        ...

    def camera_configuration(self) -> Configuration:
        """The configuration in force: what was asked for, adjusted by libcamera."""
        ...

    def set_controls(self, controls: Mapping[str, object]) -> None:
        """Set controls with the next frame."""
        ...

    def start(self) -> None:
        """Let frames come, and a thread that takes them."""
        ...

    def start_encoder(self, encoder: Encoder, output: object, *, name: str) -> None:
        """Encode the stream `name` into `output`."""
        ...

    def stop_encoder(self, encoders: Encoder) -> None:
        """End encoding."""
        ...

    def stop(self) -> None:
        """End the frames."""
        ...

    def close(self) -> None:
        """Give the camera back."""
        ...


@dataclass(frozen=True, slots=True)
class Stack:
    """The operating system's camera software."""

    cameras: Callable[[], list[CameraInfo]]
    """Every connected camera, in the order of their numbers; USB cameras last."""
    open: Callable[..., Picamera]
    """`open(number, tuning=path_or_None)`."""
    mapped: Callable[..., AbstractContextManager[Mapped]]
    """`mapped(request, stream, reshape=False, write=bool)`."""
    hardware_encoder: Callable[..., Encoder]
    """`hardware_encoder(bitrate=, repeat=, iperiod=, framerate=)`."""
    transform: Callable[..., object]
    """`transform(hflip=, vflip=)`."""
    colour_space: Callable[[], object]
    """BT.601 in limited range: what every picture in the agent is."""
    output: type
    """The base of everything that an encoder writes into."""

    def packet_output(self, take: Callable[[bytes, bool, int], None]) -> object:
        """An output that hands each packet over: data, key frame or not, microseconds since the first."""

        def outputframe(
            _self: object,
            frame: bytes,
            keyframe: bool = True,  # noqa: FBT001, FBT002 - Picamera2's own signature
            timestamp: int = 0,
            *_: object,
        ) -> None:
            take(bytes(frame), keyframe, timestamp)

        kind = type("PacketOutput", (self.output,), {"outputframe": outputframe})
        return cast("object", kind())


def load() -> Stack:
    """The stack as it is installed.

    Raises:
        SourceError: it is not installed, not in sight of this Python, built for another numpy, or too old.
    """
    try:
        import libcamera  # noqa: PLC0415 - see the head of this module
        import picamera2  # noqa: PLC0415 - the same
        from picamera2.outputs import Output  # noqa: PLC0415 - the same
    except (ImportError, ValueError, OSError) as error:  # a foreign numpy is a ValueError
        raise unloadable(error) from error
    try:
        _require(picamera2.Picamera2.create_video_configuration, "sensor")
        _require(picamera2.MappedArray, "write")
        return Stack(
            cameras=picamera2.Picamera2.global_camera_info,
            open=picamera2.Picamera2,
            mapped=picamera2.MappedArray,
            hardware_encoder=_hardware_encoder,
            transform=libcamera.Transform,
            colour_space=libcamera.ColorSpace.Smpte170m,
            output=Output,
        )
    except AttributeError as error:
        raise outdated(error, LEAST) from error


def _require(call: Callable[..., object], argument: str) -> None:
    """Raises AttributeError if `call` does not know the argument."""
    if argument not in signature(call).parameters:
        raise AttributeError(f"{call.__name__} takes no {argument!r}")


def _hardware_encoder(**options: object) -> Encoder:
    # By its own module: `picamera2.encoders.H264Encoder` is another class on a board without the hardware.
    from picamera2.encoders.h264_encoder import H264Encoder  # noqa: PLC0415 - see the head of this module

    return cast("Encoder", H264Encoder(**options))
