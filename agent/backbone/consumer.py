"""The contract from the other side: what a platform has to do with what a kit says. Pure.

Whoever writes the platform may read this as the contract in executable form; the tests, the benches and the
demonstration use it as their platform. It touches no network, no disk and no clock: it is told what arrived
and when, says what that means, and can be saved and restored.

    consumer = Consumer(saved)
    for outcome in consumer.hear(topic, payload, user_properties, now):
        match outcome:
            case Fresh():   put it where it is safe, in one transaction with consumer.save(kit, [outcome])
            case Became():  show whether the kit is there
            ...
    consumer.stored(outcome)                    # only now, after your commit
    for topic, payload in consumer.acks():      # and then: MQTT, QoS 1, not retained
        publish(topic, payload)
    consumer.tick(now)                          # every few seconds: what did not come

The rules, each with what happens to who breaks it:

1. Store, then acknowledge. A kit forgets what an `ack` passes: acknowledged first and stored afterwards, a
   power cut between the two loses messages without a trace. The broker's PUBACK proves nothing of the kind.
2. A message is known by (stream, seq). Kit and broker send again whatever they are not sure of, so
   duplicates are normal. Until a number is `stored` each copy of it is Fresh, because the first may be lost
   with you; let your table's key (kit, stream, seq) refuse the second.
3. Order of arrival means nothing. Alarms overtake events, news overtake a week's backlog. Order by seq, or
   by (boot, mono); of one event the highest `rev` counts, of one alarm the highest seq.
4. No number is missing without a word. Each comes, or a `gap` names it in `ranges`; only those may be passed
   over, for between `from` and `to` lie others that still come. A birth's `seq_oldest` says the same of all
   that lies before it.
5. A new `stream` means that the kit's database was lost. What was missing of the old one will never come.
6. Presence is a matter of sessions and of silence: see `standing`. All that a kit said of itself is stale
   once it is not ONLINE.
7. Time is `mono` of `boot`, and the wall clock a label that may come later or change: see `standing`.
8. Unknown fields, and kinds that are unknown to you, are not errors: the contract grows. Store what you
   cannot read, for its number counts. Nothing that arrives may end you.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.backbone.account import Account
from agent.backbone.heard import Heard, Numbered, Status, read
from agent.backbone.messages import Ack
from agent.backbone.standing import Anchor, Presence, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable

REORDER_S = 120.0
"""A hole that stays open for so long, with nothing new from the kit, is worth a word: a kit sends again by
itself 60 s after an ack was due and 30 s after nobody listened. Then it may be asked for (`cmd/resend`)."""
STREAMS_MAX = 8  # of one kit, the newest; each but the last ended with a broken database


@dataclass(frozen=True, slots=True)
class Fresh:
    """A message that is not stored yet. Store it, then tell `Consumer.stored`.

    `message` is its JSON whole, unknown fields included, `payload` what came (the picture of a snapshot).
    `at` is when it was said, as well as that is known now; Dated may tell better. `trouble` says in what it
    breaks the contract known here: keep it all the same.
    """

    kit: str
    topic: str
    stream: str
    seq: int
    message: dict[str, Any]
    payload: bytes
    at: str | None
    ranges: tuple[tuple[int, int], ...] = ()
    """The numbers that it excuses, if it is a gap."""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A message that is stored already. The kit did not hear the last `ack`: `acks` says it again."""

    kit: str
    stream: str
    seq: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Numbers that will never come and that no gap has named: the kit's database was lost, or ours was."""

    kit: str
    stream: str
    ranges: tuple[tuple[int, int], ...]
    why: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Numbers that should have come by now. They may still come."""

    kit: str
    stream: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Became:
    """A kit came or went, or said something newer of itself. `message` is the birth, `stopped` or will."""

    kit: str
    standing: Standing
    message: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Pulse:
    """A heartbeat."""

    kit: str
    message: dict[str, Any]
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Dated:
    """The kit's clock was set: all of `boot` before `anchor` is dated by it now, whatever its `ts` said."""

    kit: str
    boot: str
    anchor: Anchor


@dataclass(frozen=True, slots=True)
class Odd:
    """Nothing that could be counted. Log it."""

    topic: str
    why: str


