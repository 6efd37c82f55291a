"""What must survive together is written together: a message and the state that it speaks of.

Invariants:
- An event that is open for the platform has a row in `open_events` until its END commits: a process that
  dies leaves it to the next one, which ends it. No END is sent twice, none is forgotten.
- A clip's row, its message and its place in the chain of manifests are one transaction, after the file and
  its manifest are synced.
- An alarm in the alarm book is raised at the broker; it is cleared by whoever finds its cause gone.
- What the disk refuses waits in memory and is tried again; whatever comes after waits behind it, so that
  messages are numbered in the order in which they were said. Bounded: what had to be given up is named in a
  gap, and an END among it is owed by the next start.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from agent.app import alarmbook
from agent.app.deferred import WRITES_MAX, Deferred, Write
from agent.backbone import docket, drafts
from agent.backbone.drafts import DropOrder
from agent.backbone.messages import AlarmClearedBody, origin
from agent.clips import store
from agent.device.clock import Stamp
from agent.doctor.registry import ALARMS
from agent.errors import StorageError
from agent.types import Box, EventChange, Phase

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from concurrent.futures import Future

    from agent.app.reporter import Reporter
    from agent.backbone.docket import AuditLine
    from agent.backbone.drafts import Draft
    from agent.backbone.outbox import Outbox
    from agent.backbone.topics import Topics
    from agent.clips.fragment import Plaintext
    from agent.clips.journal import OpenClip
    from agent.clips.manifest import Notary
    from agent.database import Database
    from agent.device.clock import Clock
    from agent.types import ClipRecord

    Work = Callable[[sqlite3.Connection], object]

T = TypeVar("T")

log = logging.getLogger(__name__)

COMMIT_TIMEOUT_S = 60.0  # a card that syncs a few kilobytes for longer than this has failed
BATCH_S = 1.0  # so long may wait for others to share its sync …
PATIENT = (DropOrder.UPDATE, DropOrder.SNAPSHOT, DropOrder.STAT)  # … what nobody misses for a second
DAY_S = 86_400.0

UNREADABLE = EventChange(
    event=0,
    kind="person",
    phase=Phase.END,
    rev=1_000_000,  # above any that was told before: a lower one is old news
    t=0.0,
    started=0.0,
    ended=0.0,
    score=0.0,
    top_score=0.0,
    count=1,
    box=Box(0.0, 0.0, 1.0, 1.0),
)
"""The least that ends an event of which only the identity can be read."""

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS open_events (
    id TEXT PRIMARY KEY,
    ts0 TEXT,              -- UTC of its start, if known
    last TEXT NOT NULL,    -- Stamp of the change that was published last, JSON
    change TEXT NOT NULL   -- that EventChange, JSON
) STRICT;
"""
    + alarmbook.SCHEMA
)

# In its place: to replace a row would write the page of the table's index, too.
_REMEMBER = """
INSERT INTO open_events VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET ts0 = excluded.ts0, last = excluded.last, change = excluded.change
"""


