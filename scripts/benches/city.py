"""A city's platform for the benches: the reference consumer over a database that a kill cannot spoil."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from agent.app.platform import Platform
from agent.backbone.consumer import Consumer, Duplicate, Outcome, Pulse
from agent.backbone.runs import Runs

if TYPE_CHECKING:
    from pathlib import Path

    from agent.backbone.consumer import Fresh
    from agent.config import Backbone

SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    kit TEXT, stream TEXT, seq INTEGER, topic TEXT, trouble TEXT, PRIMARY KEY (kit, stream, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gap (kit TEXT, stream TEXT, first INTEGER, last INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS state (kit TEXT PRIMARY KEY, saved TEXT) STRICT, WITHOUT ROWID;
"""
COUNTED: dict[type, str] = {Duplicate: "duplicates", Pulse: "pulses"}


class City:
    """What a platform keeps, in a directory. One process at a time may `run` it; any may look.

    What is only counted must not cost a commit: it lies in files of its own, a byte for each.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self._database = directory / "city.db"
        self._counted = {kind: directory / name for kind, name in COUNTED.items()}
        for path in self._counted.values():
            path.touch()
        with closing(self._open()) as connection:
            connection.executescript(SCHEMA)

    def platform(self, broker: Backbone, name: str, *, acknowledge: bool) -> Platform:
        """A platform that goes on where the last one was killed; for the thread that starts it."""
        connection = self._open(threads=True)
        states = connection.execute("SELECT kit, saved FROM state").fetchall()
        consumer = Consumer({kit: json.loads(saved) for kit, saved in states})
        counters = {kind: os.open(path, os.O_WRONLY | os.O_APPEND) for kind, path in self._counted.items()}

        def keep(batch: list[Fresh]) -> None:
            _keep(connection, consumer, batch)

        def note(outcome: Outcome) -> None:
            if type(outcome) in counters:
                os.write(counters[type(outcome)], b".")

        return Platform(broker, name, keep, note, consumer=consumer, acknowledge=acknowledge)

    @property
    def duplicates(self) -> int:
        """Messages that came once more after they were stored."""
        return self._counted[Duplicate].stat().st_size

    @property
    def pulses(self) -> int:
        """Heartbeats that were heard."""
        return self._counted[Pulse].stat().st_size

    @property
    def stored(self) -> int:
        """How many messages are kept."""
        return int(self._ask("SELECT count(*) FROM message")[0][0])

    @property
    def troubled(self) -> list[str]:
        """Messages that break the contract, and in what."""
        return [f"{topic}: {trouble}" for topic, trouble in self._ask(
            "SELECT topic, trouble FROM message WHERE trouble <> ''"
        )]  # fmt: skip

    def topics(self, kit: str) -> list[str]:
        """Of all messages that are stored, in no order."""
        return [topic for (topic,) in self._ask("SELECT topic FROM message WHERE kit = ?", kit)]

    def kept(self, kit: str, stream: str) -> Runs:
        """The numbers that are stored."""
        return Runs(self._ask("SELECT seq, seq FROM message WHERE kit = ? AND stream = ?", kit, stream))

    def accounted(self, kit: str, stream: str) -> Runs:
        """The numbers that are stored, or named by a gap that is."""
        gaps = self._ask("SELECT first, last FROM gap WHERE kit = ? AND stream = ?", kit, stream)
        return Runs([*self.kept(kit, stream), *gaps])

    def _open(self, *, threads: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(self._database, isolation_level=None, check_same_thread=not threads)
        connection.execute("PRAGMA journal_mode=WAL")
        return connection

    def _ask(self, statement: str, *values: str) -> list[Any]:
        with closing(self._open()) as connection:
            return connection.execute(statement, values).fetchall()


def _keep(connection: sqlite3.Connection, consumer: Consumer, batch: list[Fresh]) -> None:
    """One commit: the messages, and what the consumer knows of their kits."""
    connection.execute("BEGIN IMMEDIATE")
    for fresh in batch:
        connection.execute(
            "INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, ?)",
            (fresh.kit, fresh.stream, fresh.seq, fresh.topic, fresh.trouble),
        )
        for first, last in fresh.ranges:
            connection.execute("INSERT INTO gap VALUES (?, ?, ?, ?)", (fresh.kit, fresh.stream, first, last))
    for kit in {fresh.kit for fresh in batch}:
        saved = json.dumps(consumer.save(kit, batch))
        connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (kit, saved))
    connection.execute("COMMIT")
