"""Whether power cuts cost what they may: what the platform has heard, against what each left on the disk.

Nothing else is looked at here: no disk, no network, no clock.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.backbone.runs import Runs

if TYPE_CHECKING:
    from agent.backbone.consumer import Fresh
    from powercut_disk import Left, OpenLeft

SYNC_S = 2.0  # clips.sync_s by default
ROUNDED_S = 0.01  # times are told in milliseconds
ON_THE_WAY_S = 1.5  # from the lens to the file: the encoder's pictures and a fragment of one second


@dataclass
class Heard:
    """What the platform was told by one kit, and has kept."""

    stored: Runs = field(default_factory=Runs)
    excused: Runs = field(default_factory=Runs)
    streams: set[str] = field(default_factory=set)
    announced: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)
    _said: dict[int, str] = field(default_factory=dict)

    def take(self, fresh: Fresh) -> None:
        """Keep a message that was not kept yet."""
        self.streams.add(fresh.stream)
        self.stored.add(fresh.seq, fresh.seq)
        for first, last in fresh.ranges:
            self.excused.add(first, last)
        if fresh.trouble:
            self.complaints.append(f"{fresh.seq} on {fresh.topic}: {fresh.trouble}")
        message = fresh.message
        if fresh.topic.endswith("/clip"):
            if message["state"] == "available":
                if message["clip"] in self.announced:
                    self.complaints.append(f"clip {message['clip']} was announced twice")
                self.announced.add(message["clip"])
            elif message["state"] == "erased":
                self.erased.add(message["clip"])
                if message["why"] != "retention":
                    self.complaints.append(f"clip {message['clip']} is gone: {message['why']}")

    def listen(self, payload: bytes) -> None:
        """Any message as it came: a number that was given to two of them was lost by the kit's disk."""
        try:
            message = json.loads(payload)
        except ValueError:  # a picture
            return
        if isinstance(message, dict) and "seq" in message and "dev" in message:
            digest = hashlib.sha256(payload).hexdigest()
            if self._said.setdefault(message["seq"], digest) != digest:
                self.complaints.append(f"number {message['seq']} was given to two messages")

    @property
    def highest(self) -> int:
        """The highest number heard."""
        return max((last for _, last in self.stored), default=0)


class Judge:
    """Looks at one disk after each cut. `complaints` are by the name of the promise that is broken."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._stream: str | None = None
        self._cut: dict[str, tuple[float, OpenLeft]] = {}
        """By clip: when it was cut, and how it was found then."""
        self._erased: set[str] = set()
        self.complaints: defaultdict[str, list[str]] = defaultdict(list)
        self.cuts = 0
        self.losses: dict[str, float] = {}
        """By clip that was cut: how many seconds before the cut it ends. What is older than its file was in
        memory only, on its way there, and does not count."""
        self.waiting: list[int] = []
        """After each cut, how many numbers only the disk knew."""

    def cut(self, left: Left, at: float) -> None:
        """After a power cut at `at` (seconds of the wall clock)."""
        self.cuts += 1
        self._look(left)
        for clip, there in left.open.items():
            self._cut.setdefault(clip, (at, there))

    def orderly(self, left: Left) -> None:
        """After an end in order: nothing may wait for another start."""
        self._look(left)
        for clip in left.open:
            self._complain("clips", f"{clip} is open still")
        missing = Runs([*self._heard.stored, *self._heard.excused]).missing(1, left.next_seq - 1)
        if missing:
            self._complain("messages", f"{missing} of {left.next_seq - 1} were never delivered")

    def _look(self, left: Left) -> None:
        for promise, text in left.complaints:
            self._complain(promise, text)
        self._numbers(left)
        self._clips(left)

    def _numbers(self, left: Left) -> None:
        self._stream = self._stream or left.stream
        for stream in self._heard.streams | {left.stream or self._stream} - {None}:
            if stream != self._stream:
                self._complain("messages", f"{stream}: a new stream, so the database was lost")
        if self._heard.highest >= left.next_seq:
            self._complain("messages", f"number {self._heard.highest} was sent, and is not on the disk")
        known = Runs([*self._heard.stored, *self._heard.excused])
        alone = known.missing(1, left.next_seq - 1)
        self.waiting.append(sum(last - first + 1 for first, last in alone))
        lost = Runs([*known, *left.rows]).missing(1, left.next_seq - 1)
        if lost:
            self._complain("messages", f"{lost} are neither delivered nor on the disk")

    def _clips(self, left: Left) -> None:
        self._erased |= self._heard.erased | left.erased
        for clip in sorted(self._heard.announced - self._erased - left.clips.keys()):
            self._complain("clips", f"{clip} was announced and is not there")
        for clip, (at, found) in list(self._cut.items()):
            if clip in left.open:
                continue  # cut once more, in the middle of its recovery
            del self._cut[clip]
            if clip in self._erased:
                continue
            there = left.clips.get(clip)
            ended = there.ended if there else 0.0
            if found.synced is not None and ended < found.synced - ROUNDED_S:
                what = (
                    f"ends {found.synced - ended:.2f} s before its last sync"
                    if there
                    else "was synced, and is gone"
                )
                self._complain("clips", f"{clip} {what}")
            if there is None or there.truncated:
                self.losses[clip] = at - max(ended, found.opened)
                if self.losses[clip] > SYNC_S + ON_THE_WAY_S:
                    self._complain("clips", f"{clip} lost {self.losses[clip]:.2f} s")

    def _complain(self, promise: str, text: str) -> None:
        self.complaints[promise].append(f"after cut {self.cuts}: {text}")