Outcome = Fresh | Duplicate | Lost | Missing | Became | Pulse | Dated | Odd


@dataclass
class _Kit:
    base: str
    presence: Presence
    accounts: dict[str, Account]
    told: dict[str, int] = field(default_factory=dict)
    """By stream, the watermark that the kit was told last; nothing when it should hear it again."""
    news: float | None = None
    """When something new came last."""
    missed: tuple[tuple[int, int], ...] = ()
    """What Missing told last."""


class Consumer:
    """The consumer of a fleet. `saved` is by kit what `save` gave; kits are known by their id."""

    def __init__(self, saved: dict[str, dict[str, Any]] | None = None) -> None:
        self._kits = {
            kit: _Kit(
                state["base"],
                Presence(state["presence"]),
                {stream: Account(account) for stream, account in state["accounts"].items()},
            )
            for kit, state in (saved or {}).items()
        }
        self._due = {(name, stream) for name, kit in self._kits.items() for stream in kit.accounts}

    @property
    def kits(self) -> list[str]:
        """Every kit that was ever heard."""
        return list(self._kits)

    def save(self, kit: str, storing: Iterable[Fresh] = ()) -> dict[str, Any]:
        """All that must be kept of a kit, as JSON can carry it.

        `storing` are messages in the same transaction: as it will be once they are stored. Without them a
        restored consumer would miss what its kit was told to forget.
        """
        known = self._kits[kit]
        accounts = {stream: account.save() for stream, account in known.accounts.items()}
        ours = [fresh for fresh in storing if fresh.kit == kit]
        for stream in {fresh.stream for fresh in ours}:
            account = Account(accounts.get(stream))
            for fresh in ours:
                if fresh.stream == stream:
                    _count(account, fresh)
            accounts[stream] = account.save()
        return {"base": known.base, "presence": known.presence.save(), "accounts": accounts}

    def standing(self, kit: str) -> Standing:
        """Whether a kit is there."""
        return self._kits[kit].presence.standing if kit in self._kits else Standing.UNKNOWN

    def account(self, kit: str, stream: str) -> Account:
        """The account of a stream; to be looked at, not changed.

        Raises:
            KeyError: nothing was heard of it.
        """
        return self._kits[kit].accounts[stream]

    def streams(self, kit: str) -> list[str]:
        """The streams of a kit, in the order in which they were first heard."""
        return list(self._kits[kit].accounts)

    def date(self, kit: str, boot: str, mono: float, ts: str | None) -> str | None:
        """When a message was said, by what is known now: its own `ts`, or better than that."""
        return self._kits[kit].presence.date(boot, mono, ts) if kit in self._kits else ts

    def hear(self, topic: str, payload: bytes, user: Iterable[tuple[str, str]], now: float) -> list[Outcome]:
        """Take a message. `user` are its MQTT user properties, `now` seconds that never jump.

        Never raises for what arrives.
        """
        heard = read(topic, payload, user)
        if heard is None:
            return []
        if isinstance(heard, str):
            return [Odd(topic, heard)]
        kit = self._kits.setdefault(heard.kit, _Kit(heard.base, Presence(), {}))
        kit.presence.heard(now)
        match heard.view:
            case Numbered() as view:
                return [self._number(kit, heard, view, topic, payload, now)]
            case Status() as view:
                return self._status(kit, heard, view)
            case view:
                back = [Became(heard.kit, Standing.ONLINE)] if kit.presence.beat(view) else []
                return [*back, Pulse(heard.kit, heard.message, heard.trouble)]

    def stored(self, fresh: Fresh) -> None:
        """This message is safe: it survives a power cut. From now on it counts."""
        _count(self._account(self._kits[fresh.kit], fresh.stream), fresh)
        self._due.add((fresh.kit, fresh.stream))

    def acks(self) -> list[tuple[str, bytes]]:
        """What the kits are to be told now, as (topic, payload).

        It is each watermark that moved, and each that a kit seems not to have heard. An ack that is lost does
        no harm: the next one says more, and a duplicate asks for it again.
        """
        found = []
        for name, stream in self._due:
            kit = self._kits[name]
            account = kit.accounts.get(stream)
            if account is None or kit.presence.stream not in {None, stream}:
                continue  # it is over, and nobody would hear it
            if account.watermark != kit.told.get(stream, 0):
                kit.told[stream] = account.watermark
                said = Ack(stream=stream, seq=account.watermark).model_dump_json().encode()
                found.append((f"{kit.base}/ack", said))
        self._due.clear()
        return found

    def tick(self, now: float) -> list[Outcome]:
        """Let time pass: who fell silent, and what is missing for too long. Every few seconds will do."""
        found: list[Outcome] = []
        for name, kit in self._kits.items():
            if kit.presence.wait(now):
                found.append(Became(name, Standing.SILENT))
            if kit.news is None:
                kit.news = now
            stream, online = kit.presence.stream, kit.presence.standing is Standing.ONLINE
            if not online or now - kit.news < REORDER_S or stream not in kit.accounts:
                continue
            missing = tuple(kit.accounts[stream].missing())
            if missing and missing != kit.missed:
                found.append(Missing(name, stream, missing))
            kit.missed = missing
        return found

    def _number(
        self, kit: _Kit, heard: Heard, view: Numbered, topic: str, payload: bytes, now: float
    ) -> Fresh | Duplicate:
        account = self._account(kit, view.stream)
        if view.seq in account.stored:
            self._again(kit, heard.kit, view.stream)
            return Duplicate(heard.kit, view.stream, view.seq)
        account.knows(view.seq)
        kit.news, kit.missed = now, ()
        return Fresh(
            heard.kit,
            topic,
            view.stream,
            view.seq,
            heard.message,
            payload,
            kit.presence.date(view.boot, view.mono, view.ts),
            tuple(heard.ranges),
            heard.trouble,
        )

    def _status(self, kit: _Kit, heard: Heard, status: Status) -> list[Outcome]:
        found: list[Outcome] = []
        before = kit.presence.stream
        if status.state == "online" and status.stream is not None:
            found += self._passed(kit, heard.kit, status.stream, status)
            if status.mono is not None and status.ts is not None:
                anchor = Anchor(status.mono, status.ts)
                if kit.presence.anchor(status.boot, anchor):
                    found.append(Dated(heard.kit, status.boot, anchor))
        if not kit.presence.told(status):
            return found
        kit.base = heard.base  # a kit that was moved is acknowledged where it is now
        if before not in {None, kit.presence.stream}:
            found += self._ended(kit, heard.kit, before)
        return [Became(heard.kit, kit.presence.standing, heard.message), *found]

    def _passed(self, kit: _Kit, name: str, stream: str, birth: Status) -> list[Outcome]:
        """What lies before `seq_oldest` cannot be sent any more."""
        account = self._account(kit, stream)
        gone = tuple(account.missing(birth.seq_oldest - 1))
        if birth.seq_oldest > 1:
            account.excuse([(1, birth.seq_oldest - 1)])
            self._due.add((name, stream))
        account.knows(birth.seq_next - 1)
        if account.watermark >= birth.seq_oldest:
            self._again(kit, name, stream)  # the kit keeps what it need not: the ack was lost
        return [Lost(name, stream, gone, "the kit has them no more")] if gone else []

    def _ended(self, kit: _Kit, name: str, stream: str | None) -> list[Outcome]:
        if stream not in kit.accounts:
            return []
        gone = tuple(kit.accounts[stream].missing())
        return [Lost(name, stream, gone, "the kit began a new stream")] if gone else []

    def _again(self, kit: _Kit, name: str, stream: str) -> None:
        kit.told.pop(stream, None)
        self._due.add((name, stream))

    def _account(self, kit: _Kit, stream: str) -> Account:
        if stream not in kit.accounts:
            kit.accounts[stream] = Account()
            while len(kit.accounts) > STREAMS_MAX:
                oldest = next(iter(kit.accounts))
                del kit.accounts[oldest]
                kit.told.pop(oldest, None)
        return kit.accounts[stream]


def _count(account: Account, fresh: Fresh) -> None:
    account.excuse(fresh.ranges)
    account.store(fresh.seq)
