"""Frame sources behind one protocol: `open_source` picks the one that `capture.source` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from agent.capture.file import FileSource
from agent.capture.live import LiveSource, is_live
from agent.capture.synthetic import SCHEME, SyntheticSource
from agent.device.clock import SystemClock
from agent.errors import ConfigError

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

    def items(self) -> Iterator[SourceItem]:
        """What happens, in order: StreamInfo before the packets it describes, a Frame after its packet.

        A file ends; a live source goes on until it is closed, through SourceDown and SourceUp.

        Raises:
            SourceError: a file turns out to hold no picture.
            ConfigError: masks are set that could not be burned into what is recorded.
        """
        ...

    def close(self) -> None:
        """End `items()` within a second; safe from any thread, at any time, more than once."""
        ...


def open_source(
    settings: Capture,
    *,
    masks: tuple[Mask, ...] = (),
    pace: Pace = "real",
    clock: Clock | None = None,
    keep_packets: bool = True,
) -> Source:
    """The source that `settings.source` names.

    With a clock, `t` is on its line, and with pace "real" a file is held back to it. Without one it is a
    replay: `t` is video time from the first picture, and the same file gives the same items every time.
    (A live source has the system's clock then.) Without `keep_packets` only frames are yielded, and
    nothing is encoded.

    Raises:
        SourceError: the file is missing, unreadable, or no video.
        ConfigError: the source is of an unknown kind, or its options are; or as in `Source.items`.
    """
    source = settings.source
    if source.startswith(SCHEME):
        return SyntheticSource(settings, masks, pace=pace, clock=clock, keep_packets=keep_packets)
    if is_live(source):
        return LiveSource(settings, masks, clock=clock or SystemClock(), keep_packets=keep_packets)
    if "://" in source:
        raise ConfigError(
            f"capture.source = {source!r}: no such kind of source",
            fix="give a video file, rtsp://…, a V4L2 device such as /dev/video0, or synthetic:",
        )
    return FileSource(settings, masks, pace=pace, clock=clock, keep_packets=keep_packets)