class Journal:
    """The one way from the stages to the database (a Sink, and the recorder's ClipJournal).

    Safe to call from any thread. It never waits for the disk, but in `opened` and `closed`, where a clip must
    not run ahead of its row.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        reporter: Reporter,
        clock: Clock,
        wake: Callable[[], None],
        notary: Notary,
    ) -> None:
        self._database = database
        self._reporter = reporter
        self._clock = clock
        self._outbox = outbox
        self._wake = wake  # the courier, when there is something to carry
        self._notary = notary
        self._chain = threading.Lock()  # each manifest names the one before it: one at a time
        self._lock = threading.Lock()
        self._begun: deque[float] = deque()
        self._deferred = Deferred()
        self._again = False  # a retry is under way: two at once would write everything twice
        self.refusal: StorageError | None = None
        """Why the disk refused the last write; None when it took it."""
        self.failure: BaseException | None = None
        """An error of ours in a write: the supervisor ends the process for it."""

    def event(self, event: str, change: EventChange, draft: Draft) -> None:
        """See Sink: message and open-event row together."""
        ts0, last = self._clock.stamp(change.started).ts, self._clock.stamp(change.t)
        if change.phase is Phase.NEW:
            with self._lock:
                self._begun.append(change.t)

        def work(tx: sqlite3.Connection) -> None:
            self.append(tx, draft)
            if change.phase is Phase.END:
                tx.execute("DELETE FROM open_events WHERE id = ?", (event,))
            else:
                row = (event, ts0, json.dumps(asdict(last)), json.dumps(asdict(change)))
                tx.execute(_REMEMBER, row)

        self._submit(work, draft)

    def snapshot(self, draft: Draft) -> None:
        """See Sink."""
        self._submit(lambda tx: self.append(tx, draft), draft)

    def stat(self, draft: Draft) -> None:
        """See Sink."""
        self._submit(lambda tx: self.append(tx, draft), draft)

    def alarm(self, code: str, draft: Draft, *, active: bool) -> None:
        """See Sink: message and active-alarm row together."""

        def work(tx: sqlite3.Connection) -> None:
            alarmbook.note(tx, code, draft.body if active else None)
            self.append(tx, draft)

        self._submit(work, draft)

    def repeat_alarms(self, topics: Topics) -> None:
        """Say every raised alarm again, as it was said: the broker has forgotten what it retained."""

        def work(tx: sqlite3.Connection) -> None:
            for body in alarmbook.raised(tx):
                self.append(tx, drafts.draft(topics, body))

        self._submit(work)

    def leave(self, before: Topics, here: Topics) -> None:
        """Clear the alarms that are retained under the topics of the last start, and hold no more.

        Those that were raised when the kit was moved; all that there are when the database is a new one, for
        then nobody knows which were. To be called before anything else is said.

        Raises:
            StorageError: the disk refuses.
        """
        now = self._clock.stamp()

        def work(tx: sqlite3.Connection) -> None:
            unknown = self._outbox.numbers(tx, now).seq_next == 1
            raised = alarmbook.codes(tx) | ALARMS.keys() if unknown else alarmbook.codes(tx)
            for code in sorted(raised) if unknown or before != here else ():
                body = AlarmClearedBody(**origin(here.kit, now), code=code)
                self.append(tx, drafts.draft(before, body))

        self.ask(work)

    def audit(self, line: AuditLine) -> None:
        """Add to the account of what the platform has ordered."""
        self._submit(lambda tx: docket.audit(tx, line, self._clock.stamp()))

    @property
    def lost(self) -> int:
        """Writes given up since the start because the disk refused for too long."""
        with self._lock:
            return self._deferred.lost

    @property
    def deferred(self) -> int:
        """Writes that wait in memory because the disk refuses."""
        with self._lock:
            return len(self._deferred)

    def left_alarms(self) -> set[str]:
        """The alarms that an earlier process left raised."""
        return self.ask(alarmbook.codes)

    @property
    def events_24h(self) -> int:
        """Events begun in the last 24 hours by this process."""
        with self._lock:
            while self._begun and self._begun[0] < self._clock.mono() - DAY_S:
                self._begun.popleft()
            return len(self._begun)

    @property
    def last_event(self) -> float | None:
        """When the last event of this process was said to begin, None if there was none in 24 hours."""
        with self._lock:
            return self._begun[-1] if self._begun else None

    def opened(self, clip: OpenClip) -> None:
        """A clip is about to be written: its intent is on disk when this returns (ClipJournal)."""
        self.ask(lambda tx: store.begin_clip(tx, clip))

    def closed(self, clip: ClipRecord, plain: Plaintext | None) -> None:
        """A clip is complete and synced: it is signed, then row and message commit together (ClipJournal).

        Without `plain` it was signed before, in a chain that ended there maybe, and lost its row.
        """
        if plain is None:
            self._enter(clip, lambda _: None)
            return
        with self._chain:
            last = self.ask(store.chain_end)
            signed = self._notary.attest(clip, plain, last)
            self._enter(signed, lambda tx: store.extend_chain(tx, last, signed.manifest))

    def recover(self) -> None:
        """End the events that an earlier run left open."""
        for event, change, draft in self.ask(self._left_open):
            log.warning("event %s was open when the agent stopped: it ends with its last evidence", event)
            self.event(event, change, draft)

    def ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a unit of work and wait for it.

        Raises:
            StorageError: the disk refused, or did not answer.
        """
        answer = self._database.ask(work, COMMIT_TIMEOUT_S)
        self._wake()
        return answer

    def submit(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Run a unit of work without waiting for it; nobody misses it if the disk refuses.

        Raises:
            StorageError: the database was closed.
        """
        self._database.submit(work)

    def append(self, tx: sqlite3.Connection, draft: Draft) -> int:
        """Put a message into the outbox within a unit of work; its number."""
        return self._outbox.append(tx, draft, self._clock.stamp())

    def retry(self) -> None:
        """Try again what the disk refused, in order, a part of it in each transaction."""
        with self._lock:
            if self._again:
                return
            if not self._deferred and not self._deferred.untold:
                self.refusal = None
                return
            future = self._database.submit(self._write_deferred)
            self._again = True
        future.add_done_callback(self._deferred_written)

    def drain(self, timeout_s: float) -> None:
        """Write what waits for the disk, before a stop; what it still refuses goes with the process."""
        until, before = time.monotonic() + timeout_s, WRITES_MAX + 1
        with contextlib.suppress(StorageError):
            while 0 < self.deferred < before and (left := until - time.monotonic()) > 0:
                before = self.deferred
                self.retry()
                self._database.ask(lambda _: None, left)

    def _write_deferred(self, tx: sqlite3.Connection) -> int:
        """Write a part of what waits; how many of the lost were named in a gap."""
        with self._lock:
            writes, untold = self._deferred.take(), self._deferred.untold
        for write in writes:
            write.work(tx)
        if untold:
            self._outbox.skip(tx, untold, "refused", self._clock.stamp())
        return untold

    def _deferred_written(self, done: Future[int]) -> None:
        error = done.exception()
        with self._lock:
            self._again = False
            self._deferred.settle(written=error is None, told=0 if error else done.result())
            if isinstance(error, StorageError):
                self.refusal = error
            elif error is not None:
                self.failure = error
        if error is None:
            self._wake()
            with contextlib.suppress(StorageError):  # closed meanwhile
                self.retry()  # what is left, and what came meanwhile and stands behind it

    def _enter(self, clip: ClipRecord, besides: Work) -> None:
        draft = self._reporter.clip(clip)

        def work(tx: sqlite3.Connection) -> None:
            store.finish_clip(tx, clip)
            besides(tx)
            self.append(tx, draft)

        self.ask(work)
        self._notary.entered(clip)

    def _left_open(self, tx: sqlite3.Connection) -> list[tuple[str, EventChange, Draft]]:
        """Each event that an earlier run left open, with the END that it is owed."""
        owed = []
        rows = tx.execute("SELECT id, ts0, last, change FROM open_events ORDER BY rowid").fetchall()
        for event, ts0, last, change in rows:
            try:
                end, stamp = _end(json.loads(change)), Stamp(**json.loads(last))
                draft = self._reporter.ended_by_restart(event, end, ts0, stamp)
            except (ValueError, TypeError, KeyError) as error:  # of another version of the agent
                log.error("event %s was left open and cannot be read: %r", event, error)  # noqa: TRY400
                end = UNREADABLE
                draft = self._reporter.ended_by_restart(event, end, None, self._clock.stamp())
            owed.append((event, end, draft))
        return owed

    def _submit(self, work: Work, draft: Draft | None = None) -> None:
        """Have `work` done, which says what `draft` says, or what is kept already."""

        def in_turn(tx: sqlite3.Connection) -> None:
            with self._lock:
                refusal = self.refusal if self._deferred else None
            if refusal is not None:
                problem, fix = refusal.words
                raise StorageError(problem, fix=fix, errno=refusal.errno)
            work(tx)

        def check(done: Future[None]) -> None:
            error = done.exception()
            if isinstance(error, StorageError):
                self._defer(Write(work, draft), error)
            elif error is not None:
                self.failure = error
            else:
                self._wake()

        within_s = BATCH_S if draft is not None and draft.drop_order in PATIENT else 0.0
        self._database.submit(in_turn, within_s=within_s).add_done_callback(check)

    def _defer(self, write: Write, error: StorageError) -> None:
        with self._lock:
            self.refusal = error
            before = self._deferred.lost
            self._deferred.add(write)
            first = before == 0 < self._deferred.lost
        if first:
            log.error("a message is given up, and more may be: %s", error)


def _end(last: dict[str, Any]) -> EventChange:
    """The END after the change that was published last: its time is the last evidence known."""
    last |= {
        "phase": Phase.END,
        "rev": last["rev"] + 1,
        "ended": last["t"],
        "box": Box(**last["box"]),
        "zones": tuple(last["zones"]),
    }
    return EventChange(**last)
