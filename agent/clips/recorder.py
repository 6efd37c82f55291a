"""When to record: pre-roll, events that share a clip, post-roll, parts.

Invariants:
- A clip begins with a key frame and ends before one (or where the stream ends): whole GOPs.
- From the pre-roll of its first event to the post-roll of its last, each packet is in exactly one clip.
- Parts of one recording join without a gap; a recording that follows another repeats nothing of it, and
  does not go back behind its beginning.
- The journal knows of a file before it exists, and of a clip only once it is on disk.
- After a refusal of the disk a new clip begins as soon as it takes writes again, with what the ring still
  has: only then may a packet be in two clips, for nobody knows yet what the refused one kept.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from agent.clips.journal import SEALED_SUFFIX, SUFFIX, OpenClip
from agent.clips.seal import Recipients, SealingSink
from agent.clips.sink import refused
from agent.clips.writer import ClipWriter
from agent.errors import ConfigError, StorageError
from agent.types import ClipRecord
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from agent.clips.journal import ClipJournal
    from agent.clips.writer import Written
    from agent.config import Clips
    from agent.device.clock import Stamp
    from agent.types import Packet, StreamInfo

log = logging.getLogger(__name__)

RETRY_S = 5.0  # between two tries on a disk that refused: the ring bridges it, whatever the pre-roll is
ABANDONED_MAX = 100  # clips that a disk refused and nobody took up: the next start finds the older ones


class Writer(Protocol):
    """What the recorder asks of a clip's writer; see ClipWriter."""

    def about(self, clip: OpenClip) -> None:
        """What is known of the clip from now on."""
        ...

    def packet(self, packet: Packet) -> None:
        """Add one picture."""
        ...

    def close(self) -> Written:
        """Finish."""
        ...

    def abandon(self) -> None:
        """Leave as it stands."""
        ...


@dataclass(slots=True)
class _Running:
    clip: OpenClip
    writer: Writer
    dts: int


