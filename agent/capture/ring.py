"""The last seconds of encoded video, kept so that a clip begins before its event.

Invariants: what is held begins with a key frame; it reaches back at least `max_s` as soon as that much
came in and fits into `max_bytes`; it never exceeds `max_bytes`. Under want of memory both are less, as far as
`floor_s` allows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.types import Packet, StreamInfo


@dataclass(slots=True)
class _Gop:
    """A key frame, shown at `t`, and what depends on it."""

    t: float
    packets: list[Packet] = field(default_factory=list)
    bytes: int = 0


class PacketRing:
    """Packets by group of pictures (GOP): a group is held whole or not at all.

    Of `max_s` the last `floor_s` stay under want of memory, too: in them an event may have begun already.
    """

    def __init__(self, max_s: float, max_bytes: int, floor_s: float = 0.0) -> None:
        self._max_s = max_s
        self._floor = floor_s / max_s if max_s else 1.0
        self._max_bytes = max_bytes
        self._share = 1.0
        self._gops: deque[_Gop] = deque()
        self._newest = 0.0
        self.info: StreamInfo | None = None
        self.bytes = 0
        self.dropped_gops = 0
        """Groups that had to go for want of memory although they were young enough."""

    @property
    def seconds(self) -> float:
        """From the oldest key frame to the newest picture."""
        return self._newest - self._gops[0].t if self._gops else 0.0

    def limit(self, share: float) -> None:
        """From the next packet on hold this share (0..1) of what is above the floor. Safe from any thread."""
        self._share = self._floor + share * (1 - self._floor)

    def stream(self, info: StreamInfo) -> None:
        """Begin anew: what is held does not decode with what follows."""
        self.info = info
        self._gops.clear()
        self.bytes = 0

    def push(self, packet: Packet) -> None:
        """Add the packet that follows; one without its key frame is of no use and is left out."""
        if packet.keyframe:
            self._newest = max(self._newest, packet.t) if self._gops else packet.t
            self._gops.append(_Gop(packet.t))
        if not self._gops:
            return
        gop = self._gops[-1]
        size = len(packet.data)
        gop.packets.append(packet)
        gop.bytes += size
        self.bytes += size
        # Packets come in decoding order: with B-frames the last is not always the newest.
        self._newest = max(self._newest, packet.t)
        self._trim()

    def since(self, t: float) -> tuple[Packet, ...]:
        """From the last key frame at or before `t` (or the oldest held) to the newest packet."""
        first = 0
        for i, gop in enumerate(self._gops):
            if gop.t > t:
                break
            first = i
        return tuple(p for i, gop in enumerate(self._gops) if i >= first for p in gop.packets)

    def _trim(self) -> None:
        share = self._share
        wanted, granted = self._newest - self._max_s, self._newest - share * self._max_s
        while len(self._gops) > 1 and self._gops[1].t <= granted:
            self.dropped_gops += self._gops[1].t > wanted
            self._drop()
        while self.bytes > share * self._max_bytes:
            self._drop()
            self.dropped_gops += 1

    def _drop(self) -> None:
        self.bytes -= self._gops.popleft().bytes
