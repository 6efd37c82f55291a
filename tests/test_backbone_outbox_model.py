"""The outbox against a model of it: whatever happens in whatever order, no number goes without a word."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from backbone_samples import (
    KIT,
    TOPICS,
    at,
    cleared,
    clip,
    erased,
    event,
    raised,
    snapshot,
    stat,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.backbone.candidates import Wanted
from agent.backbone.consumer import Consumer, Fresh
from agent.backbone.drafts import DropOrder
from agent.backbone.outbox import SCHEMA, Outbox
from agent.backbone.resend import make_due
from agent.backbone.runs import Runs
from agent.backbone.stored import Cover
from agent.config import Outbox as OutboxSettings
from agent.types import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.backbone.drafts import Draft
    from agent.backbone.outbox import Row
    from agent.backbone.publication import Publication
    from agent.device.clock import Stamp

MAX_ROWS, MAX_MB, KEEP_H, WAIT_H = 100, 0.06, 1.0, 2.0  # so little that all are met within a few steps
KINDS: dict[str, Callable[[int], Draft]] = {
    "new": event,
    "update": lambda n: event(n - n % 3, Phase.UPDATE),
    "end": lambda n: event(n - n % 3, Phase.END),
    "motion": lambda n: event(n, kind="motion"),
    "tamper": lambda n: event(n, kind="tamper"),
    "picture": lambda n: snapshot(n, bytes([n % 256]) * 3000),
    "clip": lambda n: clip(n % 5),
    "erased": lambda n: erased(n % 5),
    "raised": lambda n: raised(f"a.b{n % 3}"),
    "cleared": lambda n: cleared(f"a.b{n % 3}"),
    "stat": lambda _: stat(),
}
CLOCKS = [None, "2006-01-01T00:00:00.000Z", "2026-11-22T00:31:05.412Z", "2046-01-01T00:00:00.000Z"]


@dataclass(frozen=True)
class Kept:
    """A row as it lies there."""

    priority: int
    order: int
    waiting: bool
    subject: str | None
    gap: bool


class OutboxMachine(RuleBasedStateMachine):
    """A kit's outbox, the wire between, and the reference consumer at its end."""

    @initialize(watermark=st.booleans(), covered=st.booleans())
    def begin(self, *, watermark: bool, covered: bool) -> None:
        """A kit leaves the factory."""
        self.directory = Path(tempfile.mkdtemp(prefix="outbox-model-"))
        self.by_watermark, self.covered = watermark, covered
        self.boots, self.mono, self.wall = 1, 100.0, CLOCKS[0]
        self.worked = self.noted = 0.0
        """Seconds for which the kit has worked, as far as it can know; and those that outlive a power cut."""
        self.born: dict[int, float] = {}
        """`worked` when each message was appended."""
        self.known: dict[int, float] = {}
        """`worked` when the kit looked first while each was there."""
        self.numbers = 0
        self.said: dict[int, Publication] = {}
        """What was appended, as it must be sent."""
        self.spoiled: dict[int, list[tuple[int, int]]] = {}
        """Rows that the card altered, with what gaps among them named: found out when they are read."""
        self.taken: set[int] = set()
        """Numbers that count as delivered: in puback mode by the broker's word."""
        self.excused = Runs()
        """What the gaps among them named."""
        self.settled: set[int] = set()
        """Rows that the broker took and the platform has not confirmed."""
        self.consumer = Consumer()
        self.open()

    def teardown(self) -> None:
        """In the end all is delivered, and the account is closed."""
        if not hasattr(self, "connection"):
            return
        self.settled.clear()
        while [seq for seq, row in self.kept().items() if row.waiting and seq not in self.settled]:
            rows = self.candidates(room=1000, replay_room=1000, mark=1)  # none when all were corrupt
            self.carry(rows, heard=[True] * len(rows))
            self.acknowledge()
        self.nothing_goes_without_a_word()
        if self.by_watermark:
            account = self.consumer.account(KIT, self.stream) if self.consumer.kits else None
            assert self.next_seq - 1 == (account.watermark if account else 0)
            assert {} == self.kept()
        self.connection.close()
        shutil.rmtree(self.directory)

    # What may happen

    @rule(kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=25))
    def append(self, kinds: list[str]) -> None:
        """The agent has something to say."""
        for kind in kinds:
            self.numbers += 1
            message = KINDS[kind](self.numbers)
            before = self.kept()
            with self.unit() as tx:
                seq = self.outbox.append(tx, message, self.now)
            self.said[seq] = message.render(self.stream, seq)
            self.born[seq] = self.worked
            self.look_at_what_was_dropped(before, seq, message)

    @rule(room=st.integers(1, 40), replay_room=st.integers(0, 20), data=st.data())
    def send(self, room: int, replay_room: int, data: st.DataObject) -> None:
        """Rows go to the broker; some never reach the platform, or it dies before it keeps them."""
        mark = data.draw(st.integers(1, self.next_seq), "mark")
        rows = self.candidates(room=room, replay_room=replay_room, mark=mark)
        assert len(rows) <= room
        heard = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)), "heard")
        self.carry(rows, heard)

    @precondition(lambda self: self.by_watermark)
    @rule()
    def acknowledge(self) -> None:
        """The platform says how far it has kept everything."""
        for _, payload in self.consumer.acks():
            ack = json.loads(payload)
            with self.unit() as tx:
                assert self.outbox.watermark(tx, ack["stream"], ack["seq"])
            self.settled = {seq for seq in self.settled if seq > ack["seq"]}

    @rule(ahead=st.integers(0, 5))
    def hear_a_foreign_ack(self, ahead: int) -> None:
        """Of another stream, or of numbers not yet given: it says nothing of our rows."""
        before = self.kept()
        with self.unit() as tx:
            assert not self.outbox.watermark(tx, "00000000", 5)
            assert not self.outbox.watermark(tx, self.stream, self.next_seq + ahead)
        assert before == self.kept()

    @rule()
    def send_again(self) -> None:
        """The watermark stood still: what was sent is free again."""
        self.settled.clear()

    @precondition(lambda self: not self.by_watermark)
    @rule(first=st.integers(1, 60), length=st.integers(0, 40))
    def be_asked_again(self, first: int, length: int) -> None:
        """The platform wants some once more: what is still there becomes due, and an alarm's last words."""
        before = self.kept()
        wanted = {seq for seq in before if first <= seq <= first + length}
        with self.unit() as tx:
            answer = make_due(tx, first, first + length)
        done = {seq for seq in wanted if not before[seq].waiting}
        given = max(0, min(first + length, self.next_seq - 1) - first + 1)
        assert (len(done), len(wanted - done), given - len(wanted)) == (
            answer.due,
            answer.waiting,
            answer.gone,
        )
        done |= set(answer.last_words)
        assert {seq: replace(row, waiting=row.waiting or seq in done) for seq, row in before.items()} == (
            self.kept()
        )

    @rule(count=st.integers(1, 30))
    def give_up_unnumbered(self, count: int) -> None:
        """The disk refused for so long that messages had no place in memory either."""
        before = self.next_seq
        with self.unit() as tx:
            self.outbox.skip(tx, count, "refused", self.now)
        assert before + count < self.next_seq

    @rule(data=st.data())
    def find_too_large(self, data: st.DataObject) -> None:
        """The broker takes no packets of that size."""
        if waiting := [seq for seq, row in self.kept().items() if row.waiting and not row.gap]:
            seqs = data.draw(st.lists(st.sampled_from(waiting), min_size=1, max_size=4, unique=True), "rows")
            with self.unit() as tx:
                self.outbox.drop(tx, seqs, "too-large", self.now)
            self.settled -= set(seqs)

    @rule(data=st.data(), column=st.sampled_from(["head", "payload"]))
    def corrupt(self, data: st.DataObject, column: str) -> None:
        """The card returns other bytes than it was given."""
        out_of_reach = self.settled | self.spoiled.keys()
        waiting = [seq for seq, row in self.kept().items() if row.waiting and seq not in out_of_reach]
        if waiting:
            seq = data.draw(st.sampled_from(waiting), "row")
            (stored,) = self.connection.execute(
                f"SELECT {column} FROM outbox WHERE seq = ?",  # noqa: S608 - one of two names
                (seq,),
            ).fetchone()
            named = [] if seq in self.said else self.waiting_ranges(seq)
            place = data.draw(st.integers(0, max(0, len(stored) - 1)), "byte")
            altered = stored[:place] + bytes([(stored[place] if stored else 0) ^ 0x20]) + stored[place + 1 :]
            self.connection.execute(f"UPDATE outbox SET {column} = ? WHERE seq = ?", (altered, seq))  # noqa: S608
            self.spoiled[seq] = named

    @rule(hours=st.floats(0, 1.5))
    def let_time_pass(self, hours: float) -> None:
        """Delivered rows are kept for a while; what waits goes when it is too old, and not before."""
        self.mono += 3600 * hours
        self.worked += 3600 * hours
        waiting = {seq: row for seq, row in self.kept().items() if row.waiting}
        if waiting:
            self.noted = self.worked
            self.known = dict.fromkeys(self.said, self.worked) | self.known
        with self.unit() as tx:
            self.outbox.purge(tx, self.now)
        gone = {seq for seq in waiting.keys() - self.kept().keys() if not waiting[seq].gap}
        may_go = {seq for seq, row in waiting.items() if row.order < DropOrder.CLIP}
        past = self.worked - 3600 * WAIT_H  # give or take the last bits of a sum
        assert {seq for seq in may_go if self.known[seq] < past - 0.001} <= gone
        assert gone <= {seq for seq in may_go if self.born[seq] < past + 0.001}
        self.settled -= gone

    @rule(wall=st.sampled_from(CLOCKS))
    def set_clock(self, wall: str | None) -> None:
        """It is set, steps, or is lost."""
        self.wall = wall

    @rule(power_cut=st.booleans())
    def restart(self, *, power_cut: bool) -> None:
        """Of the agent, or of the kit: what was on disk is there, what was in memory is not."""
        before = self.kept()
        self.connection.close()
        if power_cut:
            self.boots, self.mono = self.boots + 1, 5.0
            self.worked = self.noted + 5.0
            self.born = {seq: min(self.worked, worked) for seq, worked in self.born.items()}
        self.settled.clear()
        self.open()
        assert before == self.kept()

    # What must hold

    @invariant()
    def nothing_goes_without_a_word(self) -> None:
        """Each number was delivered, waits, or is named by a gap that was delivered or waits."""
        if not hasattr(self, "connection"):
            return
        accounted = Runs([(seq, seq) for seq in self.delivered | set(self.kept())])
        for first, last in [*self.excused, *self.waiting_ranges()]:
            accounted.add(first, last)
        assert [] == accounted.missing(1, self.next_seq - 1)

    @invariant()
    def books_are_right(self) -> None:
        """The counters that bound the outbox are those of its rows."""
        if not hasattr(self, "connection"):
            return
        counted = self.connection.execute(
            "SELECT count(*), count(*) - count(done_boot), coalesce(sum(size), 0) FROM outbox"
        ).fetchone()
        assert counted == self.connection.execute("SELECT total, waiting, bytes FROM outbox_state").fetchone()

    @invariant()
    def outbox_is_bounded(self) -> None:
        """Beyond a limit lies nothing but what may never go."""
        if not hasattr(self, "connection"):
            return
        total, size = self.connection.execute("SELECT total, bytes FROM outbox_state").fetchone()
        if total > MAX_ROWS or size > MAX_MB * 1024 * 1024:
            kept = self.kept()
            assert {(DropOrder.NEVER, True)} == {(row.order, row.waiting) for row in kept.values()}
            assert set() == superseded(kept)

    # How it is done

    def open(self) -> None:
        """Start over the file, with a new key for pictures: the old one was in memory."""
        self.connection = sqlite3.connect(self.directory / "agent.db", isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=OFF")  # nobody cuts the power of this machine
        self.connection.executescript(SCHEMA)
        limits = OutboxSettings(max_rows=MAX_ROWS, max_mb=MAX_MB, keep_h=KEEP_H, wait_h=WAIT_H)
        key = self.boots.to_bytes(32, "big")
        self.outbox = Outbox(limits, TOPICS, cover=Cover(key) if self.covered else None)
        with self.unit() as tx:
            self.stream = self.outbox.open_stream(tx)

    @contextmanager
    def unit(self) -> Iterator[sqlite3.Connection]:
        """A unit of work."""
        self.connection.execute("BEGIN IMMEDIATE")
        yield self.connection
        self.connection.execute("COMMIT")

    @property
    def now(self) -> Stamp:
        """By the kit's clock."""
        return at(self.mono, f"{self.boots:08x}", self.wall)

    @property
    def next_seq(self) -> int:
        """The number that the next row will have."""
        number: int = self.connection.execute("SELECT next_seq FROM outbox_state").fetchone()[0]
        return number

    @property
    def delivered(self) -> set[int]:
        """By the platform's word, or by the broker's."""
        if not self.by_watermark:
            return self.taken
        stored = self.consumer.account(KIT, self.stream).stored if self.consumer.kits else Runs()
        return {seq for first, last in stored for seq in range(first, last + 1)}

    def kept(self) -> dict[int, Kept]:
        """Every row there is."""
        rows = self.connection.execute(
            "SELECT seq, priority, drop_order, done_boot IS NULL, subject FROM outbox ORDER BY seq"
        )
        return {
            seq: Kept(priority, order, bool(waiting), subject, seq not in self.said)
            for seq, priority, order, waiting, subject in rows
        }

    def waiting_ranges(self, only: int | None = None) -> list[tuple[int, int]]:
        """What the gaps that lie there name, or one of them."""
        rows = self.connection.execute("SELECT seq, payload FROM outbox").fetchall()
        gaps = [(seq, payload) for seq, payload in rows if seq not in self.said and only in {None, seq}]
        return [
            (first, last)
            for seq, payload in gaps
            for first, last in (self.spoiled[seq] if seq in self.spoiled else json.loads(payload)["ranges"])
        ]

    def candidates(self, **wish: int) -> list[Row]:
        """What may go, looked at from all sides."""
        wanted = Wanted(**wish, settled=self.settled)
        while (pick := self.outbox.pick(self.connection, wanted)).corrupt or pick.gone:
            with self.unit() as tx:
                self.outbox.give_up(tx, pick, self.now)
        rows = pick.rows
        kept, mark = self.kept(), wish["mark"]
        assert [] == [row.seq for row in rows if row.seq in self.settled or row.seq in self.spoiled]
        going_on = {row.subject for seq, row in kept.items() if row.waiting and seq >= mark} - {None}
        late = {row.seq for row in rows if row.seq < mark and kept[row.seq].subject not in going_on}
        rank = [
            (not row.urgent, not row.urgent and row.seq in late, kept[row.seq].priority, row.seq)
            for row in rows
        ]
        assert sorted(rank) == rank
        for row in rows:
            ahead = [
                seq
                for seq, other in kept.items()
                if other.waiting and seq < row.seq and seq not in self.settled
                if other.subject == kept[row.seq].subject is not None
                if other.priority <= kept[row.seq].priority or not (row.urgent or row.seq in late)
            ]
            assert [] == ahead, "of one subject nothing overtakes what was said before"
        assert len([row for row in rows if row.seq in late and not row.urgent]) <= wish["replay_room"]
        for row in rows:
            if row.seq in self.said:
                assert self.said[row.seq] == row.publication
        topics = [row.publication.topic for row in rows if row.publication.retain]
        assert len(set(topics)) == len(topics), "two of one alarm at once: the last must win"
        return rows

    def carry(self, rows: list[Row], heard: list[bool]) -> None:
        """The broker takes the rows; those `heard` the platform keeps."""
        for row, arrives in zip(rows, heard, strict=True):
            said = row.publication
            if arrives:
                for outcome in self.consumer.hear(said.topic, said.payload, said.user, self.mono):
                    if isinstance(outcome, Fresh):
                        self.consumer.stored(outcome)
            if said.topic == TOPICS.gap and (arrives or not self.by_watermark):
                for first, last in json.loads(said.payload)["ranges"]:
                    self.excused.add(first, last)
        seqs = {row.seq for row in rows}
        self.settled |= seqs
        if not self.by_watermark:
            self.taken |= seqs
            with self.unit() as tx:
                self.outbox.delivered(tx, seqs, self.now)
            self.settled -= seqs

    def look_at_what_was_dropped(self, before: dict[int, Kept], seq: int, message: Draft) -> None:
        """When it is full the least goes first, the oldest of it, and never what must never go."""
        after = self.kept()
        assert seq in after or message.drop_order is not DropOrder.NEVER
        old_words = superseded({**before, **after})
        dropped = {n: row for n, row in before.items() if row.waiting and not row.gap and n not in after}
        if message.drop_order is DropOrder.EXPIRED_CLIP:  # what spoke of this clip is worth no more than that
            dropped = {
                n: replace(row, order=message.drop_order) if row.subject == message.subject else row
                for n, row in dropped.items()
            }
        dropped = least(dropped, old_words)
        assert [] == [n for n, row in dropped.items() if row.order == DropOrder.NEVER]
        if dropped:
            assert [] == [n for n, row in after.items() if not row.waiting], "delivered rows go first"
            worst = max(row.order for row in dropped.values())
            left = least({n: row for n, row in after.items() if row.waiting}, old_words)
            assert [] == [n for n, row in left.items() if row.order < worst]
            assert [] == [
                n
                for n, row in left.items()
                if row.order == worst and n < max(m for m, r in dropped.items() if r.order == worst)
            ]


def superseded(rows: dict[int, Kept]) -> set[int]:
    """Waiting words of alarms that were followed by two more of the same alarm."""
    alarms: dict[str | None, list[int]] = {}
    for seq, row in sorted(rows.items()):
        if row.waiting and not row.gap and row.order == DropOrder.NEVER and row.subject is not None:
            alarms.setdefault(row.subject, []).append(seq)
    return {seq for words in alarms.values() for seq in words[:-2]}


def least(rows: dict[int, Kept], old_words: set[int]) -> dict[int, Kept]:
    """The same rows; superseded words of alarms matter less than all else."""
    return {n: replace(row, order=0) if n in old_words else row for n, row in rows.items()}


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
