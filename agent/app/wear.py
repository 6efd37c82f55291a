"""How much the agent writes: flash dies of it, and what nobody counts nobody notices.

Kept by day in the database, written down once an hour: a count must not wear the card that it is about.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.device import health

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from agent.app.journal import Journal
    from agent.device.clock import Clock

SCHEMA = """
CREATE TABLE IF NOT EXISTS wear (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    day    TEXT    NOT NULL UNIQUE,  -- a date (UTC); with an unset clock the boot and its days from 0
    bytes  INTEGER NOT NULL
) STRICT;
"""

NOTE_S = 3600.0
DAY_S = 86_400.0
DAYS_KEPT = 60  # enough to see a change of habit; 2 KB


@dataclass(frozen=True, slots=True)
class Wear:
    """Bytes written in the last `seconds`: a day, or as long as the agent has run."""

    bytes: int
    seconds: float


class WearMeter:
    """Counts from its beginning. One thread drives it."""

    def __init__(
        self, journal: Journal, clock: Clock, counter: Callable[[], int | None] = health.written_bytes
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._counter = counter
        self._noted = counter()
        self._samples: deque[tuple[float, int]] = deque()
        if self._noted is not None:
            self._samples.append((clock.mono(), self._noted))
        self._note_at = clock.mono() + NOTE_S

    def look(self) -> None:
        """To be called every minute or so.

        Raises:
            StorageError: the disk refuses; what was counted is written down later.
        """
        now, count = self._clock.mono(), self._counter()
        if count is None or self._noted is None or now < self._note_at:
            return
        self._journal.ask(self._entry(count - self._noted))
        self._noted, self._note_at = count, now + NOTE_S
        self._samples.append((now, count))
        while len(self._samples) > 1 and self._samples[1][0] <= now - DAY_S:
            self._samples.popleft()

    def end(self) -> None:
        """Have the rest written down, and do not wait for it: a disk that hangs holds up no stop.

        Raises:
            StorageError: the database was closed.
        """
        count = self._counter()
        if count is not None and self._noted is not None:
            self._journal.submit(self._entry(count - self._noted))
            self._noted = count

    @property
    def last_day(self) -> Wear | None:
        """What was written lately; None where the kernel does not say."""
        count = self._counter()
        if count is None or not self._samples:
            return None
        begun, before = self._samples[0]
        return Wear(count - before, self._clock.mono() - begun)

    def _entry(self, fresh: int) -> Callable[[sqlite3.Connection], None]:
        day = self._day()
        return lambda tx: _add(tx, day, fresh)

    def _day(self) -> str:
        stamp = self._clock.stamp()
        return stamp.ts[:10] if stamp.ts else f"boot {stamp.boot} day {int(stamp.mono // DAY_S)}"


def days(tx: sqlite3.Connection, count: int) -> list[tuple[str, int]]:
    """(day, bytes) of the last `count` days on which the agent ran, newest first."""
    return tx.execute("SELECT day, bytes FROM wear ORDER BY number DESC LIMIT ?", (count,)).fetchall()


def _add(tx: sqlite3.Connection, day: str, fresh: int) -> None:
    tx.execute(
        "INSERT INTO wear (day, bytes) VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET bytes = bytes + ?",
        (day, fresh, fresh),
    )
    tx.execute("DELETE FROM wear WHERE number <= (SELECT max(number) FROM wear) - ?", (DAYS_KEPT,))
