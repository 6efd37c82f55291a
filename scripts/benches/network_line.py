"""Lines from kits to their city that fail as they are told: IP packets between two tun devices.

In user space; the kernel does the rest on both sides. Its own netem is a module that not each machine has;
what is needed of it is little: loss, delay, silence, a bottleneck for large packets, a router that forgets.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import selectors
import struct
import threading
import time
from dataclasses import dataclass, field

TUN = "/dev/net/tun"
TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
LARGEST = 65536
TCP = 6
LOOK_S = 0.02


@dataclass
class Line:
    """One line. Change its faults at any time, from any thread.

    `loss` is a share of the packets each way, `delay_s` and `jitter_s` (half of its width) are of each way;
    packets may overtake one another. `drops`: "tcp" or "all" vanishes. `largest`: longer packets vanish, and
    nobody is told.
    """

    kit: int
    """The file descriptor of the kit's end."""
    city: int
    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    drops: str = ""
    largest: int = LARGEST
    carried: int = 0
    lost: int = 0
    _flows: set[bytes] = field(default_factory=set)
    _forgotten: set[bytes] = field(default_factory=set)

    def forget(self) -> None:
        """Carry nothing of the TCP connections that are there, as a router that has lost its state."""
        self._forgotten |= self._flows

    def passes(self, packet: bytes, chance: random.Random, *, up: bool) -> bool:
        """Whether this packet comes through."""
        flow = _flow(packet, up=up)
        if flow is not None:
            self._flows.add(flow)
        return not (
            self.drops == "all"
            or (self.drops and flow is not None)
            or len(packet) > self.largest
            or flow in self._forgotten
            or (self.loss and chance.random() < self.loss)
        )


class Lines:
    """The thread that carries the packets of all lines."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines
        self._chance = random.Random(7)  # noqa: S311 - faults, no keys
        self._due: list[tuple[float, int, int, bytes]] = []
        self._number = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self.error: Exception | None = None

    def start(self) -> None:
        """Carry from now on."""
        self._thread.start()

    def close(self) -> None:
        """Carry nothing any more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._carry()
        except Exception as error:  # noqa: BLE001 - top of the thread: its owner asks for it
            self.error = error

    def _carry(self) -> None:
        selector = selectors.DefaultSelector()
        for line in self._lines:
            selector.register(line.kit, selectors.EVENT_READ, (line, line.city, True))
            selector.register(line.city, selectors.EVENT_READ, (line, line.kit, False))
        while not self._stop.is_set():
            wait = min(LOOK_S, max(0.0, self._due[0][0] - time.monotonic())) if self._due else LOOK_S
            for key, _ in selector.select(wait):
                self._take(key.fd, *key.data)
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, to, packet = heapq.heappop(self._due)
                _write(to, packet)

    def _take(self, source: int, line: Line, to: int, up: bool) -> None:  # noqa: FBT001 - of the selector
        try:
            packet = os.read(source, LARGEST)
        except OSError:  # the interface is down
            return
        if not line.passes(packet, self._chance, up=up):
            line.lost += 1
            return
        line.carried += 1
        if not line.delay_s:
            _write(to, packet)
            return
        self._number += 1
        delay = line.delay_s + self._chance.uniform(-line.jitter_s, line.jitter_s)
        heapq.heappush(self._due, (time.monotonic() + delay, self._number, to, packet))


def device(name: str) -> int:
    """A new tun device in this process's network namespace: its file descriptor. Needs root's rights."""
    fd = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def _write(to: int, packet: bytes) -> None:
    try:
        os.write(to, packet)
    except OSError:  # the interface is down, or its queue is full: IP may lose packets
        return


def _flow(packet: bytes, *, up: bool) -> bytes | None:
    """What tells a TCP connection of a kit from its others: its port. None for what is no TCP over IPv4."""
    if len(packet) < 24 or packet[0] >> 4 != 4 or packet[9] != TCP:  # noqa: PLR2004 - RFC 791
        return None
    head = 4 * (packet[0] & 0xF)
    return packet[head : head + 2] if up else packet[head + 2 : head + 4]