class Recorder:
    """Turns packets and events into clips. One thread drives it; nothing here waits but disk and journal.

    `preroll(since)` gives the ring's packets from the last key frame at or before `since` up to the newest.
    The ring is fed first (and emptied at a new StreamInfo), then the recorder, with the same packets;
    those that the ring has and the recorder has not been given yet may thus come twice and count once.
    `stamp` labels a packet's `t`, `mint` gives each clip its id (a ULID).

    A disk or journal that refuses ends the clip: `failed` says why until a clip is completed again, the file
    stays as it is for recovery, its id is in `abandoned`. The next event begins a new recording at once; one
    under way, or in its post-roll, does so every RETRY_S.

    Raises:
        ConfigError: there is nobody to seal clips to, so nothing may be recorded.
    """

    def __init__(
        self,
        settings: Clips,
        directory: Path,
        preroll: Callable[[float], Sequence[Packet]],
        mint: Callable[[], str],
        journal: ClipJournal,
        stamp: Callable[[float], Stamp],
        *,
        open_writer: Callable[[Path, StreamInfo, float], Writer] | None = None,
    ) -> None:
        if settings.refused:
            raise ConfigError(
                say("clips.recipients is empty: nobody could open what is sealed"),
                fix=say("set clips.recipients to the city's age1… keys, or clips.enabled = false"),
            )
        self.failed: StorageError | None = None
        self.abandoned: deque[str] = deque(maxlen=ABANDONED_MAX)
        self._settings = settings
        self._sealed: str = settings.seal
        self._directory = directory
        self._preroll = preroll
        self._mint = mint
        self._journal = journal
        self._stamp = stamp
        self._open_writer = open_writer or _writers(settings)
        self._info: StreamInfo | None = None
        self._running: _Running | None = None
        self._open: dict[str, None] = {}  # events under way, in the order in which they opened
        self._recording = False  # an event wants a clip, though none may run for want of a key frame
        self._part = 0  # of the clip that runs or comes next
        self._until = 0.0  # end of the post-roll
        self._tail = ""  # the event that the post-roll belongs to
        self._ahead: deque[Packet] = deque()  # taken from the ring: not to be taken again
        self._given: int | None = None  # dts of the last packet given to `packet`
        self._kept: int | None = None  # dts of the last packet in the last completed clip
        self._now = 0.0  # time of the last packet given to `packet`
        self._retry_at: float | None = None  # when what a disk refused is tried again
        self._since = 0.0  # from where on it is to be recorded then

    @property
    def current(self) -> str | None:
        """The id of the clip under way: its file is not yet fit to be read, removed or recovered."""
        return self._running.clip.id if self._running else None

    def stream(self, info: StreamInfo) -> None:
        """Packets from now on decode with `info`; a clip under way goes on in a next part."""
        self.interrupted()
        self._info = info

    def interrupted(self) -> None:
        """The packets broke off (the source is down): complete the clip now, go on when they return."""
        self._finish()
        if self._retry_at is None:
            self._since = self._now
        self._ahead.clear()
        self._given = self._kept = None

    def packet(self, packet: Packet) -> None:
        """The next packet, in decoding order, after the ring has it.

        Raises:
            ValueError: no StreamInfo came before it.
        """
        if self._info is None:
            raise ValueError("a packet before its StreamInfo")
        if self._given is not None and packet.dts <= self._given:
            log.warning("clips: time stamps went back (dts %d after %d)", packet.dts, self._given)
            self.interrupted()
        self._given, self._now = packet.dts, packet.t
        if self._retry_at is not None and packet.t >= self._retry_at:
            self._retry(packet.t)
        while self._ahead and self._ahead[0].dts < packet.dts:
            self._ahead.popleft()
        if not self._ahead:
            self._take(packet)
        elif self._ahead[0].dts == packet.dts:
            self._ahead.popleft()

    def event_opened(self, event: str, t: float) -> None:
        """An event began at `t` (in the past by the time that it took to find it)."""
        if self._running is None and not self._open and t > self._until:
            self._recording = False  # a source that went down let no packet end the recording
        since = t - self._settings.pre_roll_s
        if self._retry_at is not None and self._wanted(t):
            since = min(since, self._since)
        self._open[event] = None
        if self._recording:
            self._join(event)
            return
        self._part, self._until, self._tail = 1, t, event
        self._start(since)

    def event_closed(self, event: str, t: float) -> None:
        """An event ended; its last evidence was at `t`, from where the post-roll counts.

        Raises:
            KeyError: it never opened.
        """
        del self._open[event]
        until = t + self._settings.post_roll_s
        if until >= self._until:
            self._until, self._tail = until, event

    def close(self) -> None:
        """Complete the clip under way and stop."""
        self._finish()
        self._recording = False

    def _start(self, since: float) -> None:
        """Record from `since` on, as far as the ring reaches back."""
        self._recording, self._retry_at, self._since = True, None, since
        kept = self._kept
        packets = [p for p in self._preroll(since) if kept is None or p.dts > kept]
        self._ahead = deque(packets)
        for packet in packets:
            self._take(packet)

    def _retry(self, t: float) -> None:
        """Go on with the recording that the disk refused, if an event still wants it."""
        self._retry_at = None
        if self._wanted(t):
            self._start(self._since)

    def _wanted(self, t: float) -> bool:
        """Whether an event goes on, or its post-roll."""
        return bool(self._open) or t < self._until

    def _take(self, packet: Packet) -> None:
        if packet.keyframe and self._recording:
            if not self._open and packet.t >= self._until:
                self._finish()
                self._recording = False
            elif self._running and packet.t - self._running.clip.started >= self._settings.max_s:
                self._finish()
            if self._recording and self._running is None:
                self._begin(packet)
        if self._running is not None:
            try:
                self._running.writer.packet(packet)
            except StorageError as error:
                self._abandon(self._running, error)
            else:
                self._running.dts = packet.dts

    def _begin(self, packet: Packet) -> None:
        if self._info is None:
            raise ValueError("a packet before its StreamInfo")
        stamp = self._stamp(packet.t)
        name = self._mint()
        clip = OpenClip(
            id=name,
            path=name + (SUFFIX if self._sealed == "none" else SEALED_SUFFIX),
            events=tuple(self._open) or (self._tail,),
            started=packet.t,
            boot=stamp.boot,
            ts=stamp.ts,
            clk=stamp.clk,
            codec=self._info.codec,
            width=self._info.width,
            height=self._info.height,
            sealed=self._sealed,
            part=self._part,
        )
        try:
            self._journal.opened(clip)
            self._make_directory()
            writer = self._open_writer(self._directory / clip.path, self._info, self._settings.sync_s)
        except StorageError as error:
            self.abandoned.append(clip.id)
            self._fail(error)
            return
        writer.about(clip)
        self._running = _Running(clip, writer, packet.dts)

    def _make_directory(self) -> None:
        try:
            self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise refused(self._directory, "created", error) from None

    def _join(self, event: str) -> None:
        """Add an event to the clip under way."""
        if self._running is None:
            return
        clip = self._running.clip
        self._running.clip = replace(clip, events=(*clip.events, event))
        self._running.writer.about(self._running.clip)
        try:
            self._journal.opened(self._running.clip)
        except StorageError as error:
            self._abandon(self._running, error)

    def _finish(self) -> None:
        """Complete the clip under way, if any; the next one of this recording is its next part."""
        running, self._running = self._running, None
        if running is None:
            return
        clip = running.clip
        try:
            written = running.writer.close()
        except StorageError as error:
            self._abandon(running, error)
            return
        # The clock may have been set since the clip began: the label is better now than it was then.
        stamp = self._stamp(clip.started)
        record = ClipRecord(
            id=clip.id,
            path=clip.path,
            events=clip.events,
            started=clip.started,
            duration=written.duration,
            boot=stamp.boot,
            ts=stamp.ts,
            clk=stamp.clk,
            bytes=written.file.bytes,
            sha256=written.file.sha256,
            codec=clip.codec,
            width=clip.width,
            height=clip.height,
            sealed=clip.sealed,
            part=clip.part,
            recipients=written.file.recipients,
        )
        try:
            self._journal.closed(record, written.plain)
        except StorageError as error:
            self._leave(clip, error)
            return
        self._part += 1
        self._kept = running.dts
        self.failed = None

    def _abandon(self, running: _Running, error: StorageError) -> None:
        """Leave the clip as it stands: recovery makes the most of it."""
        running.writer.abandon()
        self._leave(running.clip, error)

    def _leave(self, clip: OpenClip, error: StorageError) -> None:
        self.abandoned.append(clip.id)
        self._since = max(self._since, self._now - self._settings.sync_s)  # before it all is on disk
        self._part += 1
        self._fail(error)

    def _fail(self, error: StorageError) -> None:
        if self.failed is None:
            log.error("clips: recording ends: %s", error)
        self.failed = error
        self._running = None
        self._recording = False
        self._retry_at = self._now + RETRY_S


def _writers(settings: Clips) -> Callable[[Path, StreamInfo, float], Writer]:
    """Opens the writers of clips sealed, or not, as the settings say."""
    if settings.seal == "none":
        return ClipWriter
    recipients = Recipients.of(settings.recipients)
    return partial(ClipWriter, open_sink=lambda path: SealingSink(path, recipients))
