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
from agent.backbone.link import CONNECT_S, Acked, Connected, Disconnected, Link
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    import sqlite3

    from agent.app.erasure_receipt import Receipt
    from agent.backbone.link import LinkEvent
    from agent.config import Settings
    from agent.device.clock import Clock

WHY = "erased"
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
        match self._next((Connected, Disconnected), CONNECT_S):
            case Connected(session=number):
                self._session = number

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
        """Publish the receipt; whether the broker took it."""
        if self._link is None or self.silent:
            return False
        word = self._reporter.stopped(self._session, WHY, self._stream, told)
        token = self._link.publish(word, self._session)
        end = time.monotonic() + TAKEN_S
        while token is not None and (left := end - time.monotonic()) > 0:
            match self._next((Acked, Disconnected), left):
                case Acked(token=answered, reason=reason) if answered == token:
                    return reason < REFUSED
                case Disconnected() | None:
                    break
        return False

    def _next(self, kinds: tuple[type, ...], timeout_s: float) -> LinkEvent | None:
        """The next event of these kinds; None when there was none in time."""
        end = time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            try:
                event = self._events.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(event, kinds):
                return event
        return None


def _numbers(tx: sqlite3.Connection) -> tuple[str, int]:
    stream, session = tx.execute("SELECT stream, session FROM outbox_state").fetchone()
    return str(stream), int(session)
