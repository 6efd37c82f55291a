"""Writes that the disk refused, in memory until it takes them.

Bounded in number and bytes. Beyond that what matters least goes, in the outbox's own order, the oldest first;
then what is said of an alarm or a tampering that has been said anew since. How many messages went is known:
they get numbers and a gap once the disk takes writes again. With the process all of it is gone.

Not thread safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.backbone.drafts import DropOrder

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from agent.backbone.drafts import Draft

WRITES_MAX = 500  # half an hour of a busy stairwell
BYTES_MAX = 2_000_000  # of their messages, pictures too; a kit has 512 MB for everything
AT_ONCE = 50  # written by one transaction: an almost full disk takes a part of what waits


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """A unit of work, and what goes unsaid without it: a message, or None for what the kit only notes."""

    work: Callable[[sqlite3.Connection], object]
    draft: Draft | None = None

    @property
    def bytes(self) -> int:
        """Of its message, about."""
        if self.draft is None:
            return 0
        return len(self.draft.body.model_dump_json()) + len(self.draft.picture or b"")


class Deferred:
    """What waits, in the order in which it was said."""

    def __init__(self) -> None:
        self._waiting: dict[Write, int] = {}
        self._bytes = 0
        self._taken: tuple[Write, ...] = ()
        self.lost = 0
        """Writes given up since the start."""
        self.untold = 0
        """Messages given up that no gap names yet."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, write: Write) -> None:
        """Let it wait; what is too much then goes."""
        size = write.bytes
        self._waiting[write] = size
        self._bytes += size
        while len(self._waiting) > WRITES_MAX or self._bytes > BYTES_MAX:
            self._give_up(self._least())

    def take(self) -> tuple[Write, ...]:
        """The oldest that wait, to be written; none of them is given up until `settle`."""
        self._taken = tuple(self._waiting)[:AT_ONCE]
        return self._taken

    def settle(self, *, written: bool, told: int = 0) -> None:
        """What was taken was written, and `told` of the lost named in a gap; or it waits on."""
        taken, self._taken = self._taken, ()
        if written:
            self.untold -= told
            for write in taken:
                self._bytes -= self._waiting.pop(write)

    def _least(self) -> Write:
        """What matters least of what is not being written: there is always one, for that is far less."""
        said: set[str] = set()
        ranked: list[tuple[int, int, Write]] = []
        for age, write in enumerate(reversed(self._waiting)):
            order, subject = DropOrder.NEVER, None
            if write.draft is not None:
                order, subject = write.draft.drop_order, write.draft.subject
            # Said anew since: above what may go anyway, below what may not.
            rank = 2 * order - (order is DropOrder.NEVER and subject in said)
            if subject is not None:
                said.add(subject)
            if write not in self._taken:
                ranked.append((rank, -age, write))
        return min(ranked)[2]

    def _give_up(self, write: Write) -> None:
        self._bytes -= self._waiting.pop(write)
        self.lost += 1
        self.untold += write.draft is not None
