"""Sending again what a platform asks for, as far as it is still there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.backbone.drafts import Priority

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Resent:
    """What became of a range of numbers: made due again, waiting anyway, or not there any more."""

    due: int
    waiting: int
    gone: int
    last_words: tuple[int, ...] = ()
    """The newest row of each alarm among them, where it lies outside of the range: it goes again too, after
    them, or the broker would retain what was said before it."""


_DUE = "SET done_boot = NULL WHERE done_boot IS NOT NULL"
_LAST_WORDS = """
SELECT max(seq) FROM outbox WHERE subject IN (
    SELECT subject FROM outbox WHERE priority = ? AND seq BETWEEN ? AND ? AND subject IS NOT NULL
) GROUP BY subject
"""


def make_due(tx: sqlite3.Connection, first: int, last: int) -> Resent:
    """Make the delivered rows of the outbox from `first` to `last` due again, within a unit of work.

    They keep their numbers and their place: whoever has them already sees duplicates.
    """
    next_seq: int = tx.execute("SELECT next_seq FROM outbox_state").fetchone()[0]
    within = (first, min(last, next_seq))
    present: int = tx.execute("SELECT count(*) FROM outbox WHERE seq BETWEEN ? AND ?", within).fetchone()[0]
    last_words = tuple(seq for (seq,) in tx.execute(_LAST_WORDS, (Priority.URGENT, *within)) if seq > last)
    due = tx.execute(f"UPDATE outbox {_DUE} AND seq BETWEEN ? AND ?", within).rowcount
    also = tx.execute(
        f"UPDATE outbox {_DUE} AND seq IN (SELECT value FROM json_each(?))",  # noqa: S608 - own words
        (json.dumps(last_words),),
    ).rowcount
    tx.execute("UPDATE outbox_state SET waiting = waiting + ?", (due + also,))
    given = max(0, min(last, next_seq - 1) - first + 1)
    return Resent(due, present - due, given - present, last_words)
