"""The courier's hand in the outbox: takes out what may go, writes down what was delivered, keeps house.

Owned by the courier's thread. Every method may raise StorageError when the disk refuses, and TimeoutError
when the writer is dead.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from agent.backbone.messages import Ack

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection

    from agent.backbone.outbox import Numbers, Outbox, Row
    from agent.backbone.wire import Wire
    from agent.database import Database
    from agent.device.clock import Clock

T = TypeVar("T")

MARK_AFTER_S = 0.5  # acknowledged rows are marked together: one sync of the card instead of many
MARK_AT = 50
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
        self._next_purge = self._next_numbers = 0.0
        self.numbers: Numbers | None = None
        """The outbox a few seconds ago; None until it was opened."""

    @property
    def known(self) -> Numbers:
        """The outbox a few seconds ago, which must have been opened."""
        if self.numbers is None:
            raise RuntimeError("the outbox was not opened")
        return self.numbers

    @property
    def busy(self) -> bool:
        """Whether there is something to write down soon."""
        return bool(self._wire.settled) or self._ack is not None

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
        """Write down what was delivered; whether rows may be free again for it."""
        if self._watermark:
            return self._confirm(now)
        seqs = self._wire.settled
        if seqs and (at_once or len(seqs) >= MARK_AT or self._wire.settled_for(now) >= MARK_AFTER_S):
            self._ask(lambda tx: self._outbox.delivered(tx, seqs, self._clock.stamp()))
            self._wire.marked(seqs)
        return False

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
        busy, settled, mark = self._wire.busy(now), self._wire.settled, self._wire.mark
        return self._ask(
            lambda tx: self._outbox.candidates(
                tx,
                self._clock.stamp(),
                busy=busy,
                settled=settled,
                mark=mark,
                room=room,
                replay_room=replay_room,
            )
        )

    def give_up_too_large(self, seqs: Collection[int]) -> None:
        """Drop rows that the broker cannot take, and say so in a gap."""
        self._ask(lambda tx: self._outbox.drop(tx, seqs, "too-large", self._clock.stamp()))

    def _confirm(self, now: float) -> bool:
        more = False
        if self._ack is not None:
            stream, seq = self._ack.stream, self._ack.seq
            if self._ask(lambda tx: self._outbox.watermark(tx, stream, seq)):
                self._wire.confirmed(seq, now)
                more = True
            self._ack = None
        if self._wire.resend(self.known.seq_next, now):
            _LOG.info("the platform confirmed nothing for a while; sending again")
            more = True
        return more

    def _count(self) -> Numbers:
        self.numbers = self._ask(lambda tx: self._outbox.numbers(tx, self._clock.stamp()))
        return self.numbers

    def _ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a unit of work and wait for it."""
        return self._database.submit(work).result(DATABASE_S)
