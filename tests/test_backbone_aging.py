"""What has waited for too long goes, with a word; by hours of work, whatever the clock on the wall says."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from backbone_samples import TOPICS, at, clip, erased, event, raised, snapshot, stat

from agent.backbone.candidates import Wanted
from agent.backbone.outbox import SCHEMA, Outbox
from agent.config import Outbox as OutboxSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.device.clock import Stamp

HOUR = 3600.0
BOX = Outbox(OutboxSettings(wait_h=10.0), TOPICS)


@pytest.fixture
def tx() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(SCHEMA)
        BOX.open_stream(connection)
        yield connection


def hour(number: float, boot: str = "aaaaaaaa", ts: str | None = None) -> Stamp:
    return at(number * HOUR, boot, ts)


def waiting(tx: sqlite3.Connection) -> list[int]:
    return [seq for (seq,) in tx.execute("SELECT seq FROM outbox WHERE done_boot IS NULL ORDER BY seq")]


def told(tx: sqlite3.Connection) -> tuple[str, list[list[int]]]:
    """Why and which, by the one gap that waits."""
    (row,) = BOX.pick(tx, Wanted(room=1, replay_room=1, mark=1)).rows
    gap = json.loads(row.publication.payload)
    assert TOPICS.gap == row.publication.topic
    return gap["why"], gap["ranges"]


def test_what_waits_for_too_long_is_dropped_and_named(tx: sqlite3.Connection) -> None:
    """After ten hours of work; what came later stays, and the dropped are counted."""
    for number in range(13):
        BOX.append(tx, event(number), hour(number))
        BOX.purge(tx, hour(number, ts="2026-11-22T00:00:00.000Z"))

    # One went at hour 11, one at hour 12, whose gap takes up the one before it (13).
    assert ("expired", [[1, 2], [13, 13]]) == told(tx)
    assert [*range(3, 13), 14, 15] == waiting(tx)
    assert 2 == BOX.numbers(tx, hour(12)).dropped


def test_some_things_are_news_however_old(tx: sqlite3.Connection) -> None:
    """Tamper, alarms and clips that still exist; those that do not, go like the rest."""
    kinds = [event(1), raised(), clip(1), clip(2), erased(2), event(3, kind="tamper"), stat(), snapshot(4)]
    for message in kinds:
        BOX.append(tx, message, hour(0))
    for number in (0, 20):
        BOX.purge(tx, hour(number))

    assert [2, 3, 6, 9] == waiting(tx)  # 9 is the gap
    (payload,) = tx.execute("SELECT payload FROM outbox WHERE seq = 9").fetchone()
    assert [[1, 1], [4, 5], [7, 8]] == json.loads(payload)["ranges"]


@pytest.mark.parametrize("wall", [None, "2006-01-01T00:00:00.000Z", "2046-01-01T00:00:00.000Z"])
def test_no_clock_ages_anything(tx: sqlite3.Connection, wall: str | None) -> None:
    """Neither one that was lost over a power cut, nor one that woke twenty years from now."""
    BOX.append(tx, event(1), hour(0, ts="2026-11-22T00:00:00.000Z"))
    BOX.purge(tx, hour(0, ts="2026-11-22T00:00:00.000Z"))
    BOX.purge(tx, hour(0.1, "bbbbbbbb", wall))
    BOX.purge(tx, hour(9.9, "bbbbbbbb", wall))
    assert [1] == waiting(tx)

    BOX.purge(tx, hour(10.1, "bbbbbbbb", wall))
    assert [2] == waiting(tx)


def test_hours_of_several_boots_add_up(tx: sqlite3.Connection) -> None:
    """Three days of four hours each: what is old is so over any number of power cuts."""
    BOX.append(tx, event(1), hour(0))
    kept = []
    for boot in ("aaaaaaaa", "bbbbbbbb", "cccccccc"):
        for number in (0.01, 1, 2, 3, 4):
            BOX.purge(tx, hour(number, boot))
            kept.append(1 in waiting(tx))

    assert [True] * 12 + [True, False, False] == kept  # at hour 3 of the third it is eleven hours old


def test_notes_are_few_and_none_while_nothing_waits(tx: sqlite3.Connection) -> None:
    """An idle kit writes nothing; one that is cut off keeps what it needs."""
    before = tx.total_changes
    for number in range(5):
        BOX.purge(tx, hour(number))
    assert before == tx.total_changes

    BOX.append(tx, raised(), hour(5))
    for number in range(5, 100):
        BOX.purge(tx, hour(number))
    assert [12] == list(tx.execute("SELECT count(*) FROM outbox_ages").fetchone())
