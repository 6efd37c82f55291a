"""Whatever comes down: one answer each, nothing changed by what is no order, bounded memory, no exception.

110,000 payloads, from a seed: noise, JSON of any shape, and orders of which something was altered. They take
some 20 s: fewer would not meet what they have met.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785
from backbone_samples import TOPICS
from desired import arriving, desired
from orders import Hands, Obedient, message, order, topic_of

from agent.backbone.clerk import Clerk
from agent.backbone.desired import Wanted, judge
from agent.backbone.examination import Given, examine
from agent.backbone.inbox import PAYLOAD_MAX, Inbox
from agent.backbone.orders import ORDERS, Refusal
from agent.backbone.outbox import SCHEMA, Outbox
from agent.backbone.signed import Flaw
from agent.backbone.wire import Wire
from agent.config import Outbox as OutboxSettings
from agent.database import Database
from agent.device.health import resident_mb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.backbone.link import Received

SEED = 20261122
COMMANDS, ACKS, CONFIGURATIONS = 70_000, 15_000, 20_000
LONGEST = 2000  # bytes of an answer to what is no order
UNREACHED = (
    Refusal.REPLAYED,
    Refusal.STORAGE,
    Refusal.TOO_MANY,
    Flaw.CLOCK_UNSET,
    Flaw.EXPIRED,
    Flaw.LIVES_TOO_LONG,
)
"""Reasons that take a clock or a disk in trouble, a platform that makes mistakes, or many good orders."""
NOW = Hands().stamp()
GROWTH_MB = 24.0  # of the whole process, tests and all; ten answers that were kept would be some kilobytes

JUNK: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, 2**64, 10**40, 0.5, 1e308, -0.0, "", " ", "0", "null",
    "k7f3k2qx4m", "../../etc/passwd", "a" * 3000, "\x00", "\n", "\x1b[2J", "під'їзд", "\U0001f600",
    "\u202e", "%s%n", "' OR 1=1 --", "{{7*7}}", "$(reboot)", [], [[]], [None] * 50, {}, {"a": {"b": 1}},
    "2026-11-22T00:31:00.000Z", "9999-12-31T23:59:59.999Z", "0000-00-00T00:00:00.000Z", "A" * 86 + "==",
    "https://store.example/", "http://169.254.169.254/", "01KAMZ7A0000000000000000AA", "__class__",
]  # fmt: skip
NOISE = [
    b"\x00",
    b"\xff\xfe",
    b"{",
    b"}",
    b"[",
    b'"',
    b"\\",
    b"\\u0000",
    b"\\ud83d",
    b"NaN",
    b"1e999",
    b"\xc3\x28",
]
REPLIES = (*[None] * 20, *[TOPICS.res("me")] * 8, TOPICS.st, "", "#", "x" * 9999)
CORRELATIONS = (*[None] * 8, b"", b"\0", b"x" * 5000)


class Fuzz:
    """Makes payloads; the same ones from the same seed."""

    def __init__(self) -> None:
        self.chance = random.Random(SEED)  # noqa: S311 - a test, the same each time
        self.orders = [order(name) for name in sorted(ORDERS) for _ in range(3)]
        self.signed = [order("echo", signed=True), order("rebirth", signed=True)]

    def noise(self) -> bytes:
        """Bytes of no meaning, some of them long."""
        chance = self.chance
        if chance.random() < 0.02:
            return chance.choice(NOISE) * chance.randrange(PAYLOAD_MAX // 4)
        return chance.randbytes(chance.randrange(200))

    def value(self, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON
        """JSON of any shape."""
        chance = self.chance
        kind = chance.random()
        if depth > 4 or kind < 0.6:
            return chance.choice(JUNK)
        if kind < 0.75:
            return [self.value(depth + 1) for _ in range(chance.randrange(4))]
        return {self.name(): self.value(depth + 1) for _ in range(chance.randrange(5))}

    def name(self) -> str:
        """A field's name: one that exists, mostly."""
        chance = self.chance
        names = (
            "cmd",
            "args",
            "req",
            "by",
            "exp",
            "nonce",
            "target",
            "key",
            "sig",
            "v",
            "clip",
            "url",
            "from",
        )
        return chance.choice(names) if chance.random() < 0.8 else chance.choice(("", "x", "\n", "__init__"))

    def altered(self) -> dict[str, Any]:
        """An order with something else in it."""
        chance = self.chance
        made = dict(chance.choice(self.orders + self.signed))
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            name = chance.choice(list(made) or [""])
            what = chance.random()
            if what < 0.3:
                made.pop(name, None)
            elif what < 0.7:
                made[name] = self.value()
            elif what < 0.85:
                made["args"] = {
                    **(made["args"] if isinstance(made.get("args"), dict) else {}),
                    self.name(): self.value(),
                }
            else:
                made[name] = chance.choice(self.orders).get(name)
        return made

    def mangled(self) -> bytes:
        """An order as bytes, some of them others."""
        chance = self.chance
        data = bytearray(json.dumps(chance.choice(self.orders + self.signed)).encode())
        for _ in range(chance.choice((1, 1, 2, 8))):
            at = chance.randrange(len(data) + 1)
            what = chance.random()
            if what < 0.4 and at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            elif what < 0.6:
                data[at:at] = chance.choice(NOISE)
            elif what < 0.8:
                del data[at : at + chance.randrange(20)]
            else:
                data[at:at] = data[chance.randrange(len(data) + 1) :][:50]
        return bytes(data)

    def payload(self) -> bytes:
        """Any of all that."""
        kind = self.chance.random()
        if kind < 0.15:
            return self.noise()
        if kind < 0.3:
            return json.dumps(self.value()).encode()
        if kind < 0.65:
            return json.dumps(self.altered(), ensure_ascii=self.chance.random() < 0.5).encode()
        return self.mangled()

    def mistake(self) -> bytes:
        """A configuration that is signed, and mostly none."""
        while True:
            with suppress(rfc8785.CanonicalizationError):  # a number that nobody can sign
                return desired(self.value(), self.value(), **{self.chance.choice(("exp", "x")): self.value()})

    def command(self) -> Received:
        """A message on a topic of commands, or nearly one."""
        chance = self.chance
        name = (
            chance.choice(sorted(ORDERS))
            if chance.random() < 0.9
            else chance.choice(("", "a/b/c", "Echo", "\n"))
        )
        payload = self.payload()
        if chance.random() < 0.001:
            return message({**self.orders[0], "cmd": "dance"})
        if chance.random() < 0.7:  # where it says that it belongs, if it says so
            found = payload.partition(b'"cmd": "')[2].partition(b'"')[0].decode(errors="replace")
            name = found if found in ORDERS else name
        return message(
            payload,
            topic_of(name, group=chance.random() < 0.1),
            retain=chance.random() < 0.03,
            response_topic=chance.choice(REPLIES),
            correlation=chance.choice(CORRELATIONS),
        )


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Obedient]:
    made = Obedient(tmp_path / "agent.db")
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_commands(kit: Obedient) -> None:
    """Each gets exactly one answer at once. Signed orders are as they were signed, or not taken."""
    fuzz = Fuzz()
    whole = {json.dumps(one, sort_keys=True) for one in fuzz.orders + fuzz.signed}
    inbox = Inbox({})
    codes: Counter[str] = Counter()
    grown = 0.0
    for number in range(COMMANDS):
        received = fuzz.command()
        inbox.put(received)
        taken = inbox._queue.get_nowait()
        assert taken is not None
        kit.published.clear()
        kit.commands.handle(taken)
        (answer,) = (answer for answer in kit.answers if answer["status"] != "ok")  # of an order before it
        assert answer["status"] in {"rejected", "duplicate", "accepted"}
        for publication, _ in kit.published:
            assert publication.topic.startswith(TOPICS.res(""))
            assert len(publication.payload) < LONGEST
        codes[answer.get("code", answer["status"])] += 1
        if answer["status"] != "rejected" and ORDERS[answer["cmd"]].signed:
            assert json.dumps(json.loads(received.payload), sort_keys=True) in whole
        if number == COMMANDS // 4:
            grown = resident_mb()
    assert resident_mb() - grown < GROWTH_MB
    assert kit.commands.error is None
    assert set() == {*Refusal, *Flaw} - {*UNREACHED} - codes.keys()


