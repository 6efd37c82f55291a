"""A kit's last word: the receipt of its erasure, over a connection that was made while it still had its key.

It is retained on `st`, where the kit's birth stood. That the broker took it is all that is waited for: nobody
is left to send it again, so whoever erases a kit keeps the receipt as well.
"""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING, Self

from agent.app import onlooker
from agent.app.reporter import Reporter, topics
from agent.app.schemas import DATABASE
from agent.backbone.causes import Cause
from agent.backbone.link import Acked, Connected, Disconnected, Link
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    import sqlite3

    from agent.app.erasure_receipt import Receipt
    from agent.backbone.link import LinkEvent
    from agent.config import Settings
    from agent.device.clock import Clock

WHY = "erased"
MEETING_S = 45.0  # a try that times out, and another: a modem that was asleep loses the first
PASSING = {Cause.DNS, Cause.TIMEOUT, Cause.LOST, Cause.BUSY, Cause.SHUTDOWN}
"""What may be over in a moment. Without network, broker or valid papers nobody waits."""
TAKEN_S = 15.0  # for one answer of the broker's over a slow modem
END_S = 2.0
REFUSED = 0x80  # a PUBACK from here on is a refusal (MQTT 5, 3.4.2.1)


class Farewell:
    """A connection to the city's broker, as the kit: in the place of the agent, which has to be stopped.

    Where there is no broker, no key any more or no database to tell the session's number, it is `silent`.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._events: queue.SimpleQueue[LinkEvent] = queue.SimpleQueue()
        self._session = 0
        self._link: Link | None = None
        try:
            self._stream, session = onlooker.look(settings.state.dir / DATABASE, _numbers)
            self._reporter = Reporter(settings, topics(settings), clock, self._stream, None)
            self._link = Link(settings.backbone, settings.kit.id, self._reporter.will, self._events.put)
        except (ConfigError, StorageError):
            return
        self._link.start(session + 1)
        self._follow(time.monotonic() + MEETING_S)

    @property
    def silent(self) -> bool:
        """There is no connection."""
        return not self._session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._link is not None:
            self._link.close(END_S)

    def say(self, told: Receipt) -> bool:
        """Publish the receipt, anew where the connection breaks meanwhile; whether the broker took it."""
        if self._link is None:
            return False
        end = time.monotonic() + TAKEN_S
        while True:
            self._follow(end)
            if self.silent:
                return False
            word = self._reporter.stopped(self._session, WHY, self._stream, told)
            answer = self._answer(self._link.publish(word, self._session), end)
            if answer is not None or time.monotonic() >= end:
                return answer is not None and answer < REFUSED

    def _follow(self, end: float) -> None:
        """Take in what became of the connection; wait for one until `end`, if it may come."""
        stays = False
        while (event := self._next(0.0 if stays or self._session else end - time.monotonic())) is not None:
            match event:
                case Connected(session=number):
                    self._session = number
                case Disconnected(cause=cause):
                    self._session, stays = 0, cause not in PASSING

    def _answer(self, token: int | None, end: float) -> int | None:
        """The broker's answer to a publish; None when the connection ended before it, or the time did.

        Without a token the connection has ended already, and the link is about to tell.
        """
        while (event := self._next(end - time.monotonic())) is not None:
            match event:
                case Acked(token=answered, reason=reason) if answered == token:
                    return reason
                case Disconnected():
                    self._session = 0
                    return None
        return None

    def _next(self, timeout_s: float) -> LinkEvent | None:
        """The link's next event; None when there was none in time."""
        try:
            return self._events.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None


def _numbers(tx: sqlite3.Connection) -> tuple[str, int]:
    stream, session = tx.execute("SELECT stream, session FROM outbox_state").fetchone()
    return str(stream), int(session)
