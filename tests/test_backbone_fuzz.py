"""Whatever comes down: one answer each, nothing changed by what is no order, bounded memory, no exception.

Hypothesis draws a value, some bytes and a place; each payload of an example has them somewhere else: the
value in every field and every argument of every order, the bytes in the middle of each. So 120,000 payloads
for all down topics take half a minute, and what fails is shrunk to the value that does it. The examples are
the same each time: what they cost and what they reach is known.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785
from backbone_samples import TOPICS
from desired import arriving, desired
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from orders import Hands, Obedient, message, order, topic_of

from agent.backbone.clerk import Clerk
from agent.backbone.desired import Wanted, judge
from agent.backbone.envelope import PAYLOAD_MAX
from agent.backbone.examination import Given, examine
from agent.backbone.inbox import Inbox
from agent.backbone.orders import ORDERS, Refusal
from agent.backbone.outbox import SCHEMA, Outbox
from agent.backbone.signed import Flaw
from agent.backbone.wire import Wire
from agent.config import Outbox as OutboxSettings
from agent.database import Database
from agent.device.clock import SystemClock
from agent.device.health import resident_mb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.backbone.link import Received

COMMANDS, CONFIGURATIONS, ACKS = 100_000, 8_000, 4_000  # at least; the examples below give some more
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
GROWTH_MB = 32.0  # of the whole process, and Hypothesis remembers its examples; all payloads have 60 MB

NASTY: list[Any] = [
    2**31, 2**53, 2**63, 2**64, 10**40, -1, 1e308, -0.0, " ", "0", "null", "k7f3k2qx4m", "../../etc/passwd",
    "a" * 3000, "\x00", "\n", "\x1b[2J", "під'їзд", "\U0001f600", "\u202e", "\ud83d", "%s%n", "' OR 1=1 --",
    "{{7*7}}", "$(reboot)", [[]], [None] * 50, {"a": {"b": 1}}, "2026-11-22T00:31:00.000Z",
    "9999-12-31T23:59:59.999Z", "0000-00-00T00:00:00.000Z", "A" * 86 + "==", "https://store.example/",
    "http://169.254.169.254/", "01KAMZ7A0000000000000000AA", "__class__",
]  # fmt: skip
NAMES = ("cmd", "args", "req", "by", "exp", "nonce", "target", "key", "sig", "v", "clip", "url", "from", "to")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(NASTY),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=9), inner, max_size=5)
    ),
    max_leaves=8,
)
noise = st.binary(max_size=200) | st.sampled_from(
    [b"\xff\xfe", b"{", b"}", b"[", b'"', b"\\u0000", b"\\ud83d", b"NaN", b"1e999", b"\xc3\x28", b"[" * 5000]
)
places = st.floats(0, 1)
replies = st.sampled_from([*[None] * 6, TOPICS.res("me"), TOPICS.res("me"), TOPICS.st, "", "#", "x" * 9999])
correlations = st.sampled_from([*[None] * 4, b"", b"\0", b"x" * 5000])
elsewhere = st.sampled_from(["", "a/b/c", "Echo", "dance", "\n"]) | st.text(max_size=20)
some = settings(derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


def altered(whole: dict[str, Any], value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any JSON
    """The same message with the value in each place in turn: of a field, of an argument, as one more."""
    for name in whole:
        yield {**whole, name: value}
    for table in ("args", "values"):
        if isinstance(inner := whole.get(table), dict):
            for name in (*inner, "x"):
                yield {**whole, table: {**inner, name: value}}
    yield {**whole, "trace": value}


def mangled(whole: bytes, dirt: bytes, place: float) -> Iterator[bytes]:
    """The bytes of a message with others in the middle, instead of some, without the rest, one bit off."""
    at = int(place * len(whole))
    yield whole[:at] + dirt + whole[at:]
    yield whole[:at] + dirt + whole[at + len(dirt) :]
    yield whole[:at]
    yield whole[:at] + bytes(byte ^ 1 << at % 8 for byte in whole[at : at + 1]) + whole[at + 1 :]


def text(document: Any) -> bytes:  # noqa: ANN401 - any JSON
    return json.dumps(document).encode()


def payloads(wholes: list[dict[str, Any]], value: Any, dirt: bytes, place: float) -> Iterator[bytes]:  # noqa: ANN401
    """All that comes of a value, some bytes and a place."""
    yield dirt
    yield dirt * (1 + PAYLOAD_MAX // max(1, len(dirt)))
    yield text(value)
    for whole in wholes:
        yield from map(text, altered(whole, value))
        yield from mangled(text(whole), dirt, place)


def on_its_topic(payload: bytes, other: str) -> str:
    """Where a message says that it belongs, if it says so; else somewhere else."""
    name = payload.partition(b'"cmd": "')[2].partition(b'"')[0].decode(errors="replace")
    return name if name in ORDERS else other


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Obedient]:
    made = Obedient(tmp_path / "agent.db")
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_commands(kit: Obedient) -> None:
    """Each gets exactly one answer at once. Signed orders are as they were signed, or not taken."""
    wholes = [*map(order, sorted(ORDERS)), order("echo", signed=True), order("rebirth", signed=True)]
    signed = {json.dumps(one, sort_keys=True) for one in wholes}
    inbox = Inbox({}, SystemClock())
    codes: Counter[str] = Counter()
    memory: list[float] = []

    def arrive(received: Received) -> None:
        inbox.put(received)
        taken = inbox._queue.get_nowait()
        assert taken is not None
        kit.published.clear()
        kit.commands.handle(taken)
        (answer,) = (answer for answer in kit.answers if answer["status"] != "ok")  # of an order before it
        assert answer["status"] in {"rejected", "duplicate", "accepted"}
        for publication, _ in list(kit.published):
            assert publication.topic.startswith(TOPICS.res(""))
            assert len(publication.payload) < LONGEST
        codes[answer.get("code", answer["status"])] += 1
        if answer["status"] != "rejected" and ORDERS[answer["cmd"]].signed:
            assert json.dumps(json.loads(received.payload), sort_keys=True) in signed

    @settings(some, max_examples=450)
    @given(values, noise, places, elsewhere, replies, correlations, st.integers(0, 40))
    def examples(
        value: Any,  # noqa: ANN401 - any JSON
        dirt: bytes,
        place: float,
        other: str,
        reply: str | None,
        correlation: bytes | None,
        odd: int,
    ) -> None:
        arrive(message({**wholes[0], "cmd": "dance"}))
        for number, payload in enumerate(payloads(wholes, value, dirt, place)):
            topic = topic_of(on_its_topic(payload, other), group=number % 11 == odd)
            arrive(
                message(
                    payload,
                    topic,
                    retain=number % 37 == odd,
                    response_topic=reply,
                    correlation=correlation,
                )
            )
        if sum(codes.values()) > COMMANDS // 4:
            memory.append(resident_mb())

    examples()
    assert sum(codes.values()) >= COMMANDS
    assert memory[-1] - memory[0] < GROWTH_MB
    assert kit.commands.error is None
    assert set() == {*Refusal, *Flaw} - {*UNREACHED} - codes.keys()


def test_nothing_but_an_order_is_one(kit: Obedient) -> None:
    """What the examination lets through has a name, a request and arguments of its kind."""
    wholes = [*map(order, sorted(ORDERS))]
    given_orders = 0

    @settings(some, max_examples=40)
    @given(values, noise, places, elsewhere)
    def examples(value: Any, dirt: bytes, place: float, other: str) -> None:  # noqa: ANN401 - any JSON
        nonlocal given_orders
        for payload in payloads(wholes, value, dirt, place):
            topic = topic_of(on_its_topic(payload, other))
            found = examine(message(payload, topic), TOPICS, kit.commands._keyring)
            if isinstance(found, Given):
                given_orders += 1
                kind = ORDERS[found.envelope.name or ""]
                assert isinstance(found.args, kind.args)
                assert 26 == len(found.req)
                assert found.nonce or not kind.signed

    examples()
    assert given_orders > 20


def test_configurations(kit: Obedient) -> None:
    """Only what the platform signed, as it signed it; and of that only what is a configuration."""
    whole = json.loads(desired(7, {"capture": {"fps": 5.0}}))
    codes: Counter[str] = Counter()

    def arrive(payload: bytes, *, mistaken: bool) -> None:
        found = judge(arriving(payload[: PAYLOAD_MAX + 1]), TOPICS.cfg_des, kit.commands._keyring, NOW)
        if isinstance(found, Wanted):
            codes["wanted"] += 1
            assert found.rev > 0
            assert mistaken or whole == json.loads(payload)
        else:
            codes[found.why] += 1
            assert len(found.detail) < LONGEST

    @settings(some, max_examples=500)
    @given(values, values, noise, places)
    def examples(value: Any, another: Any, dirt: bytes, place: float) -> None:  # noqa: ANN401 - any JSON
        arrive(text(whole), mistaken=False)
        for payload in payloads([whole], value, dirt, place):
            arrive(payload, mistaken=False)
        for fields in ({}, {"exp": value}, {"x": another}):  # a platform that makes mistakes signs them, too
            with suppress(rfc8785.CanonicalizationError, UnicodeEncodeError):  # what nobody can sign
                arrive(desired(value, another, **fields), mistaken=True)

    examples()
    assert sum(codes.values()) >= CONFIGURATIONS
    assert {"wanted", "malformed", "unsigned", "bad-signature", "unknown-key", "too-large"} <= codes.keys()


def test_acks(tmp_path: Path) -> None:
    """No watermark comes of what is none."""
    database = Database(tmp_path / "acks.db", [SCHEMA])
    outbox = Outbox(OutboxSettings(), TOPICS)
    clerk = Clerk(database, outbox, Hands(), Wire(watermark=True, replay_per_s=1.0), watermark=True)
    clerk.open()
    wholes = [{"stream": "9f2c1a7e", "seq": 5}, {"stream": clerk.known.stream, "seq": 0}]
    heard = 0

    @settings(some, max_examples=250)
    @given(values, noise, places)
    def examples(value: Any, dirt: bytes, place: float) -> None:  # noqa: ANN401 - any JSON
        nonlocal heard
        for payload in payloads(wholes, value, dirt, place):
            heard += 1
            clerk.heard(payload)
        clerk.settle(float(heard))
        clerk.keep_house(1e9 + heard)

    examples()
    assert heard >= ACKS
    assert (1, 1, 0) == (clerk.known.seq_next, clerk.known.seq_oldest, clerk.known.waiting)
    database.close()
