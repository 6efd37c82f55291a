"""What comes down from the backbone, handled one after the other in a thread of its own.

The network thread only puts messages in. Their number and size are bounded; a handler sees one byte more
than PAYLOAD_MAX of a longer payload, so that it can refuse it by its length.
"""

from __future__ import annotations

import logging
import queue
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from paho.mqtt.client import topic_matches_sub

from agent.backbone.envelope import PAYLOAD_MAX
from agent.thread import NamedThread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.backbone.link import Received
    from agent.device.clock import Clock

WAITING_MAX = 100  # a broker that delivers what it kept during an outage sends some dozen at once

_LOG = logging.getLogger(__name__)


class Inbox:
    """`routes` are topic filters with who handles what they match, in the inbox's thread.

    If a handler raises, the thread ends, `alive` turns False and `error` says why; the process is then to
    end.
    """

    def __init__(self, routes: Mapping[str, Callable[[Received], None]], clock: Clock) -> None:
        self._routes = dict(routes)
        self._clock = clock
        self._queue: queue.Queue[Received | None] = queue.Queue(WAITING_MAX)
        self._ending = threading.Event()
        self._thread = NamedThread("inbox", self._run)
        self.dropped = 0
        """Messages dropped because too many waited."""
        self.error: Exception | None = None
        self.busy_since: float | None = None
        """Since when (the clock's mono) a message is handled; None while there is none."""

    @property
    def filters(self) -> tuple[str, ...]:
        """What is to be subscribed to."""
        return tuple(self._routes)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to handle."""
        self._thread.start()

    def put(self, received: Received) -> None:
        """Take a message in, or drop it when too many wait. Never blocks, never raises."""
        if len(received.payload) > PAYLOAD_MAX:
            received = replace(received, payload=received.payload[: PAYLOAD_MAX + 1])
        try:
            self._queue.put_nowait(received)
        except queue.Full:
            self.dropped += 1
            level = logging.WARNING if self.dropped == 1 else logging.DEBUG
            _LOG.log(level, "a message on %.200s was dropped: too many at once", received.topic)

    def close(self, timeout_s: float) -> bool:
        """Finish the message under way and end; whether it ended in time. What waits is left undone."""
        self._ending.set()
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            _LOG.info("the agent stops; messages from the backbone are left undone")
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while (received := self._queue.get()) is not None and not self._ending.is_set():
                self.busy_since = self._clock.mono()
                self._handle(received)
                self.busy_since = None
        except Exception as error:  # noqa: BLE001 - top of the thread: its owner sees it and ends the process
            _LOG.exception("the inbox died")
            self.error = error

    def _handle(self, received: Received) -> None:
        for pattern, handle in self._routes.items():
            if topic_matches_sub(pattern, received.topic):
                handle(received)
                return
        _LOG.warning("a message on %.200s was not asked for", received.topic)
