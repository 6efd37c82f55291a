"""The courier's hand in the outbox: what is written down when, and what the kit says meanwhile."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING

import pytest
from backbone_samples import TOPICS, event
from broker import wait_for

from agent.backbone import clerk as clerk_module
from agent.backbone.clerk import MARK_AFTER_S, MARK_AT, Clerk
from agent.backbone.outbox import SCHEMA, Outbox
from agent.backbone.wire import RESEND_MIN_S, Wire
from agent.config import Outbox as OutboxSettings
from agent.database import Database
from agent.device.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLOCK = SystemClock()


class Desk:
    """A clerk over a database, with a broker that takes what it is told to take."""

    def __init__(self, path: Path, *, watermark: bool) -> None:
        self.path = path
        self.database = Database(path, [SCHEMA])
        self.outbox = Outbox(OutboxSettings(), TOPICS)
        self.wire = Wire(watermark=watermark, replay_per_s=100.0)
        self.clerk = Clerk(self.database, self.outbox, CLOCK, self.wire, watermark=watermark)
        self.clerk.open()
        self.clerk.keep_house(0.0)
        self.wire.connected(1000, 1, 0.0)

    def append(self, number: int) -> None:
        """A message that cannot wait."""
        self.database.submit(lambda tx: self.outbox.append(tx, event(number), CLOCK.stamp())).result()

    def take(self, *seqs: int, now: float = 0.0) -> None:
        """The broker takes these rows."""
        for seq in seqs:
            self.wire.sent(seq, seq, now)
            self.wire.acked(seq, 0, now)

    def confirm(self, seq: int) -> None:
        """The platform has stored all up to `seq`."""
        self.clerk.heard(json.dumps({"stream": self.clerk.known.stream, "seq": seq}).encode())

    def candidates(self, now: float = 1.0) -> list[int]:
        """What would be sent."""
        return [row.seq for row in self.clerk.candidates(now, 100, 100)]

    def on_disk(self) -> int:
        """Rows that wait, as another process sees them."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return int(connection.execute("SELECT waiting FROM outbox_state").fetchone()[0])

    def said(self) -> int:
        """Rows that wait, as the next heartbeat will say."""
        self.clerk._next_numbers = 0.0
        self.clerk.keep_house(1.0)
        return self.clerk.known.waiting


@pytest.fixture
def puback(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "agent.db", watermark=False)
    yield made
    made.database.close()


@pytest.fixture
def watermark(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "agent.db", watermark=True)
    yield made
    made.database.close()


def test_a_delivery_shares_the_sync_of_the_next_message(puback: Desk) -> None:
    """Until then the row is neither sent again nor said to wait; at a power cut it would be sent again."""
    puback.append(1)
    puback.take(1)
    assert not puback.clerk.settle(0.1)
    assert puback.clerk.busy  # it is not handed to the writer yet
    puback.clerk.settle(MARK_AFTER_S)

    assert (1, 0, [], False) == (puback.on_disk(), puback.said(), puback.candidates(), puback.clerk.busy)
    puback.append(2)
    assert 1 == puback.on_disk()
    puback.clerk.settle(1.0)
    assert ([], 1, [2]) == (puback.wire.settled, puback.said(), puback.candidates())


def test_many_deliveries_wait_for_nobody(puback: Desk) -> None:
    """A burst is written down as it goes, with what waited before it."""
    for number in range(MARK_AT + 1):
        puback.append(number)
    puback.take(1)
    puback.clerk.settle(MARK_AFTER_S)
    puback.take(*range(2, MARK_AT + 2))
    puback.clerk.settle(MARK_AFTER_S)

    wait_for(lambda: puback.on_disk() == 0)


def test_a_delivery_does_not_linger_for_ever(puback: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody says anything more: it is on disk all the same."""
    monkeypatch.setattr(clerk_module, "LINGER_S", 0.05)
    puback.append(1)
    puback.take(1)
    puback.clerk.settle(MARK_AFTER_S)

    wait_for(lambda: puback.on_disk() == 0)


def test_a_stop_writes_everything_down(puback: Desk) -> None:
    """What lingers as well as what was not handed over."""
    puback.append(1)
    puback.append(2)
    puback.take(1)
    puback.clerk.settle(MARK_AFTER_S)
    puback.take(2, now=1.0)
    puback.clerk.settle(1.0, at_once=True)

    assert (0, []) == (puback.on_disk(), puback.wire.settled)


def test_a_confirmation_shares_the_sync_of_the_next_message(watermark: Desk) -> None:
    """Meanwhile the rows are not sent again, do not wait, and the platform is not called silent."""
    watermark.append(1)
    watermark.append(2)
    watermark.take(1, 2)
    watermark.confirm(1)
    assert watermark.clerk.busy
    watermark.clerk.settle(RESEND_MIN_S - 1)

    assert (2, 1, []) == (watermark.on_disk(), watermark.said(), watermark.candidates())
    watermark.clerk.settle(RESEND_MIN_S + 1)
    assert [1, 2] == watermark.wire.settled
    watermark.append(3)
    assert watermark.clerk.settle(RESEND_MIN_S + 1)
    assert (2, [2], [3]) == (watermark.on_disk(), watermark.wire.settled, watermark.candidates())


def test_a_foreign_confirmation_forgets_nothing(watermark: Desk) -> None:
    """Of a number that was never given."""
    watermark.append(1)
    watermark.take(1)
    watermark.confirm(7)
    watermark.clerk.settle(1.0)
    watermark.append(2)

    assert not watermark.clerk.settle(1.0)
    assert (2, [1], [2]) == (watermark.on_disk(), watermark.wire.settled, watermark.candidates())