def test_nothing_but_an_order_is_one(kit: Obedient) -> None:
    """What the examination lets through has a name, a request and arguments of its kind."""
    fuzz = Fuzz()
    given = 0
    for _ in range(5000):
        received = fuzz.command()
        found = examine(received, TOPICS, kit.commands._keyring)
        if isinstance(found, Given):
            given += 1
            kind = ORDERS[found.envelope.name or ""]
            assert isinstance(found.args, kind.args)
            assert 26 == len(found.req)
            assert found.nonce or not kind.signed
    assert given > 20


def test_configurations(kit: Obedient) -> None:
    """Only what the platform signed, as it signed it; and of that only what is a configuration."""
    fuzz = Fuzz()
    whole = json.loads(desired(7, {"capture": {"fps": 5.0}}))
    fuzz.orders = fuzz.signed = [whole]
    codes: Counter[str] = Counter()
    for number in range(CONFIGURATIONS):
        mistaken = number % 20 == 0  # a platform that makes mistakes signs them too
        payload = fuzz.mistake() if mistaken else fuzz.payload()
        found = judge(arriving(payload[: PAYLOAD_MAX + 1]), TOPICS.cfg_des, kit.commands._keyring, NOW)
        if isinstance(found, Wanted):
            codes["wanted"] += 1
            assert found.rev > 0
            assert mistaken or whole == json.loads(payload)
        else:
            codes[found.why] += 1
            assert len(found.detail) < LONGEST
    assert {"wanted", "malformed", "unsigned", "bad-signature", "unknown-key"} <= codes.keys()


def test_acks(tmp_path: Path) -> None:
    """No watermark comes of what is none."""
    fuzz = Fuzz()
    database = Database(tmp_path / "acks.db", [SCHEMA])
    outbox = Outbox(OutboxSettings(), TOPICS)
    clerk = Clerk(database, outbox, Hands(), Wire(watermark=True, replay_per_s=1.0), watermark=True)
    clerk.open()
    shapes = ({"stream": "9f2c1a7e", "seq": 5}, {"stream": clerk.known.stream, "seq": 0})
    for number in range(ACKS):
        shape = {**shapes[number % 2], fuzz.chance.choice(("stream", "seq", "x")): fuzz.value()}
        payload = fuzz.noise() if number % 3 == 0 else json.dumps(shape).encode()
        clerk.heard(payload)
        if number % 100 == 0:
            clerk.settle(float(number))
            clerk.keep_house(1e9 + number)
    assert (1, 1, 0) == (clerk.known.seq_next, clerk.known.seq_oldest, clerk.known.waiting)
    database.close()
