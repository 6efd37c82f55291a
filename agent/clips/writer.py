"""One clip while it is written: muxer, hash, sink.

Invariants:
- A power cut costs no more than `sync_s` of video, or one fragment where a fragment is longer.
- A clip that `close` returned for is on disk, name and all.
- After any StorageError the clip is only good for `abandon`: what was synced stays for recovery.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.clips.fmp4 import FragmentMuxer
from agent.clips.sink import FileSink
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.clips.sink import Sink
    from agent.types import Packet, StreamInfo


@dataclass(frozen=True, slots=True)
class Written:
    """What a finished clip came to. Times in seconds; `first_t` and `last_t` are packets' `t`."""

    bytes: int
    sha256: str
    duration: float
    first_t: float
    last_t: float


class ClipWriter:
    """Writes packets of one StreamInfo into the new file `path`.

    Raises:
        StorageError: the file cannot be created, or the stream cannot be recorded.
    """

    def __init__(
        self, path: Path, info: StreamInfo, sync_s: float, *, open_sink: Callable[[Path], Sink] = FileSink
    ) -> None:
        self._time_base = info.time_base
        self._muxer = FragmentMuxer(info, self._write)
        self._sync_s = sync_s
        self._sha256 = hashlib.sha256()
        self._bytes = 0
        self._first: Packet | None = None
        self._whole = self._synced = 0.0  # seconds after the first picture
        self._end = 0.0
        self._last_t = 0.0
        self._sink = open_sink(path)

    def packet(self, packet: Packet) -> None:
        """Add one picture, in decoding order; the first must be a key frame.

        Raises:
            StorageError: the disk or the muxer refused.
            ValueError: the first packet is no key frame.
        """
        before = self._bytes
        self._muxer.packet(packet)
        if self._first is None:
            self._first, self._last_t = packet, packet.t
        shown = float((packet.pts - self._first.pts) * self._time_base)
        self._end = max(self._end, shown + float(packet.duration * self._time_base))
        self._last_t = max(self._last_t, packet.t)
        if self._bytes > before:
            now = float((packet.dts - self._first.dts) * self._time_base)
            fragment, self._whole = now - self._whole, now
            # All before this picture is written. The next chance comes one fragment on: too late if by then
            # more than sync_s would be at stake.
            if now - self._synced + fragment > self._sync_s:
                self._sink.sync()
                self._synced = now

    def close(self) -> Written:
        """Finish the clip and put it on disk for good.

        Raises:
            StorageError: the disk refused.
            ValueError: nothing was written.
        """
        if self._first is None:
            raise ValueError("a clip without pictures")
        self._muxer.close()
        self._sink.sync()
        self._sink.close()
        return Written(self._bytes, self._sha256.hexdigest(), self._end, self._first.t, self._last_t)

    def abandon(self) -> None:
        """Let go of the file as it stands."""
        with contextlib.suppress(StorageError):  # the error that led here was told already
            self._sink.close()

    def _write(self, data: bytes) -> None:
        self._sha256.update(data)
        self._bytes += len(data)
        self._sink.write(data)
