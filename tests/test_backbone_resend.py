"""What was delivered and is kept still can be had again, by its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from backbone_samples import TOPICS, at, cleared, event, raised

from agent.backbone.candidates import Wanted
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
    pick = database.look(lambda tx: OUTBOX.pick(tx, Wanted(room=20, replay_room=20, mark=8))).result()
    assert [8, 9, 10, 4, 5, 6] == [row.seq for row in pick.rows]


def test_what_the_platform_has_not_confirmed_goes_again() -> None:
    """With a watermark the broker's word is kept in memory: these rows are free again, as backlog."""
    wire = Wire(watermark=True, replay_per_s=10.0)
    wire.connected(20, 1, 0.0)
    for token, seq in enumerate((3, 4, 5)):
        wire.sent(token, seq, 0.0)
        wire.acked(token, 0, 0.1)
    wire.free(4, 9, 11)
    assert ([3], 10) == (wire.settled, wire.mark)


def test_an_alarms_last_words_are_said_last(tmp_path: Path) -> None:
    """Whoever asks for old words of an alarm must not make the broker retain them."""
    made = Database(tmp_path / "agent.db", [SCHEMA])

    def fill(tx: sqlite3.Connection) -> None:
        OUTBOX.open_stream(tx)
        numbers = [OUTBOX.append(tx, one, NOW) for one in (raised(), cleared(), event(3), raised())]
        OUTBOX.delivered(tx, numbers, NOW)

    sent: list[int] = []

    def due(tx: sqlite3.Connection) -> list[int]:
        pick = OUTBOX.pick(tx, Wanted(room=9, replay_room=9, mark=99, settled=sent))
        return [row.seq for row in pick.rows]

    made.submit(fill).result()
    assert Resent(2, 0, 0, last_words=(4,)) == made.submit(lambda tx: make_due(tx, 1, 2)).result()
    waiting = made.submit(lambda tx: OUTBOX.numbers(tx, NOW)).result().waiting
    while more := made.look(due).result():
        sent += more
    made.close()
    assert 3 == waiting
    assert [1, 2, 4] == sent
