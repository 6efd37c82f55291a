"""One clip while it is written: muxer, hash, sink.

Invariants:
- A power cut costs no more than `sync_s` of video, or one fragment where a fragment is longer, sealed or not.
- Every byte of the plaintext belongs to one Fragment, hashed before it is handed to the sink.
- A clip that `close` returned for is on disk, name and all.
- After any StorageError the clip is only good for `abandon`: what was synced stays for recovery.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.clips.fmp4 import FragmentMuxer, filling
from agent.clips.fragment import Fragment, Plaintext, Progress
from agent.clips.sink import FileSink
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.clips.journal import OpenClip
    from agent.clips.sink import Sink, Stored
    from agent.types import Packet, StreamInfo


@dataclass(frozen=True, slots=True)
class Written:
    """What a finished clip came to. Times in seconds; `first_t` and `last_t` are packets' `t`."""

    file: Stored
    plain: Plaintext
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
        self._info = info
        self._tick = float(info.time_base)  # as a Fraction each picture would cost a tenth more
        # The muxer does not know us: such a cycle keeps a clip's last fragment and its hashes until the
        # garbage collector looks at old objects, which it rarely does.
        self._ready: list[bytes] = []  # fragments that are whole
        self._muxer = FragmentMuxer(info, self._ready.append)
        self._sync_s = sync_s
        self._bytes = 0
        self._fragments: list[Fragment] = []
        self._noted = 0  # of the fragments: those that a sync told the sink of
        self._first: Packet | None = None
        self._whole = self._synced = 0.0  # seconds after the first picture
        self._end = 0.0
        self._last_t = 0.0
        self._about: OpenClip | None = None
        self._sink = open_sink(path)

    def about(self, clip: OpenClip) -> None:
        """What is known of the clip from now on: kept with each sync."""
        self._about = clip

    def packet(self, packet: Packet) -> None:
        """Add one picture, in decoding order; the first must be a key frame.

        Raises:
            StorageError: the disk or the muxer refused.
            ValueError: the first packet is no key frame.
        """
        before, end = self._bytes, self._end
        self._muxer.packet(packet)
        self._write_ready()
        if self._first is None:
            self._first, self._last_t = packet, packet.t
        shown = (packet.pts - self._first.pts) * self._tick
        self._end = max(self._end, shown + packet.duration * self._tick)
        self._last_t = max(self._last_t, packet.t)
        if self._bytes > before:
            now = (packet.dts - self._first.dts) * self._tick
            fragment, self._whole = now - self._whole, now
            # All before this picture is written. The next chance comes one fragment on: too late if by then
            # more than sync_s would be at stake.
            if now - self._synced + fragment > self._sync_s:
                self._fill()
                self._sink.sync(self._progress(end))
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
        self._write_ready()
        self._fill()
        file = self._sink.finish(self._progress(self._end))
        self._sink.close()
        return Written(
            file=file,
            plain=Plaintext(self._bytes, tuple(self._fragments)),
            duration=self._end,
            first_t=self._first.t,
            last_t=self._last_t,
        )

    def abandon(self) -> None:
        """Let go of the file as it stands."""
        with contextlib.suppress(StorageError):  # the error that led here was told already
            self._sink.close()

    def _write_ready(self) -> None:
        while self._ready:
            self._write(self._ready.pop(0))

    def _write(self, data: bytes) -> None:
        self._bytes += len(data)
        digest = hashlib.sha256(data).hexdigest()
        self._fragments.append(Fragment(round(self._whole, 3), len(data), digest))
        self._sink.write(data)

    def _fill(self) -> None:
        missing = self._sink.missing()
        if missing:
            self._write(filling(missing))

    def _progress(self, end: float) -> Progress:
        """All that was written plays for `end` seconds."""
        fresh, self._noted = tuple(self._fragments[self._noted :]), len(self._fragments)
        return Progress(
            codec=self._info.codec,
            width=self._info.width,
            height=self._info.height,
            bytes=self._bytes,
            end=round(end, 3),
            fragments=fresh,
            about=self._about,
        )
