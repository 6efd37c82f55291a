"""Orders from the backbone: judged, noted, done once, answered.

Invariants:
- What is not a whole, known, fitting, wanted order gets one answer, `rejected` with its reason, and changes
  nothing.
- An order is on disk before it is `accepted`, and it is accepted before it is begun. It is begun at most
  once: a repetition is answered `duplicate`, and what a crash cut off `failed`, unless others finish it.
- What changes the kit or reveals something has a valid signature of the platform, for this very topic, whose
  time is not over and whose nonce is new.
- An order for a whole district is answered, and done, after a random time.
- Each order leaves a line in the journal (logger "audit") and in the audit of `docket`.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from agent.backbone import docket
from agent.backbone.allowance import Allowance
from agent.backbone.docket import Entry, Outcome
from agent.backbone.envelope import encode
from agent.backbone.examination import Envelope, Given, Refused, examine
from agent.backbone.fields import TEXT_MAX
from agent.backbone.lane import Lane
from agent.backbone.messages import origin
from agent.backbone.orders import LIFE_MAX_S, ORDERS, Args, Refusal, Response
from agent.backbone.publication import Publication
from agent.backbone.signed import Flaw, Keyring, lapsed
from agent.errors import StairwellError, StorageError

if TYPE_CHECKING:
    import sqlite3
    import threading
    from collections.abc import Callable, Iterable, Mapping

    from agent.backbone.link import Received
    from agent.backbone.topics import Topics
    from agent.database import Database
    from agent.device.clock import Clock, Stamp

A = TypeVar("A", bound=Args)

GROUP_S = 60.0  # the answers of a district's kits spread over this: a thousand at once stall a broker
EXPIRY_S = 600  # of an answer at the broker; nobody waits longer
DATABASE_S = 60.0  # a card that syncs a few hundred bytes for longer has failed
UNSIGNED_BURST, UNSIGNED_PER_S = 60.0, 1.0  # anybody at the broker may give them, and each is a write
REJECTED_BURST, REJECTED_PER_S = 60.0, 1 / 60  # lines of the audit: a flood is told by its beginning
END_S = 2.0  # what takes long sees a stop within half a second

_LOG = logging.getLogger(__name__)
_AUDIT = logging.getLogger("audit")
_AUDIT.setLevel(logging.INFO)  # whatever `log.level` leaves out: an account has no gaps

_TOO_LATE = {
    Flaw.CLOCK_UNSET: "the kit's clock was never set, so it cannot tell whether this is meant still",
    Flaw.EXPIRED: "its time is over by the kit's clock",
    Flaw.LIVES_TOO_LONG: f"exp may lie {LIFE_MAX_S:.0f} s ahead of the kit's clock at most",
}
_FORGOTTEN = "its time is not after that of orders which the kit has forgotten: it may have been done"
INTERRUPTED = Outcome(
    ok=False, code="interrupted", text="the agent ended meanwhile; whether it took effect is unknown"
)


@dataclass(frozen=True, slots=True)
class Job:
    """What an executor is given: the arguments, whom to tell how far it is (0..1), when to give up."""

    req: str
    args: Args
    progress: Callable[[float], None]
    stopping: threading.Event

    def said(self, kind: type[A]) -> A:
        """The arguments, which are of this kind."""
        if not isinstance(self.args, kind):
            raise TypeError(f"arguments of {type(self.args).__name__}, not of {kind.__name__}")
        return self.args


Executor = "Callable[[Job], Outcome | None]"
"""Does one kind of order. None when it ends the process: the next one then tells what came of it. It may
raise StairwellError, which is a failure with its text. One that is slow ends soon after `stopping` is set."""


class Commands:
    """The kit's obedience. `handle` is for the inbox; `answer` sends a publication after some seconds.

    `executors` has one for each of ORDERS. `resumed` has one for each kind that outlives the process: it is
    given what an earlier one left under way, without its arguments, and tells what came of it. If `error` is
    set, a fault of ours has ended a thread, and the process is to end.

    Raises:
        ValueError: a key is none, or an executor is missing.
    """

    def __init__(
        self,
        topics: Topics,
        keys: Iterable[str],
        database: Database,
        clock: Clock,
        answer: Callable[[Publication, float], None],
        executors: Mapping[str, Callable[[Job], Outcome | None]],
        resumed: Mapping[str, Callable[[Job], Outcome | None]],
    ) -> None:
        if executors.keys() != ORDERS.keys():
            raise ValueError(f"executors: {sorted(executors.keys() ^ ORDERS.keys())}")
        self._topics = topics
        self._keyring = Keyring(keys)
        self._database = database
        self._clock = clock
        self._publish = answer
        self._executors = executors
        self._resumed = resumed
        self._unsigned = Allowance(UNSIGNED_BURST, UNSIGNED_PER_S)
        self._rejected = Allowance(REJECTED_BURST, REJECTED_PER_S)
        self._passed_over = 0
        self._random = random.Random()  # noqa: S311 - it spreads load, it guards nothing
        self._quick = Lane("orders")
        self._slow = {name: Lane(name.replace("/", "-")) for name, kind in ORDERS.items() if kind.slow}
        self._alone: set[str] = set()  # kinds of which one is under way, and no other may be
        self._lanes = (self._quick, *self._slow.values())

    @property
    def filters(self) -> tuple[str, ...]:
        """The topics that commands come on."""
        return self._topics.cmd("#"), self._topics.group_cmd("#")

    @property
    def error(self) -> Exception | None:
        """What ended a thread."""
        return next((lane.error for lane in self._lanes if lane.error is not None), None)

    def start(self) -> None:
        """Answer what an earlier process left unanswered or go on with it, and begin.

        Raises:
            StorageError: the disk refuses.
        """
        for envelope, outcome in self._database.ask(self._end_left, DATABASE_S):
            if outcome is None:
                self._resume(envelope)
                continue
            self._say(docket.asked(envelope, outcome.status, outcome.code, outcome.text))
            self._answer(envelope, **_result(outcome))
        for lane in self._lanes:
            lane.start()

    def close(self) -> bool:
        """End; what is not done by then is answered at the next start. Whether all ended in time."""
        for lane in self._lanes:
            lane.stopping.set()  # all at once, for END_S is for them together
        end = time.monotonic() + END_S
        ended = [lane.close(max(0.0, end - time.monotonic())) for lane in self._lanes]
        return all(ended)

    def handle(self, received: Received) -> None:
        """Judge a message, and have it done if it is an order. In one thread; never raises for a message."""
        examined = examine(received, self._topics, self._keyring)
        envelope = examined.envelope
        judged: Given | Refused | Entry = examined
        if isinstance(examined, Given):
            try:
                judged = self._admit(examined)
            except StorageError as error:
                judged = Refused(envelope, Refusal.STORAGE, error.problem)
        after_s = self._random.uniform(0, GROUP_S) if envelope.group else 0.0
        match judged:
            case Refused(_, code, text):
                self._tell_rejected(docket.asked(envelope, "rejected", code, text))
                self._answer(envelope, after_s, status="rejected", code=code, text=text)
            case Entry():
                self._say(docket.asked(envelope, "duplicate", judged.code))
                known: dict[str, Any] = {"code": judged.code, "text": judged.text, "out": judged.out}
                self._answer(envelope, after_s, status="duplicate", was=judged.status, **known)
            case Given():
                self._say(docket.asked(envelope, "accepted"))
                self._answer(envelope, after_s, status="accepted")
                if envelope.name and ORDERS[envelope.name].alone:
                    self._alone.add(envelope.name)
                lane = self._lane(judged)
                lane.put(lambda: self._run(envelope, judged.args, self._executors, lane.stopping), after_s)

    def _admit(self, given: Given) -> Given | Refused | Entry:
        """Note the order, unless it was given before or may not be done."""
        name = given.envelope.name or ""
        signed = ORDERS[name].signed

        def refused(code: Refusal | Flaw, text: str) -> Refused:
            return Refused(given.envelope, code, text)

        def work(tx: sqlite3.Connection) -> Given | Refused | Entry:
            now = self._clock.stamp()
            docket.forget(tx, now)
            known = docket.find(tx, given.req)
            if known is not None:
                same = known.digest == given.digest
                return known if same else refused(Refusal.REQ_REUSED, "another order had this req")
            flaw = None if given.exp is None else lapsed(given.exp, now, LIFE_MAX_S)
            if flaw is not None:
                return refused(flaw, _TOO_LATE[flaw])
            if signed and docket.outlived(tx, given.exp or ""):
                return refused(Flaw.EXPIRED, _FORGOTTEN)
            may = not docket.full(tx) if signed else self._unsigned.take(now.mono)
            if self._lane(given).full or name in self._alone or not may:
                return refused(Refusal.TOO_MANY, "the kit has enough to do; try again in a minute")
            if signed and not docket.take_nonce(tx, given.nonce or "", given.exp or "", now):
                return refused(Refusal.REPLAYED, "another order had this nonce")
            docket.enter(tx, given, now)
            docket.audit(tx, docket.asked(given.envelope, "accepted"), now)
            return given

        return self._database.ask(work, DATABASE_S)

    def _lane(self, given: Given) -> Lane:
        return self._slow.get(given.envelope.name or "", self._quick)

    def _run(
        self,
        envelope: Envelope,
        args: Args,
        executors: Mapping[str, Callable[[Job], Outcome | None]],
        stopping: threading.Event,
    ) -> None:
        """Do an order, in its lane, and tell what came of it."""
        name, req = envelope.name or "", envelope.req or ""
        job = Job(
            req,
            args,
            lambda share: self._answer(envelope, status="progress", progress=round(share, 3)),
            stopping,
        )
        outcome = self._do(executors[name], name, job)
        if outcome is None:
            return
        self._alone.discard(name)  # before anybody hears that it ended
        line = docket.asked(envelope, outcome.status, outcome.code, outcome.text)

        def work(tx: sqlite3.Connection) -> None:
            now = self._clock.stamp()
            docket.finish(tx, req, outcome, now)
            docket.audit(tx, line, now)

        try:
            self._database.ask(work, DATABASE_S)
        except StorageError as error:
            _LOG.warning("what came of order %s is not noted: %s", req, error)
        self._say(line)
        self._answer(envelope, **_result(outcome))

    def _do(self, executor: Callable[[Job], Outcome | None], name: str, job: Job) -> Outcome | None:
        try:
            return executor(job)
        except StairwellError as error:
            return Outcome(ok=False, code="refused", text=str(error))
        except Exception:  # noqa: BLE001 - top of an order: a fault in one is told, and ends no recording
            _LOG.exception("order %s (%s) failed by a fault of ours", name, job.req)
            return Outcome(ok=False, code="fault", text="a fault of the agent; its journal has the details")

    def _end_left(self, tx: sqlite3.Connection) -> list[tuple[Envelope, Outcome | None]]:
        """End what an earlier process left under way; None where it goes on."""
        now = self._clock.stamp()
        left: list[tuple[Envelope, Outcome | None]] = []
        for entry in docket.under_way(tx):
            by, key = docket.giver(tx, entry.req)
            envelope = Envelope(
                entry.topic, entry.correlation, group=False, name=entry.cmd, req=entry.req, by=by, key=key
            )
            outcome = None if entry.cmd in self._resumed else _after_restart(entry, now)
            left.append((envelope, outcome))
            if outcome is not None:
                docket.finish(tx, entry.req, outcome, now)
                docket.audit(tx, docket.asked(envelope, outcome.status, outcome.code, outcome.text), now)
        return left

    def _resume(self, envelope: Envelope) -> None:
        name = envelope.name or ""
        if ORDERS[name].alone:
            self._alone.add(name)
        lane = self._slow.get(name, self._quick)
        lane.put(lambda: self._run(envelope, Args(), self._resumed, lane.stopping))

    def _tell_rejected(self, line: docket.AuditLine) -> None:
        """Note a rejected order, unless too many were noted."""
        if not self._rejected.take(self._clock.mono()):
            self._passed_over += 1
            self._say(line, logging.DEBUG)
            return
        line, self._passed_over = replace(line, passed_over=self._passed_over), 0
        self._say(line)
        try:  # nobody waits for it: it commits with whatever comes
            self._database.submit(lambda tx: docket.audit(tx, line, self._clock.stamp()))
        except StorageError:
            _LOG.debug("the database is closed; the journal has the line")

    def _say(self, line: docket.AuditLine, level: int = logging.INFO) -> None:
        why = f": {line.code}" if line.code else ""
        why += f" ({line.text})" if line.text else ""
        asker = f"by {line.by or 'somebody'}" + (f" with key {line.key}" if line.key else "")
        _AUDIT.log(level, "order %s %s %s is %s%s", line.cmd or "?", line.req or "?", asker, line.status, why)

    def _answer(
        self,
        envelope: Envelope,
        after_s: float = 0.0,
        *,
        text: str | None = None,
        **fields: Any,  # noqa: ANN401 - of a Response
    ) -> None:
        """Answer. A text may quote anything: as much of it as an answer holds."""
        fields["text"] = text[:TEXT_MAX] if text else None
        response = Response(
            **origin(self._topics.kit, self._clock.stamp()), req=envelope.req, cmd=envelope.name, **fields
        )
        self._publish(
            Publication(
                envelope.topic, encode(response), expiry_s=EXPIRY_S, correlation=envelope.correlation
            ),
            after_s,
        )


def _result(outcome: Outcome) -> dict[str, Any]:
    fields = {"code": outcome.code, "text": outcome.text, "out": outcome.out}
    return {"status": outcome.status, **fields}


def _after_restart(entry: Entry, now: Stamp) -> Outcome:
    """What became of an order that the end of the process cut off."""
    match entry.cmd:
        case "restart":
            return Outcome(ok=True)
        case "reboot" if entry.born != now.boot:
            return Outcome(ok=True)
        case "reboot":
            return Outcome(ok=False, code="not-rebooted", text="the agent ended, and the machine did not")
        case _:
            return INTERRUPTED
