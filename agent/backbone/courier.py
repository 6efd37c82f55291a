"""Carries messages from the outbox to the broker, and the kit's presence with them.

Invariants:
- A row is sent only after it was on disk, and forgotten only once delivered: `delivery = "puback"` takes the
  broker's word, `"watermark"` the platform's. A PUBACK that says "no subscriber" (0x10) or refuses (0x80 and
  up) is no delivery.
- At most min(20, the broker's Receive Maximum) messages are unacknowledged.
- Every connection begins with a birth; a wanted end says `stopped` first.
- The news goes before the backlog, and the backlog is paced. Answers go before both, and take half of the
  window at most.
- If the thread dies, `alive` turns False and `error` says why; the process is then to end.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.backbone.answers import Answer, Answers
from agent.backbone.causes import Cause
from agent.backbone.clerk import Clerk
from agent.backbone.delivery import Delivery
from agent.backbone.link import Acked, Connected, Disconnected, Granted, Link, LinkEvent, Received
from agent.backbone.wire import FIRST_REFUSAL, NOBODY_LISTENS, Wire
from agent.errors import StorageError
from agent.thread import NamedThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.backbone.delivery import Ears, Greet, Presence
    from agent.backbone.outbox import Numbers, Outbox
    from agent.backbone.publication import Publication
    from agent.backbone.topics import Topics
    from agent.config import Backbone
    from agent.database import Database
    from agent.device.clock import Clock

REPLAY_PER_S = 20.0  # of each kit after an outage: a thousand kits at once are what one broker core can take
POLL_S = 1.0  # how long a wake() that never came goes unnoticed
PACE_S = 0.1  # how often the backlog is looked at while it is paced, or something waits to be marked
STORAGE_RETRY_S = 5.0
LINK_WORD_S = (
    120.0  # within it a try ends: 20 s for TCP and TLS, 20 s for the answer, the rest for the resolver
)
LINK_END_S = 2.0  # the network thread sees a stop after half a second, and says goodbye within one
WAITING_MAX = 1000  # acks and answers not yet handled: a flood must not fill the memory
ACK_MAX = 1024  # bytes; an ack has some sixty, and later fields want room
ANSWER_S = 600.0  # nobody waits longer for one

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Resend:
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Closing:
    why: str
    half: float
    end: float


class Courier:
    """The pump between the outbox and the broker; its methods never wait, but for `close`.

    `ears` get what comes on their topics; the watermark is the courier's own. `greet` is called for each new
    connection, in the courier's thread, once the birth is on its way, and must not block; `forgotten`: the
    broker does not know any more what was said on earlier ones. `fresh`: see Link.

    Raises:
        ConfigError: a TLS or password file cannot be used.
    """

    def __init__(
        self,
        settings: Backbone,
        topics: Topics,
        database: Database,
        outbox: Outbox,
        clock: Clock,
        presence: Presence,
        ears: Ears | None = None,
        *,
        greet: Greet | None = None,
        fresh: bool = False,
        replay_per_s: float = REPLAY_PER_S,
    ) -> None:
        self._watermark = settings.delivery == "watermark"
        self._topics = topics
        self._clock = clock
        self._presence = presence
        self._ears = ears
        self._filters = (*((topics.ack,) if self._watermark else ()), *(ears.filters if ears else ()))
        self._wire = Wire(watermark=self._watermark, replay_per_s=replay_per_s)
        self._clerk = Clerk(database, outbox, clock, self._wire, watermark=self._watermark)
        self._answers = Answers()
        self._events: queue.SimpleQueue[LinkEvent | Answer | _Resend | None] = queue.SimpleQueue()
        self._greet = greet
        self._link = Link(settings, topics.kit, presence.will, self._hear, fresh=fresh)
        self._thread = NamedThread("courier", self._run)
        self._woken = threading.Event()
        self._announce = threading.Event()
        self._closing: _Closing | None = None
        self._session: int | None = None
        self._born: int | None = None  # the session whose birth went out
        self._max_packet: int | None = None
        self._more = True
        self._next_poll = self._storage_until = 0.0
        self._word_by: float | None = None  # when the network thread must have said how its try ended
        self.busy_since: float | None = None
        """Since when (the clock's mono) the turn under way goes on; None while there is none."""
        self.delivery = Delivery()
        self.error: Exception | None = None

    @property
    def alive(self) -> bool:
        """Whether the thread runs; once started, False means that the process must end."""
        return self._thread.is_alive()

    @property
    def numbers(self) -> Numbers | None:
        """The outbox a few seconds ago; None until it was opened."""
        return self._clerk.numbers

    def start(self) -> None:
        """Open the stream, connect, and carry."""
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the outbox."""
        if not self._woken.is_set():
            self._woken.set()
            self._events.put(None)

    def announce(self) -> None:
        """Publish the birth again, for what it says has changed (the clock was set)."""
        self._announce.set()
        self.wake()

    def pass_on(self, publication: Publication) -> bool:
        """Send a message that is worth nothing later (a heartbeat) at once; False if it went nowhere.

        It goes after the birth of this connection, never before it.
        """
        session = self._born
        return session is not None and self._link.publish(publication, session) is not None

    def answer(
        self,
        publication: Publication,
        after_s: float = 0.0,
        taken: Callable[[], object] | None = None,
    ) -> None:
        """Send an answer, `after_s` from now; it is lost with the process, or when nobody can take it.

        `taken` is called in the courier's thread once the broker has it.
        """
        if self._events.qsize() > WAITING_MAX:  # the disk hangs, and orders go on coming
            _LOG.warning("an answer was dropped: too much waits")
            return
        due = time.monotonic() + after_s
        self._events.put(Answer(publication, due, due + ANSWER_S, taken))

    def resend(self, first: int, last: int) -> None:
        """Send what the broker took of these numbers again; those of the outbox must be due again already."""
        self._events.put(_Resend(first, last))

    def close(self, why: str, timeout_s: float) -> bool:
        """Deliver what can be delivered, say `stopped`, disconnect; whether the thread ended in time.

        Half of the time belongs to the rows, the rest to the farewell.
        """
        self._woken.set()  # before the rest: what was appended last is looked for once more
        now = time.monotonic()
        self._closing = _Closing(why, half=now + timeout_s / 2, end=now + timeout_s)
        self._events.put(None)
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s + LINK_END_S)
        return not self._thread.is_alive()

    def _hear(self, event: LinkEvent) -> None:
        """The link's sink, in its thread."""
        if not isinstance(event, Received):
            self._events.put(event)
        elif event.topic != self._topics.ack:
            if self._ears is not None:
                self._ears.put(event)
        elif len(event.payload) > ACK_MAX or self._events.qsize() > WAITING_MAX:
            _LOG.warning("an ack of %d bytes was dropped: too long, or too many", len(event.payload))
        else:
            self._events.put(event)

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:  # noqa: BLE001 - top of the thread: the supervisor sees it and ends us
            _LOG.exception("the courier died")
            self.error = error
        finally:
            self.busy_since = None
            self._link.close(LINK_END_S)

    def _serve(self) -> None:
        self._link.start(self._clerk.open() + 1)
        self._word_by = time.monotonic() + LINK_WORD_S
        while self._closing is None or not self._drained(self._closing):
            self._turn()
        self._farewell(self._closing)

    def _turn(self) -> None:
        """Wait for something to happen, and do what follows from it."""
        self.busy_since = self._clock.mono()
        self._take_events()
        if not self._link.alive:
            raise self._link.error or RuntimeError("the network thread ended by itself")
        now = time.monotonic()
        if self._word_by is not None and now > self._word_by:
            raise RuntimeError("the network thread hangs")
        if self._session is not None and self._wire.stalled(now):
            self._link.reset(Cause.STALLED, self._session)
            self._word_by = self._word_by or now + LINK_WORD_S
        self._answer(now)  # whatever the disk does: a kit in trouble must obey still
        if now < self._storage_until:
            return
        try:
            self._more |= self._clerk.settle(now)
            self._clerk.keep_house(now)
            if self._session is not None:
                self._pump(now)
        except StorageError as error:
            if not self.delivery.storage:
                _LOG.warning("outbox: %s", error)
            self.delivery = replace(self.delivery, storage=error.problem)
            self._storage_until = now + STORAGE_RETRY_S
        else:
            delivered = self._clerk.delivered
            self.delivery = replace(self.delivery, storage="", rtt_ms=self._wire.rtt_ms, delivered=delivered)

    def _take_events(self) -> None:
        busy = self._more or self._clerk.busy or self._closing is not None
        timeout: float | None = PACE_S if busy else POLL_S
        try:
            while True:
                event = self._events.get(timeout=timeout) if timeout else self._events.get_nowait()
                timeout = None
                if event is not None:
                    self._handle(event)
        except queue.Empty:
            pass
        if self._woken.is_set():
            self._woken.clear()
            self._more = True
        if self._announce.is_set() and self._session is not None:
            self._announce.clear()
            self._be_born(self._session)

    def _handle(self, event: LinkEvent | Answer | _Resend) -> None:
        match event:
            case Answer():
                self._answers.put(event)
            case _Resend(first, last):
                self._wire.free(first, last, self._clerk.known.seq_next)
                self._more = True
            case Connected():
                self._begin(event)
            case Disconnected(cause, detail, retry_s):
                level = logging.WARNING if cause is not self.delivery.cause else logging.DEBUG
                _LOG.log(level, "broker: %s (%s); next try in %.0f s", cause, detail, retry_s)
                self._session = self._born = None
                self._word_by = time.monotonic() + retry_s + LINK_WORD_S
                self._wire.disconnected()
                self._answers.disconnected()
                self.delivery = replace(
                    self.delivery, connected=False, cause=cause, detail=detail, rtt_ms=None
                )
            case Acked(token, reason):
                self._acked(token, reason)
            case Granted(reasons):
                for pattern, reason in zip(self._filters, reasons, strict=False):
                    if reason >= FIRST_REFUSAL:
                        _LOG.error("the broker refuses our subscription to %s", pattern)
            case Received(_, payload):
                self._clerk.heard(payload)

    def _begin(self, connection: Connected) -> None:
        """A connection: say that we are there, listen, and start on the backlog."""
        session = connection.session
        _LOG.info("connected to the broker (session %d)", session)
        self._session, self._max_packet = session, connection.max_packet
        self._word_by = None
        self.delivery = replace(self.delivery, connected=True, cause=None, detail="")
        try:
            self._clerk.begin(session)
        except StorageError as error:  # a birth with older numbers is better than none
            _LOG.warning("outbox: %s", error)
        self._wire.connected(connection.window, self._clerk.known.seq_next, time.monotonic())
        self._be_born(session)
        if self._filters:
            self._link.subscribe(*self._filters)
        if self._greet is not None:
            self._greet(forgotten=session > 1 and not connection.resumed)
        self._more = True

    def _be_born(self, session: int) -> None:
        token = self._link.publish(self._presence.birth(session, self._clerk.known), session)
        if token is not None:
            self._born = session
            self._wire.sent(token, None, time.monotonic())

    def _acked(self, token: int, reason: int) -> None:
        self._answers.acked(token, refused=reason >= FIRST_REFUSAL)
        answer = self._wire.acked(token, reason, time.monotonic())
        if answer is None:
            return
        if reason >= FIRST_REFUSAL:
            if self.delivery.refusal != reason:
                _LOG.error("the broker refuses what we publish, reason code 0x%02x", reason)
            self.delivery = replace(self.delivery, refused=self.delivery.refused + 1, refusal=reason)
        elif reason == NOBODY_LISTENS:
            self.delivery = replace(self.delivery, unheard=self.delivery.unheard + 1)
        elif answer.seq is not None:
            self.delivery = replace(self.delivery, taken=self.delivery.taken + 1)
            self._more = True  # another of the same subject may have waited for this one

    def _answer(self, now: float) -> None:
        """Send the answers that are due."""
        if self._session is None:
            return
        for answer in self._answers.take(now, (self._wire.answer_room + 1) // 2):
            if self._too_large(answer.publication):
                _LOG.error("the broker takes %s bytes at most; an answer was dropped", self._max_packet)
                continue
            token = self._link.publish(answer.publication, self._session)
            if token is None:
                self._answers.put(answer)
            else:
                self._wire.sent(token, None, time.monotonic())
                self._answers.sent(token, answer)

    def _pump(self, now: float) -> None:
        """Send what may be sent."""
        room = self._wire.room(now)
        if not room or not (self._more or now >= self._next_poll):
            return
        replay_room = self._wire.replay_room(now)
        mark = self._wire.mark
        rows = self._clerk.candidates(now, room, replay_room)
        self._next_poll = now + POLL_S
        backlog = sum(row.seq < mark for row in rows)
        self._more = len(rows) >= room or (backlog >= replay_room and not self._wire.backlog_held)
        oversize = [row.seq for row in rows if self._too_large(row.publication)]
        for row in rows:
            if row.seq not in oversize:
                token = self._link.publish(row.publication, self._session)
                if token is None:  # the link went down meanwhile, and will say so
                    break
                self._wire.sent(token, row.seq, time.monotonic(), retained=row.publication.retain)
        if oversize:
            _LOG.error("the broker takes %s bytes at most; messages %s dropped", self._max_packet, oversize)
            self._clerk.give_up_too_large(oversize)

    def _too_large(self, publication: Publication) -> bool:
        return self._max_packet is not None and publication.packet_bytes > self._max_packet

    def _drained(self, closing: _Closing) -> bool:
        """Whether the farewell may begin: all is delivered, or half of the time is gone."""
        now = time.monotonic()
        if self._session is None or now >= closing.half:
            return True
        waiting = self._woken.is_set() or self._more or not self._answers.idle(now)
        return not waiting and self._wire.idle

    def _farewell(self, closing: _Closing) -> None:
        if self._session is not None:
            stopped = self._presence.stopped(self._session, closing.why, self._clerk.known.stream)
            token = self._link.publish(stopped, self._session)
            if token is not None:
                self._wire.sent(token, None, time.monotonic())
            while self._wire.in_flight(token) and time.monotonic() < closing.end:
                self._take_events()
        try:
            self._clerk.settle(time.monotonic(), at_once=True)
        except StorageError as error:  # they will be sent again: a duplicate is harmless
            _LOG.warning("outbox: %s", error)
