"""How long messages have waited, in seconds for which the kit had power: that needs no clock on the wall.

Once in a while the next number is noted beside the seconds that the kit has worked so far: whatever is
numbered below a note has waited at least since then. What the kit cannot know (how long it had no power, the
last hour before a power cut) counts as nothing: a message may lie too long, and never goes too early,
whatever the clock says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.backbone.drafts import DropOrder

if TYPE_CHECKING:
    import sqlite3

    from agent.device.clock import Stamp

SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox_ages (
    worked REAL PRIMARY KEY,  -- seconds that the kit was powered, from the first note on
    seq INTEGER NOT NULL,     -- the next number at that time
    boot TEXT NOT NULL,
    mono REAL NOT NULL
) STRICT;
"""


def overdue(tx: sqlite3.Connection, now: Stamp, wait_s: float) -> list[int]:
    """The rows that have waited for longer than `wait_s`. To be called each hour or so.

    Not what must never go, nor what speaks of a clip that still exists: that is news as long as it does.
    """
    waiting, next_seq = tx.execute("SELECT waiting, next_seq FROM outbox_state").fetchone()
    if not waiting:  # notes are written for those who wait only: an idle kit writes nothing
        return []
    worked = _worked(tx, now)
    values = (worked, next_seq, now.boot, now.mono)
    tx.execute("INSERT OR REPLACE INTO outbox_ages VALUES (?, ?, ?, ?)", values)
    note = tx.execute(
        "SELECT worked, seq FROM outbox_ages WHERE worked < ? ORDER BY worked DESC LIMIT 1",
        (worked - wait_s,),
    ).fetchone()
    if note is None:
        return []
    then, below = note
    tx.execute("DELETE FROM outbox_ages WHERE worked < ?", (then,))
    rows = tx.execute(
        "SELECT seq FROM outbox WHERE done_boot IS NULL AND seq < ? AND drop_order < ?",
        (below, DropOrder.CLIP),
    )
    return [seq for (seq,) in rows]


def _worked(tx: sqlite3.Connection, now: Stamp) -> float:
    """Seconds that the kit is known to have been powered since the first note."""
    last = tx.execute("SELECT worked, boot, mono FROM outbox_ages ORDER BY worked DESC LIMIT 1").fetchone()
    if last is None:
        return 0.0
    worked, boot, mono = last
    return float(worked + (now.mono - mono if boot == now.boot else now.mono))
