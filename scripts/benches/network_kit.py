"""The kit of a network fault: the agent's outbox, courier and link with its watch, in its own network.

It says a message twice a second, and tells whoever started it how its link is. Waits and limits are the
agent's.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import network_line
from agent.app.announcer import Announcer
from agent.app.linkwatch import LinkWatch
from agent.ulid import ENTROPY_BYTES, ulid
from light_kit import LightKit

if TYPE_CHECKING:
    from pathlib import Path

    from agent.backbone.drafts import Draft
    from agent.config import Settings
    from agent.types import EventChange

DEVICE = "up0"
SAY_S = 0.5
LOOK_S = 0.1
LEAVE_S = 5.0
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000  # unshare(2)


def run(chosen: Settings, address: str, resolver: Path, city: socket.socket) -> None:
    """Be the kit until the city hangs up; `address` is its own, `resolver` its resolv.conf(5).

    The file descriptor of its way out goes to the city first.
    """
    _alone(resolver)
    fd = network_line.device(DEVICE)
    ip("addr", "add", f"{address}/32", "dev", DEVICE)
    go_up()
    socket.send_fds(city, [b"."], [fd])
    os.close(fd)
    city.recv(1)  # there is a broker now
    kit = LightKit(chosen)
    watch = _Watch(kit)
    kit.start()
    saying, said, last, number = True, 0.0, 0, 0
    while kit.courier.alive:
        now = time.monotonic()
        if saying and now - said >= SAY_S:
            last, number, said = kit.say(kit.step(number)).result(60), number + 1, now
        told = watch.look()
        city.send(
            json.dumps({**told, "t": now, "stream": kit.stream, "last": max(last, watch.last)}).encode()
        )
        if (word := _word(city)) is not None:
            if not word:
                break
            saying = False
        time.sleep(LOOK_S)
    kit.close(LEAVE_S)


def ip(*words: str) -> None:
    """Change this network by iproute2."""
    subprocess.run(["ip", *words], check=True)


def go_up(*within: str) -> None:
    """What a DHCP client does when the cable is in."""
    subprocess.run([*within, "ip", "link", "set", DEVICE, "up"], check=True)
    subprocess.run([*within, "ip", "route", "replace", "default", "dev", DEVICE], check=True)


class _Watch:
    """The agent's watch over the link; its alarms go into the kit's outbox, as they do in the agent."""

    def __init__(self, kit: LightKit) -> None:
        self._kit = kit
        self.last = 0
        """The last number that an alarm has."""
        self._announcer = Announcer(
            kit.reporter, self, lambda: ulid(kit.clock.unix_ms(), os.urandom(ENTROPY_BYTES))
        )
        self._watch = LinkWatch(self._announcer)

    def look(self) -> dict[str, object]:
        """Judge, and say what `stairwell status` would."""
        delivery = self._kit.courier.delivery
        self._watch.judge(delivery, self._kit.clock.stamp().clk, self._kit.clock.mono())
        return {
            "connected": delivery.connected,
            "cause": delivery.cause,
            "detail": delivery.detail,
            "rtt_ms": delivery.rtt_ms,
            "alarms": self._announcer.alarms,
        }

    def alarm(self, _code: str, draft: Draft, *, active: bool) -> None:
        """See Sink."""
        del active
        self.last = self._kit.say(draft).result(60)

    def event(self, _event: str, _change: EventChange, draft: Draft) -> None:
        """See Sink."""
        self.last = self._kit.say(draft).result(60)

    def snapshot(self, draft: Draft) -> None:
        """See Sink."""
        self.last = self._kit.say(draft).result(60)

    stat = snapshot


def _alone(resolver: Path) -> None:
    """A network with nothing but a loopback, and a resolv.conf(5). In a process of one thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "--bind", resolver, "/etc/resolv.conf"], check=True)
    ip("link", "set", "lo", "up")


def _word(city: socket.socket) -> bytes | None:
    """What the city says; empty when it is gone, None when it says nothing."""
    try:
        return city.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
