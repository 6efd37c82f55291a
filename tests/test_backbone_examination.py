"""Commands judged: each is an order, or has one reason not to be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from backbone_samples import TOPICS
from jsonschema import Draft202012Validator, ValidationError
from orders import (
    CLIP,
    PLATFORM_KEY,
    STRANGER,
    message,
    order,
    topic_of,
)

from agent.backbone import examination
from agent.backbone.contract import schema as published
from agent.backbone.examination import Given, Refused, examine
from agent.backbone.orders import ORDER_MAX, ORDERS, Refusal, ResendArgs
from agent.backbone.signed import Flaw, Keyring
from agent.backbone.topics import Topics

if TYPE_CHECKING:
    from agent.backbone.link import Received

RULES = Path(published.__file__).with_name("rules.md")
RING = Keyring([PLATFORM_KEY])


def judged(received: Received) -> Given | Refused:
    return examine(received, TOPICS, RING)


def reason(received: Received) -> str:
    found = judged(received)
    assert isinstance(found, Refused)
    assert found.text
    return found.code


@pytest.mark.parametrize("name", sorted(ORDERS))
@pytest.mark.parametrize("group", [False, True])
def test_each_order_is_taken(name: str, *, group: bool) -> None:
    """For the kit alone or for its district, with the address of its answers."""
    given = judged(message(order(name, group=group), group=group, correlation=b"\0\xff"))
    assert isinstance(given, Given)
    assert (name, "tester", group, b"\0\xff", f"{TOPICS.base}/res/tester") == (
        given.envelope.name,
        given.envelope.by,
        given.envelope.group,
        given.envelope.correlation,
        given.envelope.topic,
    )


def test_arguments_are_read() -> None:
    """As their kind; those that are optional may be left out, and so may all of them where none is needed."""
    given = judged(message(order("resend", args={"from": 3, "to": 3})))
    assert isinstance(given, Given)
    assert ResendArgs(**{"from": 3, "to": 3}) == given.args
    assert isinstance(judged(message(order("echo", args=None))), Given)


@pytest.mark.parametrize("name", sorted(name for name, kind in ORDERS.items() if kind.signed))
def test_what_changes_or_reveals_is_signed(name: str) -> None:
    """Without a signature, by a stranger, for another kit, kind or district: refused."""
    unsigned = order(name, signed=False)
    assert Flaw.UNSIGNED == reason(message(unsigned))
    assert Flaw.UNKNOWN_KEY == reason(message(order(name, key=STRANGER)))
    assert Flaw.WRONG_TARGET == reason(message(order(name, target=f"{TOPICS.base}/cmd/echo")))
    assert Flaw.WRONG_TARGET == reason(message(order(name, group=True)))
    assert Flaw.WRONG_TARGET == reason(message(order(name), group=True))
    assert Flaw.BAD_SIGNATURE == reason(message({**order(name), "by": "other"}))
    for missing in ("exp", "nonce"):
        signed = order(name, **{missing: None})
        without = {key: value for key, value in signed.items() if key != "nonce" or missing != "nonce"}
        expected = Flaw.UNSIGNED if missing == "exp" else Flaw.BAD_SIGNATURE
        assert expected == reason(message(without))


def test_the_signed_ones_are_those_of_the_design() -> None:
    """The rest changes nothing for long, and tells nothing that the kit does not tell anyway."""
    harmless = {name for name, kind in ORDERS.items() if not kind.signed}
    assert {"echo", "identify", "rebirth", "clip/list"} == harmless


def test_without_keys_nothing_signed_is_taken() -> None:
    """A kit that was told of no platform obeys none."""
    found = examine(message(order("reboot")), TOPICS, Keyring([]))
    assert isinstance(found, Refused)
    assert Flaw.UNKNOWN_KEY == found.code


def test_a_signature_that_is_not_needed_must_hold_all_the_same() -> None:
    """Who signs relies on it."""
    assert isinstance(judged(message(order("echo", signed=True))), Given)
    assert Flaw.BAD_SIGNATURE == reason(message({**order("echo", signed=True), "by": "other"}))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"reboot",
        b"[]",
        b'"x"',
        b"null",
        b"[" * 5000,
        b'{"a":' * 1000,
        b'{"cmd":"echo"',
        b'{"cmd": NaN}',
        b'{"req": "\\ud800"}',
    ],
)
def test_what_is_no_object(payload: bytes) -> None:
    """No JSON, or something else than an object."""
    assert Refusal.MALFORMED == reason(message(payload))


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": "1"},
        {"cmd": "Echo"},
        {"cmd": 7},
        {"cmd": None},
        {"cmd": "restart"},
        {"args": []},
        {"args": "text"},
        {"req": "01KAMZ6T3Q"},
        {"req": 5},
        {"req": None},
        {"by": None},
        {"by": "UPPER"},
        {"by": "a/b"},
        {"by": "x" * 65},
        {"exp": 1763771465},
        {"exp": "soon"},
        {"exp": "2026-02-30T00:00:00.000Z"},
        {"exp": "9999-99-99T99:99:99.999Z"},
        {"nonce": "short"},
        {"target": 5},
        {"sig": "no"},
        {"key": "XYZ"},
    ],
)
def test_a_field_that_is_wrong_is_named(changes: dict[str, Any]) -> None:
    """Missing, of another type or form, or not the name in the topic; the value is not repeated."""
    payload = {**order("echo"), **changes}
    payload = {key: value for key, value in payload.items() if value is not None}
    found = judged(message(payload, topic_of("echo")))
    assert isinstance(found, Refused)
    assert (Refusal.MALFORMED, True) == (found.code, next(iter(changes)) in found.text)


def test_fields_that_are_not_known_are_passed_over() -> None:
    """The contract grows by them."""
    assert isinstance(judged(message({**order("echo"), "trace": {"id": 1}})), Given)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("echo", {"text": 5}),
        ("echo", {"text": "x" * 1001}),
        ("echo", {"other": 1}),
        ("restart", {"after": 5}),
        ("resend", {}),
        ("resend", {"from": 0, "to": 5}),
        ("resend", {"from": 1.5, "to": 2}),
        ("resend", {"from": "1", "to": "2"}),
        ("resend", {"from": True, "to": True}),
        ("identify", {"seconds": 0}),
        ("identify", {"seconds": 301}),
        ("clip/list", {"limit": 51}),
        ("clip/list", {"event": "x"}),
        ("clip/hold", {}),
        ("clip/hold", {"clip": "../../etc/passwd"}),
        ("clip/upload", {"clip": CLIP}),
        ("clip/upload", {"clip": CLIP, "url": "http://store.example/c"}),
        ("clip/upload", {"clip": CLIP, "url": "http://127.0.0.1.evil.example/c"}),
        ("clip/upload", {"clip": CLIP, "url": "http://localhost/c"}),
        ("clip/upload", {"clip": CLIP, "url": "file:///etc/passwd"}),
        ("clip/upload", {"clip": CLIP, "url": "https://user:word@store.example/c"}),
        ("clip/upload", {"clip": CLIP, "url": "https:///c"}),
        ("clip/upload", {"clip": CLIP, "url": f"https://{'h' * 201}/c"}),
        ("clip/upload", {"clip": CLIP, "url": "https://[::1/c"}),
        ("clip/upload", {"clip": CLIP, "url": "https://store.example:99999/c"}),
        ("clip/upload", {"clip": CLIP, "url": "https://store.example/c\r\nX: y"}),
        ("clip/upload", {"clip": CLIP, "url": "https://store.example/" + "c" * 4096}),
        ("clip/upload", {"clip": CLIP, "url": "https://s.ua/", "headers": {"Host": "other"}}),
        ("clip/upload", {"clip": CLIP, "url": "https://s.ua/", "headers": {"A": "b\r\nC: d"}}),
        ("clip/upload", {"clip": CLIP, "url": "https://s.ua/", "headers": {"a b": "c"}}),
        ("clip/upload", {"clip": CLIP, "url": "https://s.ua/", "headers": dict.fromkeys("abcdefghi", "")}),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit(name: str, args: dict[str, Any]) -> None:
    """Missing, out of bounds, of another type, unknown; and footage leaves over TLS to a named host only."""
    assert Refusal.BAD_ARGUMENTS == reason(message(order(name, args=args)))


def test_a_number_beyond_all_numbers() -> None:
    """JSON can write it, and no field takes it."""
    payload = json.dumps(order("identify", args={"seconds": 1234})).replace("1234", "1e999")
    assert Refusal.BAD_ARGUMENTS == reason(message(payload.encode(), topic_of("identify")))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/c", "http://[::1]:80/c", "https://s.example:8443/c?a=b"]
)
def test_where_footage_may_go(url: str) -> None:
    """Over TLS, or to this very machine."""
    args = {"clip": CLIP, "url": url, "headers": {"x-amz-meta-kit": "1 2"}}
    assert isinstance(judged(message(order("clip/upload", args=args))), Given)


def test_an_order_that_nobody_knows() -> None:
    """One of a later version, or a mistake: it is told what there is."""
    payload = {**order("echo"), "cmd": "dance"}
    found = judged(message(payload, topic_of("dance")))
    assert isinstance(found, Refused)
    assert (Refusal.UNKNOWN, None, True) == (found.code, found.envelope.name, "clip/upload" in found.text)


def test_an_order_that_is_too_long() -> None:
    """It is not even read; one at the limit is."""
    padding = ORDER_MAX - len(json.dumps({**order("echo"), "pad": ""}))
    assert isinstance(judged(message({**order("echo"), "pad": "x" * padding})), Given)
    assert Refusal.TOO_LARGE == reason(message({**order("echo"), "pad": "x" * (padding + 1)}))


def test_an_order_that_was_retained() -> None:
    """Nobody gives it now, whenever it was made."""
    assert Refusal.RETAINED == reason(message(order("restart"), retain=True))


@pytest.mark.parametrize(
    "topic",
    [
        "bm/v1/51/odesa/kyivskyi/0000000000/res/tester",
        f"{TOPICS.base}/evt/person",
        f"{TOPICS.base}/res/",
        f"{TOPICS.base}/res/a/b",
        f"{TOPICS.base}/res/+",
        f"{TOPICS.base}/res/tester\n",
        "",
        "x" * 65535,
    ],
)
def test_answers_go_to_requesters_of_this_kit_only(topic: str) -> None:
    """A kit is no mirror by which one could speak on other topics; the reason goes where `by` says."""
    found = judged(message(order("echo"), response_topic=topic))
    assert isinstance(found, Refused)
    assert (Refusal.BAD_REPLY, TOPICS.res("tester")) == (found.code, found.envelope.topic)


def test_answers_go_where_they_are_asked_to() -> None:
    """A response topic comes before `by`; correlation data come back if they are of a size to be some."""
    given = judged(message(order("echo"), response_topic=TOPICS.res("console-7"), correlation=b"x" * 256))
    assert (TOPICS.res("console-7"), b"x" * 256) == (given.envelope.topic, given.envelope.correlation)
    found = judged(message(order("echo"), correlation=b"x" * 257))
    assert isinstance(found, Refused)
    assert (Refusal.BAD_REPLY, None) == (found.code, found.envelope.correlation)


def test_a_rejection_says_what_it_can_of_its_order() -> None:
    """Whom it is for and what it is about, as far as that could be read."""
    whole = order("echo")
    found = judged(message({**whole, "args": 5}))
    assert (whole["req"], "echo", TOPICS.res("tester")) == (
        found.envelope.req,
        found.envelope.name,
        found.envelope.topic,
    )
    bare = judged(message(b'{"req": "x", "by": "../x", "key": "\\n"}'))
    assert (None, None, None, TOPICS.res("unknown")) == (
        bare.envelope.req,
        bare.envelope.by,
        bare.envelope.key,
        bare.envelope.topic,
    )
    assert TOPICS.res("me") == judged(message(b"x", response_topic=TOPICS.res("me"))).envelope.topic


def test_a_district_may_have_any_name() -> None:
    """Even that of a level of the topics."""
    topics = Topics("51", "cmd", "res", "k7f3k2qx4m")
    payload = order("echo", target=topics.cmd("echo"))
    found = examine(message(payload, topics.cmd("echo")), topics, RING)
    assert isinstance(found, Given)


def test_the_same_request_is_known_again() -> None:
    """Signed anew it is the same; with other arguments, of somebody else or for something else it is not."""
    whole = order("identify")
    again = order("identify", req=whole["req"], exp=None, args={"seconds": 30})
    others = (order("identify", args={"seconds": 31}), order("identify", by="other"), order("rebirth"))
    digests = [judged(message(one)).digest for one in (whole, again, *others)]  # type: ignore[union-attr]
    assert digests[0] == digests[1]
    assert 4 == len(set(digests))


def test_explanations_are_short_and_printable() -> None:
    """An argument's name is a stranger's text too."""
    found = judged(message(order("echo", args={f"{n}\n\x1b[2J" + "x" * 300: 1 for n in range(9)})))
    assert isinstance(found, Refused)
    assert found.text.isprintable()
    assert len(found.text) <= examination.TEXT_MAX


@pytest.mark.parametrize("name", sorted(ORDERS))
def test_the_contract_knows_what_each_order_takes(name: str) -> None:
    """The published schema lets through what the kit takes, and refuses arguments of another order."""
    schema = {**published.schema(), "$ref": "#/$defs/Order"}
    Draft202012Validator(schema).validate(order(name))
    foreign = {"event": 5, "from": 1, "headers": [], "seconds": 0, "text": 1}
    assert Refusal.BAD_ARGUMENTS == reason(message(order(name, args=foreign)))
    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate(order(name, args=foreign))


def test_the_rules_of_the_contract_name_what_is_signed() -> None:
    """Whoever builds the platform reads them there."""
    rules = RULES.read_text(encoding="utf-8").split("## Commands\n")[1].split("\n## ")[0]
    signed, unsigned = rules.split("MUST be signed:")[1].split("need no signature")[0].split(". `echo`")
    assert {name for name, kind in ORDERS.items() if kind.signed} == set(re.findall(r"`([a-z/]+)`", signed))
    assert {name for name, kind in ORDERS.items() if not kind.signed} == {
        "echo",
        *re.findall(r"`([a-z/]+)`", unsigned),
    }
    answers = rules.split("| `out` |")[1]
    assert set(ORDERS) <= set(re.findall(r"`([a-z/]+)`", answers))
