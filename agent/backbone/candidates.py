"""What to send next. Reads only.

The order:
- First what is urgent, in the order of its numbers.
- Then the news, numbered `mark` and up, by priority and number; with it what waits of the same subjects from
  before. A week's backlog must not delay what happens now.
- Then the backlog, by priority, the oldest first.

Of one subject (an event, an alarm, a clip) nothing overtakes what was said before it, until the broker has
taken that: it may refuse it. Only in the backlog does what matters more overtake what matters less: the `end`
of an event its updates, whose revisions tell; never its `new`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from agent.backbone.drafts import Priority

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many rows, and which not."""

    room: int
    replay_room: int
    """How many of them may be of the backlog."""
    mark: int
    """Rows below this number are backlog."""
    busy: Collection[int] = ()
    """On their way."""
    settled: Collection[int] = ()
    """Taken by the broker."""


class Candidate(NamedTuple):
    """A row as it lies in the outbox."""

    priority: int
    seq: int
    crc: int
    head: bytes
    payload: bytes


# Only constants are put together here; every value is a parameter.
_ROWS = """
SELECT priority, seq, crc, head, payload FROM outbox AS r
WHERE done_boot IS NULL AND {0}
AND seq NOT IN (SELECT value FROM json_each(:skip))
AND NOT EXISTS (
    SELECT 1 FROM outbox AS e WHERE e.subject = r.subject AND e.seq < r.seq AND e.done_boot IS NULL AND {1}
    AND e.seq NOT IN (SELECT value FROM json_each(:done))
)
ORDER BY priority, seq LIMIT :room
"""
_URGENT = _ROWS.format("priority = :priority", "e.priority <= r.priority")
_NEWS = _ROWS.format("priority = :priority AND seq >= :mark", "TRUE")
_GOES_ON = "IN (SELECT subject FROM outbox WHERE seq >= :mark AND subject IS NOT NULL AND done_boot IS NULL)"
_OF_THE_NEWS = _ROWS.format(f"priority > :priority AND seq < :mark AND subject {_GOES_ON}", "TRUE")
_BACKLOG = _ROWS.format(
    f"priority > :priority AND seq < :mark AND (subject IS NULL OR subject NOT {_GOES_ON})",
    "e.priority <= r.priority",
)


def candidates(tx: sqlite3.Connection, wanted: Wanted) -> list[Candidate]:
    """What is wanted, in the order in which to send it."""
    values = {
        "mark": wanted.mark,
        "skip": json.dumps(sorted({*wanted.busy, *wanted.settled})),
        "done": json.dumps(sorted(wanted.settled)),
    }

    def rows(query: str, room: int, priority: int = Priority.URGENT) -> list[Candidate]:
        found = tx.execute(query, {**values, "priority": priority, "room": room}) if room > 0 else ()
        return [Candidate(*row) for row in found]

    found = rows(_URGENT, wanted.room)
    room = wanted.room - len(found)
    news = rows(_OF_THE_NEWS, room)
    for priority in list(Priority)[1:]:
        news += rows(_NEWS, room, priority)
        if sum(row.priority <= priority for row in news) >= room:
            break
    found += sorted(news, key=lambda row: (row.priority, row.seq))[:room]
    return found + rows(_BACKLOG, min(wanted.room - len(found), wanted.replay_room))
