"""What was delivered and is kept still can be had again, by its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from backbone_samples import TOPICS, at, event

from agent.backbone.outbox import SCHEMA, Outbox
from agent.backbone.resend import Resent, make_due
from agent.backbone.wire import Wire
from agent.config import Outbox as OutboxSettings
from agent.database import Database

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

NOW = at(100.0)
OUTBOX = Outbox(OutboxSettings(), TOPICS)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Ten events: 1 to 3 forgotten, 4 to 7 delivered and kept, 8 to 10 waiting."""
    made = Database(tmp_path / "agent.db", [SCHEMA])

    def fill(tx: sqlite3.Connection) -> None:
        OUTBOX.open_stream(tx)
        for number in range(1, 11):
            OUTBOX.append(tx, event(number), NOW)
        OUTBOX.delivered(tx, range(1, 8), NOW)
        tx.execute("DELETE FROM outbox WHERE seq <= 3")

    made.submit(fill).result()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (1, 10, Resent(due=4, waiting=3, gone=3)),
        (5, 5, Resent(due=1, waiting=0, gone=0)),
        (1, 3, Resent(due=0, waiting=0, gone=3)),
        (9, 2**53 - 1, Resent(due=0, waiting=2, gone=0)),
        (11, 99, Resent(due=0, waiting=0, gone=0)),
    ],
)
def test_each_number_is_accounted_for(database: Database, first: int, last: int, expected: Resent) -> None:
    """Due again, waiting anyway, gone; numbers that were never given are none of these."""
    assert expected == database.submit(lambda tx: make_due(tx, first, last)).result()
    numbers = database.submit(lambda tx: OUTBOX.numbers(tx, NOW)).result()
    assert 3 + expected.due == numbers.waiting


def test_they_are_sent_as_backlog(database: Database) -> None:
    """With their numbers, behind what is new; asked for twice they are sent once."""
    for _ in range(2):
        database.submit(lambda tx: make_due(tx, 4, 6)).result()
    rows = database.submit(
        lambda tx: OUTBOX.candidates(tx, NOW, busy=[], settled=[], mark=8, room=20, replay_room=20)
    ).result()
    assert [8, 9, 10, 4, 5, 6] == [row.seq for row in rows]


def test_what_the_platform_has_not_confirmed_goes_again() -> None:
    """With a watermark the broker's word is kept in memory: these rows are free again, as backlog."""
    wire = Wire(watermark=True, replay_per_s=10.0)
    wire.connected(20, 1, 0.0)
    for token, seq in enumerate((3, 4, 5)):
        wire.sent(token, seq, 0.0)
        wire.acked(token, 0, 0.1)
    wire.free(4, 9)
    assert ([3], 6) == (wire.settled, wire.mark)
