"""The alarms that are raised, and in which words: so that they can be said again, and cleared by a later run.

Every function works on the connection of a unit of work (`agent.database.Database`) and commits nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.backbone.messages import AlarmBody

if TYPE_CHECKING:
    import sqlite3

    from agent.backbone.messages import Body

SCHEMA = """
CREATE TABLE IF NOT EXISTS active_alarms (code TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS alarm_bodies (
    code TEXT PRIMARY KEY,
    body TEXT NOT NULL    -- the AlarmBody that raised it, JSON; missing if an older agent did
) STRICT;
"""


def note(tx: sqlite3.Connection, code: str, body: Body | None) -> None:
    """The alarm was raised by this message; None: it was cleared."""
    if isinstance(body, AlarmBody):
        tx.execute("INSERT OR IGNORE INTO active_alarms VALUES (?)", (code,))
        tx.execute("INSERT OR REPLACE INTO alarm_bodies VALUES (?, ?)", (code, body.model_dump_json()))
    else:
        tx.execute("DELETE FROM active_alarms WHERE code = ?", (code,))
        tx.execute("DELETE FROM alarm_bodies WHERE code = ?", (code,))


def codes(tx: sqlite3.Connection) -> set[str]:
    """The alarms that are raised."""
    return {row[0] for row in tx.execute("SELECT code FROM active_alarms")}


def raised(tx: sqlite3.Connection) -> list[AlarmBody]:
    """The messages that raised them, by code."""
    rows = tx.execute("SELECT body FROM alarm_bodies ORDER BY code").fetchall()
    return [AlarmBody.model_validate_json(body) for (body,) in rows]
