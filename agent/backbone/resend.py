"""Sending again what a platform asks for, as far as it is still there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Resent:
    """What became of a range of numbers: made due again, waiting anyway, or not there any more."""

    due: int
    waiting: int
    gone: int


def make_due(tx: sqlite3.Connection, first: int, last: int) -> Resent:
    """Make the delivered rows of the outbox from `first` to `last` due again, within a unit of work.

    They keep their numbers and their place: whoever has them already sees duplicates.
    """
    next_seq: int = tx.execute("SELECT next_seq FROM outbox_state").fetchone()[0]
    within = (first, min(last, next_seq))
    present: int = tx.execute("SELECT count(*) FROM outbox WHERE seq BETWEEN ? AND ?", within).fetchone()[0]
    due = tx.execute(
        "UPDATE outbox SET done_boot = NULL, done_mono = NULL "
        "WHERE seq BETWEEN ? AND ? AND done_boot IS NOT NULL",
        within,
    ).rowcount
    tx.execute("UPDATE outbox_state SET waiting = waiting + ?", (due,))
    given = max(0, min(last, next_seq - 1) - first + 1)
    return Resent(due, present - due, given - present)
