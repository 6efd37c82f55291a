"""Messages on their way: rows of the agent's database, rendered once, sent as stored.

Invariants:
- (`stream`, `seq`) is dense: each number is delivered, or named in the `ranges` of a `gap`.
- What `append` returned for, and whose unit of work committed, is on disk until it was delivered or covered.
- A row is sent only if its checksum holds; flash and file systems alter bytes without saying so.
- With a Cover no picture lies readable on disk.
- The outbox is bounded by rows, bytes and age. When it is full, delivered rows go first, then what matters
  least (`DropOrder`); what has waited for too long goes anyway (`aging`). A gap is written in the same
  transaction. Tamper, gaps, acceptances and the last words of each alarm never go.

Every method runs inside a unit of work of `agent.database.Database`; nothing is kept in memory.
"""

from __future__ import annotations

import json
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from agent.backbone import aging, gaps
from agent.backbone.candidates import candidates
from agent.backbone.drafts import DropOrder, Priority, draft
from agent.backbone.eviction import victims
from agent.backbone.messages import Gap
from agent.backbone.runs import Runs
from agent.backbone.stored import checksum, pack, unpack

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterable

    from agent.backbone.candidates import Wanted
    from agent.backbone.drafts import Draft
    from agent.backbone.gaps import Why
    from agent.backbone.publication import Publication
    from agent.backbone.stored import Cover
    from agent.backbone.topics import Topics
    from agent.config import Outbox as OutboxSettings
    from agent.device.clock import Stamp

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS outbox_state (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    stream TEXT NOT NULL,
    session INTEGER NOT NULL,
    next_seq INTEGER NOT NULL,
    total INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    dropped INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY,
    priority INTEGER NOT NULL,
    drop_order INTEGER NOT NULL,
    subject TEXT,
    boot TEXT NOT NULL,
    mono REAL NOT NULL,
    wall REAL,              -- when it was said; NULL if unknown, and once it is delivered
    done_boot TEXT,         -- in which boot it was delivered; NULL: it waits
    done_mono REAL,         -- and when; while it waits, bytes that are kept for that
    crc INTEGER NOT NULL,
    size INTEGER NOT NULL,
    head BLOB NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (priority, seq) WHERE done_boot IS NULL;
CREATE INDEX IF NOT EXISTS outbox_subject ON outbox (subject) WHERE subject IS NOT NULL;
"""
    + aging.SCHEMA
)

ROW_BYTES = 150  # what a row costs beside its head and payload: columns, two index entries, page overhead
ROOM = 0.05  # a full outbox makes this much room at once: one gap then speaks for many rows

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """A message ready to be sent."""

    seq: int
    publication: Publication
    urgent: bool


@dataclass(frozen=True, slots=True)
class Pick:
    """Rows in the order in which to send them, and those among them that nobody can send any more."""

    rows: list[Row]
    corrupt: frozenset[int]
    """Their checksum does not hold."""
    gone: frozenset[int]
    """Pictures that were covered by an earlier run."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The state of the outbox."""

    stream: str
    session: int
    """The last session number that was used."""
    seq_next: int
    seq_oldest: int
    """The oldest row there is, `seq_next` when there is none."""
    waiting: int
    age_s: float | None
    """How long the oldest waiting row waits; None when nothing waits or no clock can tell."""
    bytes: int
    dropped: int


class Outbox:
    """The outbox of one kit.

    `cover` encrypts pictures while they lie here. `delivered_hook` is told, in the same unit of work, what
    the messages that were just delivered spoke of (`Draft.subject`).
    """

    def __init__(
        self,
        settings: OutboxSettings,
        topics: Topics,
        *,
        cover: Cover | None = None,
        delivered_hook: Callable[[sqlite3.Connection, list[str]], None] | None = None,
    ) -> None:
        self._cover = cover
        self._delivered_hook = delivered_hook
        self._max_rows = settings.max_rows
        self._max_bytes = int(settings.max_mb * 1024 * 1024)
        self._keep_s = settings.keep_h * 3600
        self._wait_s = settings.wait_h * 3600
        self._topics = topics

    def open_stream(self, tx: sqlite3.Connection) -> str:
        """The stream of this database; begun when the database is new. To be called before all else."""
        tx.execute(
            "INSERT INTO outbox_state VALUES (1, ?, 0, 1, 0, 0, 0, 0) ON CONFLICT DO NOTHING",
            (secrets.token_hex(4),),
        )
        stream: str = tx.execute("SELECT stream FROM outbox_state").fetchone()[0]
        return stream

    def save_session(self, tx: sqlite3.Connection, session: int) -> None:
        """Remember the number of the connection that was just made."""
        tx.execute("UPDATE outbox_state SET session = max(session, ?)", (session,))

    def append(self, tx: sqlite3.Connection, message: Draft, now: Stamp) -> int:
        """Number the message, render it, store it; returns its seq.

        Raises:
            ValidationError: the message breaks the contract; no number is used.
        """
        seq = self._insert(tx, message, now)
        if message.drop_order is DropOrder.EXPIRED_CLIP:
            tx.execute(
                "UPDATE outbox SET drop_order = ? WHERE subject = ? AND drop_order = ?",
                (DropOrder.EXPIRED_CLIP, message.subject, DropOrder.CLIP),
            )
        self._make_room(tx, now)
        return seq

    def pick(self, tx: sqlite3.Connection, wanted: Wanted) -> Pick:
        """What to send next: see `agent.backbone.candidates`. Reads only."""
        rows, corrupt, gone = [], set(), set()
        for row in candidates(tx, wanted):
            if checksum(row.head, row.payload) != row.crc:
                corrupt.add(row.seq)
            elif (publication := unpack(row.head, row.payload, self._cover)) is None:
                gone.add(row.seq)
            else:
                rows.append(Row(row.seq, publication, urgent=row.priority == Priority.URGENT))
        return Pick(rows, frozenset(corrupt), frozenset(gone))

    def give_up(self, tx: sqlite3.Connection, pick: Pick, now: Stamp) -> None:
        """Drop what cannot be sent, with a gap; another pick may find other gaps then."""
        if pick.corrupt:
            _LOG.error("outbox: rows %s were altered on disk; dropped with a gap", sorted(pick.corrupt))
            self.drop(tx, pick.corrupt, "corrupt", now)
        if pick.gone:
            _LOG.warning("outbox: pictures %s were covered by an earlier run; dropped", sorted(pick.gone))
            self.drop(tx, pick.gone, "restart", now)

    def delivered(self, tx: sqlite3.Connection, seqs: Iterable[int], now: Stamp) -> None:
        """The broker took these rows: keep them for a resend, don't send them again.

        Such a row keeps its length (`done_boot` takes the bytes of `wall`, `done_mono` has its own from the
        start), so SQLite changes it in its place: else it would write the picture in it a second time.
        """
        which = "seq IN (SELECT value FROM json_each(?)) AND done_boot IS NULL"
        listed = json.dumps(sorted(seqs))
        self._tell_delivered(tx, which, (listed,))
        done = tx.execute(
            f"UPDATE outbox SET done_boot = ?, done_mono = ?, wall = NULL WHERE {which}",  # noqa: S608
            (now.boot, now.mono, listed),
        ).rowcount
        tx.execute("UPDATE outbox_state SET waiting = waiting - ?", (done,))

    def watermark(self, tx: sqlite3.Connection, stream: str, seq: int) -> bool:
        """The platform has stored all up to `seq`: forget them.

        A watermark of another stream, or of a number not yet given, says nothing about our rows: False.
        """
        ours, next_seq = tx.execute("SELECT stream, next_seq FROM outbox_state").fetchone()
        if stream != ours or seq >= next_seq:
            _LOG.warning("ack of (%s, %d) is not for stream %s below %d", stream, seq, ours, next_seq)
            return False
        self._tell_delivered(tx, "seq <= ? AND done_boot IS NULL", (seq,))
        self._delete(tx, "seq <= ?", (seq,))
        return True

    def drop(self, tx: sqlite3.Connection, seqs: Collection[int], why: Why, now: Stamp) -> None:
        """Give these rows up, and say so in a gap.

        What a corrupt gap named cannot be read any more. The new one names every number that has no row: a
        platform that has some of them stored loses nothing by it.
        """
        known, listed = "seq IN (SELECT value FROM json_each(?))", json.dumps(sorted(seqs))
        found = tx.execute(f"SELECT seq, subject FROM outbox WHERE {known}", (listed,)).fetchall()  # noqa: S608
        if not found:
            return
        self._delete(tx, known, (listed,))
        tx.execute("UPDATE outbox_state SET dropped = dropped + ?", (len(found),))
        ranges = [(seq, seq) for seq, _ in found]
        if why == "corrupt" and any(subject in gaps.REASONS for _, subject in found):
            ranges = list(self._missing(tx))
        self._tell_gap(tx, ranges, why, now)

    def skip(self, tx: sqlite3.Connection, count: int, why: Why, now: Stamp) -> None:
        """Number messages that were given up before they had a number, and say so in a gap."""
        (first,) = tx.execute("SELECT next_seq FROM outbox_state").fetchone()
        tx.execute("UPDATE outbox_state SET next_seq = next_seq + ?, dropped = dropped + ?", (count, count))
        self._tell_gap(tx, [(first, first + count - 1)], why, now)

    def purge(self, tx: sqlite3.Connection, now: Stamp) -> int:
        """Delete delivered rows that were kept long enough; returns how many. Drop what waited for too long.

        How long the kit was without power nobody knows: what was delivered in an earlier boot is counted from
        now.
        """
        tx.execute(
            "UPDATE outbox SET done_boot = ?, done_mono = ? WHERE done_boot IS NOT NULL AND done_boot <> ?",
            (now.boot, now.mono, now.boot),
        )
        kept = self._delete(tx, "done_boot = ? AND done_mono < ?", (now.boot, now.mono - self._keep_s))
        if expired := aging.overdue(tx, now, self._wait_s):
            _LOG.warning("outbox: %d messages have waited for too long; dropped with a gap", len(expired))
            self.drop(tx, expired, "expired", now)
        return kept

    def numbers(self, tx: sqlite3.Connection, now: Stamp, taken: Collection[int] = ()) -> Numbers:
        """The state of the outbox; rows that are `taken` already do not wait, whatever is written of them."""
        stream, session, next_seq, waiting, size, dropped = tx.execute(
            "SELECT stream, session, next_seq, waiting, bytes, dropped FROM outbox_state"
        ).fetchone()
        oldest = tx.execute("SELECT min(seq) FROM outbox").fetchone()[0]
        done = json.dumps(sorted(taken))
        waiting -= tx.execute(
            "SELECT count(*) FROM outbox WHERE done_boot IS NULL AND seq IN (SELECT value FROM json_each(?))",
            (done,),
        ).fetchone()[0]
        age = self._age(tx, now, done)
        return Numbers(stream, session, next_seq, oldest or next_seq, waiting, age, size, dropped)

    def _tell_delivered(self, tx: sqlite3.Connection, where: str, values: tuple[object, ...]) -> None:
        if self._delivered_hook is not None:
            rows = tx.execute(f"SELECT subject FROM outbox WHERE subject IS NOT NULL AND {where}", values)  # noqa: S608
            self._delivered_hook(tx, [subject for (subject,) in rows])

    def _age(self, tx: sqlite3.Connection, now: Stamp, done: str) -> float | None:
        # One index look-up per priority; a plain min(seq) would walk every kept row.
        firsts = [
            tx.execute(
                "SELECT seq FROM outbox WHERE done_boot IS NULL AND priority = ? "
                "AND seq NOT IN (SELECT value FROM json_each(?)) ORDER BY seq LIMIT 1",
                (priority, done),
            ).fetchone()
            for priority in Priority
        ]
        oldest = min((first[0] for first in firsts if first is not None), default=None)
        if oldest is None:
            return None
        same_boot, mono, wall = tx.execute(
            "SELECT boot = ?, mono, wall FROM outbox WHERE seq = ?", (now.boot, oldest)
        ).fetchone()
        here = _wall(now)
        if same_boot:
            return float(max(0.0, round(now.mono - mono, 3)))
        return float(max(0.0, round(here - wall, 3))) if here is not None and wall is not None else None

    def _insert(self, tx: sqlite3.Connection, message: Draft, now: Stamp) -> int:
        stream, seq = tx.execute("SELECT stream, next_seq FROM outbox_state").fetchone()
        publication = message.render(stream, seq)
        head, payload = pack(publication, self._cover if message.picture is not None else None)
        size = ROW_BYTES + len(head) + len(payload)
        tx.execute(
            "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?, ?)",
            (
                seq,
                message.priority,
                message.drop_order,
                message.subject,
                now.boot,
                now.mono,
                _wall(now),
                now.mono,
                checksum(head, payload),
                size,
                head,
                payload,
            ),
        )
        tx.execute(
            "UPDATE outbox_state SET next_seq = next_seq + 1, total = total + 1, waiting = waiting + 1, "
            "bytes = bytes + ?",
            (size,),
        )
        return int(seq)

    def _delete(self, tx: sqlite3.Connection, where: str, values: tuple[object, ...]) -> int:
        count, size, waiting = tx.execute(
            f"SELECT count(*), total(size), count(*) - count(done_boot) FROM outbox WHERE {where}",  # noqa: S608
            values,
        ).fetchone()
        if count:
            tx.execute(f"DELETE FROM outbox WHERE {where}", values)  # noqa: S608
            tx.execute(
                "UPDATE outbox_state SET total = total - ?, waiting = waiting - ?, bytes = bytes - ?",
                (count, waiting, int(size)),
            )
        return int(count)

    def _make_room(self, tx: sqlite3.Connection, now: Stamp) -> None:
        total, size = tx.execute("SELECT total, bytes FROM outbox_state").fetchone()
        if total <= self._max_rows and size <= self._max_bytes:
            return
        rows = total - int(self._max_rows * (1 - ROOM))
        excess = size - int(self._max_bytes * (1 - ROOM))
        delivered, dropped = victims(tx, rows, excess)
        self._delete(tx, "seq IN (SELECT value FROM json_each(?))", (json.dumps(delivered),))
        if dropped:
            _LOG.warning("outbox is full: %d messages dropped with a gap", len(dropped))
            self.drop(tx, dropped, "full", now)

    def _missing(self, tx: sqlite3.Connection) -> Runs:
        """All numbers that were given and have no row."""
        kept = Runs((seq, seq) for (seq,) in tx.execute("SELECT seq FROM outbox ORDER BY seq"))
        (next_seq,) = tx.execute("SELECT next_seq FROM outbox_state").fetchone()
        return Runs(kept.missing(1, next_seq - 1))

    def _tell_gap(self, tx: sqlite3.Connection, dropped: list[tuple[int, int]], why: Why, now: Stamp) -> None:
        """Write gaps for these ranges. A waiting gap that has space is taken up into the new one.

        So a kit that drops for a week keeps few gaps, and they fill no outbox by themselves.
        """
        ranges = gaps.runs(dropped)
        waiting = tx.execute(
            "SELECT seq, crc, head, payload FROM outbox WHERE subject = ? AND done_boot IS NULL "
            "ORDER BY seq DESC LIMIT 1",
            (why,),
        ).fetchone()
        if waiting is not None and checksum(waiting[2], waiting[3]) == waiting[1]:
            earlier = [(first, last) for first, last in Gap.model_validate_json(waiting[3]).ranges]
            merged = gaps.runs([*earlier, (waiting[0], waiting[0]), *ranges])
            if len(merged) <= gaps.RANGES_MAX:
                self._delete(tx, "seq = ?", (waiting[0],))
                ranges = merged
        for body in gaps.bodies(self._topics.kit, ranges, why, now):
            self._insert(tx, draft(self._topics, body), now)


def _wall(stamp: Stamp) -> float | None:
    return datetime.fromisoformat(stamp.ts).timestamp() if stamp.ts else None
