"""Answers on their way to whoever gave an order, and what else is said beside the rows of the outbox.

In memory only: who misses an answer asks again, and what is retained is said anew on each connection.

Not thread safe: the courier's thread owns it. Times are seconds of any monotonic clock.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.backbone.publication import Publication

ANSWERS_MAX = 100  # waiting at once; a few kilobytes each, the longest is a picture of 20 kB

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A publication that may go out from `due` on, and is worth nothing after `until`.

    `taken` is called once the broker has it.
    """

    publication: Publication
    due: float
    until: float
    taken: Callable[[], object] | None = None


class Answers:
    """The answers that wait, and those that the broker has not acknowledged."""

    def __init__(self) -> None:
        self._waiting: deque[Answer] = deque()
        self._flights: dict[int, Answer] = {}
        self.lost = 0
        """Answers given up because too many waited."""

    def put(self, answer: Answer) -> None:
        """Send it when its time has come; the oldest goes when too many wait."""
        self._waiting.append(answer)
        if len(self._waiting) > ANSWERS_MAX:
            self._waiting.popleft()
            self.lost += 1
            _LOG.log(
                logging.WARNING if self.lost == 1 else logging.DEBUG, "an answer was dropped: too many wait"
            )

    def idle(self, now: float) -> bool:
        """Whether none is due now."""
        return not any(answer.due <= now for answer in self._waiting)

    def take(self, now: float, room: int) -> list[Answer]:
        """At most `room` answers that are due, in the order in which they were given; those too old go."""
        taken: list[Answer] = []
        kept: deque[Answer] = deque()
        for answer in self._waiting:
            if answer.until <= now:
                continue
            if answer.due <= now and len(taken) < room:
                taken.append(answer)
            else:
                kept.append(answer)
        self._waiting = kept
        return taken

    def sent(self, token: int, answer: Answer) -> None:
        """An answer went out, and waits for its PUBACK."""
        self._flights[token] = answer

    def acked(self, token: int, *, refused: bool) -> None:
        """The broker answered. What it refused, or nobody waits for, is not repeated."""
        answer = self._flights.pop(token, None)
        if answer is not None and answer.taken is not None and not refused:
            answer.taken()

    def disconnected(self) -> None:
        """What was in flight waits again, before the rest."""
        self._waiting.extendleft(reversed(self._flights.values()))
        self._flights.clear()
