"""A thread that does one thing after the other, none before its time."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from typing import TYPE_CHECKING

from agent.thread import NamedThread

if TYPE_CHECKING:
    from collections.abc import Callable

WAITING_MAX = 16  # things to do at once; whoever gives more at a time is told so

_LOG = logging.getLogger(__name__)


class Lane:
    """Takes work from any thread. If some of it raises, the thread ends and `error` says why.

    `stopping` is for work that takes long: once set, it should end.
    """

    def __init__(self, name: str) -> None:
        self.stopping = threading.Event()
        self.error: Exception | None = None
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread = NamedThread(name, self._run)

    @property
    def full(self) -> bool:
        """Whether no more may be put in."""
        with self._changed:
            return len(self._waiting) >= WAITING_MAX

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, work: Callable[[], None], after_s: float = 0.0) -> None:
        """Do this, `after_s` from now at the earliest."""
        with self._changed:
            heapq.heappush(self._waiting, (time.monotonic() + after_s, next(self._order), work))
            self._changed.notify()

    def close(self, timeout_s: float) -> bool:
        """End after what is under way, and leave the rest undone; whether it ended in time."""
        self.stopping.set()
        with self._changed:
            self._changed.notify()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                work()
        except Exception as error:  # noqa: BLE001 - top of the thread: its owner sees it and ends the process
            _LOG.exception("%s died", self._thread.name)
            self.error = error

    def _next(self) -> Callable[[], None] | None:
        """Wait for something to do; None when it is time to end."""
        with self._changed:
            while not self.stopping.is_set():
                wait = self._waiting[0][0] - time.monotonic() if self._waiting else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._waiting)[2]
                self._changed.wait(wait)
        return None
