"""Frame sources behind one protocol: `open_source` picks the one that `capture.source` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from agent.capture.file import FileSource
from agent.capture.kind import source_kind
from agent.capture.live import LiveSource
from agent.capture.picamera import PicameraSource
from agent.capture.synthetic import SyntheticSource
from agent.config_camera import Camera
from agent.device.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.capture.pacer import Pace
    from agent.config import Capture, Mask
    from agent.device.clock import Clock
    from agent.types import SourceItem


class Source(Protocol):
    """Where pictures come from. One thread iterates; any thread may close."""

    @property
    def corrupt(self) -> int:
        """Damaged packets and pictures so far."""
        ...

    @property
    def unseen(self) -> int:
        """Frames so far that gave way before analysis because they were not read in time."""
        ...

    @property
    def unrecorded(self) -> int:
        """Pictures so far that are missing from the video because they were not read in time."""
        ...

    def items(self) -> Iterator[SourceItem]:
        """What happens, in order: StreamInfo before the packets it describes, a Frame after its packet.

        (A Frame comes a few pictures before it where a board's own encoder makes the packet.)
        A file ends; a live source goes on until it is closed, through SourceDown and SourceUp.

        Raises:
            SourceError: a file turns out to hold no picture.
            ConfigError: masks are set that could not be burned into what is recorded.
            StallError: this process gets no more pictures, a new one may.
        """
        ...

    def close(self) -> None:
        """End `items()` within a second; safe from any thread, at any time, more than once."""
        ...


def open_source(
    settings: Capture,
    *,
    camera: Camera | None = None,
    masks: tuple[Mask, ...] = (),
    pace: Pace = "real",
    clock: Clock | None = None,
    keep_packets: bool = True,
) -> Source:
    """The source that `settings.source` names; `camera` (by default its defaults) is for picamera: only.

    With a clock, `t` is on its line, and with pace "real" a file is held back to it. Without one it is a
    replay: `t` is video time from the first picture, and the same file gives the same items every time.
    (A live source has the system's clock then.) Without `keep_packets` only frames are yielded, and
    nothing is encoded.

    Raises:
        SourceError: the file is missing, unreadable, or no video.
        ConfigError: the source is of an unknown kind, or its options are; or as in `Source.items`.
    """
    kind = source_kind(settings.source)
    if kind == "synthetic":
        return SyntheticSource(settings, masks, pace=pace, clock=clock, keep_packets=keep_packets)
    if kind == "file":
        return FileSource(settings, masks, pace=pace, clock=clock, keep_packets=keep_packets)
    if kind == "picamera":
        return PicameraSource(
            settings, camera or Camera(), masks, clock=clock or SystemClock(), keep_packets=keep_packets
        )
    return LiveSource(settings, masks, clock=clock or SystemClock(), keep_packets=keep_packets)
