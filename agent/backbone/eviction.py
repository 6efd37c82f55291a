"""Which rows a full outbox gives up: delivered ones first, then what matters least, the oldest first.

Least of all matters what an alarm said before its last words: one that flaps for a week of outage would
otherwise take the place of everything else, though nobody needs more than how it was and how it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.backbone import gaps
from agent.backbone.drafts import DropOrder

if TYPE_CHECKING:
    import sqlite3

_WHERE = "SELECT seq, size FROM outbox WHERE {} ORDER BY seq"
LAST_WORDS = 2  # of each alarm: raised and cleared
# Alarms are what never goes and has a subject, but gaps, whose subject is their reason.
_SUPERSEDED = f"""
SELECT seq, size FROM (
    SELECT seq, size, row_number() OVER (PARTITION BY subject ORDER BY seq DESC) AS word FROM outbox
    WHERE done_boot IS NULL AND drop_order = {DropOrder.NEVER:d} AND subject IS NOT NULL
    AND subject NOT IN ({", ".join("?" * len(gaps.REASONS))})
) WHERE word > {LAST_WORDS} ORDER BY seq
"""  # noqa: S608 - constants only


def victims(tx: sqlite3.Connection, rows: int, size: int) -> tuple[list[int], list[int]]:
    """The rows that go until `rows` of them and `size` bytes are reached: (delivered, waiting).

    Fewer, if what is left must never go (DropOrder.NEVER).
    """
    delivered, freed = _first(tx, _WHERE.format("done_boot IS NOT NULL"), (), rows, size)
    waiting, more = _first(tx, _SUPERSEDED, gaps.REASONS, rows - len(delivered), size - freed)
    freed += more
    for order in DropOrder:
        if order is DropOrder.NEVER:
            break
        left = rows - len(delivered) - len(waiting)
        those = _WHERE.format("done_boot IS NULL AND drop_order = ?")
        found, more = _first(tx, those, (order,), left, size - freed)
        waiting += found
        freed += more
    return delivered, waiting


def _first(
    tx: sqlite3.Connection, query: str, values: tuple[object, ...], rows: int, size: int
) -> tuple[list[int], int]:
    """The first rows of the query until `rows` of them and `size` bytes are reached, and what they free."""
    found: list[int] = []
    freed = 0
    for seq, more in tx.execute(query, values):
        if len(found) >= rows and freed >= size:
            break
        found.append(seq)
        freed += more
    return found, freed
