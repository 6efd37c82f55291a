"""The courier's hand in the outbox: takes out what may go, writes down what was delivered, keeps house.

Owned by the courier's thread. Every method may raise StorageError when the disk refuses, and TimeoutError
when the writer is dead.
"""

from __future__ import annotations

import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from agent.backbone.candidates import Wanted
from agent.backbone.messages import Ack
from agent.errors import StorageError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection
    from concurrent.futures import Future

    from agent.backbone.outbox import Numbers, Outbox, Row
    from agent.backbone.wire import Wire
    from agent.database import Database
    from agent.device.clock import Clock

T = TypeVar("T")

MARK_AFTER_S = 0.5  # what was delivered is handed to the writer together
MARK_AT = 50
# What was delivered is on disk this late, unless a message comes before and shares its sync: the next step of
# an event mostly does. What a power cut undoes of it is sent again.
LINGER_S = 10.0
DATABASE_S = 60.0  # a worn card may take seconds for a sync; a writer that is silent for a minute is dead
PURGE_S = 3600.0
NUMBERS_S = 5.0

_LOG = logging.getLogger(__name__)


class Clerk:
    """What `wire` says is delivered goes into the books; with `watermark`, what the platform confirms."""

    def __init__(
        self, database: Database, outbox: Outbox, clock: Clock, wire: Wire, *, watermark: bool
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._wire = wire
        self._watermark = watermark
        self._ack: Ack | None = None
        self._handed: set[int] = set()  # delivered, and on their way to the disk
        self._bookings: deque[tuple[Future[bool], Callable[[bool], bool]]] = deque()
        self._next_purge = self._next_numbers = 0.0
        self.numbers: Numbers | None = None
        """The outbox a few seconds ago; None until it was opened."""
        self.delivered = 0
        """Rows written down as delivered, of those that this process sent."""

    @property
    def known(self) -> Numbers:
        """The outbox a few seconds ago, which must have been opened."""
        if self.numbers is None:
            raise RuntimeError("the outbox was not opened")
        return self.numbers

    @property
    def busy(self) -> bool:
        """Whether there is something to write down soon."""
        return self._ack is not None or (not self._watermark and len(self._wire.settled) > len(self._handed))

    def open(self) -> int:
        """Begin or continue the stream; the number of the last session."""
        self._ask(self._outbox.open_stream)
        return self._count().session

    def begin(self, session: int) -> None:
        """Note the number of the connection that was just made."""
        self._ask(lambda tx: self._outbox.save_session(tx, session))
        self._count()

    def heard(self, payload: bytes) -> None:
        """A message on `ack`. One that is none, or behind the last one, changes nothing."""
        if not self._watermark:  # the broker remembers a subscription of before the settings were changed
            return
        try:
            ack = Ack.model_validate_json(payload)
        except ValidationError as error:
            _LOG.warning("ack: %s", error)
            return
        if self._ack is None or ack.stream != self._ack.stream or ack.seq > self._ack.seq:
            self._ack = ack

    def settle(self, now: float, *, at_once: bool = False) -> bool:
        """Write down what was delivered; whether rows may be free again for it.

        With `at_once` it is on disk on return.
        """
        if self._watermark:
            more = self._confirm(now)
        else:
            more = False
            self._mark(now, at_once=at_once)
        if at_once and self._bookings:
            self._ask(lambda _: None)  # nothing lingers behind it
        while self._bookings and (at_once or self._bookings[0][0].done()):
            future, then = self._bookings.popleft()
            try:
                more |= then(future.result(DATABASE_S))
            except StorageError:
                self._handed.clear()  # they are written down again; twice does no harm
                raise
        return more

    def keep_house(self, now: float) -> None:
        """Delete what was kept long enough, and count, each in its own time."""
        if now >= self._next_purge:
            self._ask(lambda tx: self._outbox.purge(tx, self._clock.stamp()))
            self._next_purge = now + PURGE_S
        if now >= self._next_numbers:
            self._count()
            self._next_numbers = now + NUMBERS_S

    def candidates(self, now: float, room: int, replay_room: int) -> list[Row]:
        """What to send next, at most `room` rows, `replay_room` of the backlog among them."""
        wire = self._wire
        wanted = Wanted(room, replay_room, wire.mark, busy=wire.busy(now), settled=wire.settled)
        while True:
            pick = self._look(lambda tx: self._outbox.pick(tx, wanted))
            if not pick.corrupt and not pick.gone:
                return pick.rows
            self._ask(partial(self._outbox.give_up, pick=pick, now=self._clock.stamp()))

    def give_up_too_large(self, seqs: Collection[int]) -> None:
        """Drop rows that the broker cannot take, and say so in a gap."""
        self._ask(lambda tx: self._outbox.drop(tx, seqs, "too-large", self._clock.stamp()))

    def _mark(self, now: float, *, at_once: bool) -> None:
        seqs = [seq for seq in self._wire.settled if seq not in self._handed]
        if not seqs or not (at_once or len(seqs) >= MARK_AT or self._wire.settled_for(now) >= MARK_AFTER_S):
            return
        self._handed.update(seqs)

        def work(tx: sqlite3.Connection) -> bool:
            self._outbox.delivered(tx, seqs, self._clock.stamp())
            return False

        def then(more: bool) -> bool:  # noqa: FBT001 - the answer of `work`
            self._wire.marked(seqs)
            self._handed.difference_update(seqs)
            self.delivered += len(seqs)
            return more

        self._book(work, then, at_once=at_once or len(seqs) >= MARK_AT)

    def _confirm(self, now: float) -> bool:
        if self._ack is not None:
            stream, seq = self._ack.stream, self._ack.seq
            self._ack = None
            given = max(self.known.seq_next - 1, *self._wire.settled, 0)
            if stream == self.known.stream and seq <= given:
                self._wire.progressed(seq, now)
            confirmed = {known for known in self._wire.settled if known <= seq} - self._handed
            self._handed.update(confirmed)

            def then(ours: bool) -> bool:  # noqa: FBT001 - the answer of `watermark`
                if ours:
                    self._wire.progressed(seq, now)
                    self._wire.confirmed(seq)
                    self.delivered += len(confirmed)
                self._handed.difference_update(confirmed)
                return ours

            def work(tx: sqlite3.Connection) -> bool:
                return self._outbox.watermark(tx, stream, seq)

            self._book(work, then, at_once=len(confirmed) >= MARK_AT)
        if self._wire.resend(self.known.seq_next, now):
            _LOG.info("the platform confirmed nothing for a while; sending again")
            return True
        return False

    def _book(
        self,
        work: Callable[[sqlite3.Connection], bool],
        then: Callable[[bool], bool],
        *,
        at_once: bool,
    ) -> None:
        """Hand work to the writer; `then` gets its answer in the courier's thread."""
        within_s = 0.0 if at_once else LINGER_S
        self._bookings.append((self._database.submit(work, within_s=within_s), then))

    def _count(self) -> Numbers:
        taken = self._handed if self._watermark else self._wire.settled
        self.numbers = self._look(lambda tx: self._outbox.numbers(tx, self._clock.stamp(), taken))
        return self.numbers

    def _ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a unit of work and wait for it."""
        return self._database.submit(work).result(DATABASE_S)

    def _look(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Read, and wait for it."""
        return self._database.look(work).result(DATABASE_S)
