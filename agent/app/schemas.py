"""The agent's one database: its name in the state directory, and what every room keeps in it."""

from __future__ import annotations

from agent.app import journal, steps, wear
from agent.backbone import docket, outbox
from agent.clips import premises, readback, store

DATABASE = "agent.db"
SCHEMAS = (
    outbox.SCHEMA,
    docket.SCHEMA,
    store.SCHEMA,
    premises.SCHEMA,
    readback.SCHEMA,
    journal.SCHEMA,
    wear.SCHEMA,
    steps.SCHEMA,
)
