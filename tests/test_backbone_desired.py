"""What comes on `cfg/des`: only what the platform signed for this very kit is looked into."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from backbone_samples import TOPICS, at
from desired import arriving, desired
from hypothesis import given
from hypothesis import strategies as st
from orders import PLATFORM_KEY, STRANGER

from agent.backbone.contract.example import EXAMPLES
from agent.backbone.desired import Refused, Wanted, digest, judge
from agent.backbone.envelope import PAYLOAD_MAX
from agent.backbone.signed import Keyring
from agent.backbone.topics import Topics

KEYRING = Keyring([PLATFORM_KEY])
NOW = "2026-11-22T00:30:00.000Z"
VALUES = {"clips": {"retention_h": 48}}


def after(days: float) -> str:
    moment = datetime.fromisoformat(NOW) + timedelta(days=days)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def judged(payload: bytes, ts: str | None = NOW) -> Wanted | Refused:
    return judge(arriving(payload), TOPICS.cfg_des, KEYRING, at(10.0, ts=ts))


def why(payload: bytes, ts: str | None = NOW) -> str:
    found = judged(payload, ts)
    assert isinstance(found, Refused)
    assert found.detail
    return found.why


def test_what_the_platform_signed_is_wanted() -> None:
    """With its revision, its values and the key that signed."""
    assert Wanted(7, VALUES, "34750f98bd59fcfc") == judged(desired(7, VALUES))


def test_the_example_of_the_contract_is_signed() -> None:
    """Whoever writes a platform can check the own signature against it."""
    found = judged(json.dumps(EXAMPLES["cfg.des"]).encode())
    assert isinstance(found, Wanted)
    assert 7 == found.rev


def test_a_kit_without_a_clock_takes_it() -> None:
    """It must reach a kit that was dark for months and does not know the time."""
    assert isinstance(judged(desired(7, VALUES), ts=None), Wanted)


@pytest.mark.parametrize(
    ("exp", "ts", "flaw"),
    [
        (after(1), NOW, None),
        (after(-1), NOW, "expired"),
        (after(500), NOW, "lives-too-long"),
        (after(1), None, "clock-unset"),
    ],
)
def test_one_that_may_lapse_does(exp: str, ts: str | None, flaw: str | None) -> None:
    """Who sets an end means it; then the kit must know the time."""
    found = judged(desired(7, VALUES, exp=exp), ts)
    assert (flaw, 7) == (getattr(found, "why", None), found.rev)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[1]", "malformed"),
        (b"[" * 60_000, "malformed"),
        (b'{"a": NaN}', "malformed"),
        (b" " * (PAYLOAD_MAX + 1), "too-large"),
        (b'{"rev": 7, "values": {}}', "unsigned"),
        (desired(7, key=STRANGER), "unknown-key"),
        (desired(7, topics=Topics("51", "odesa", "kyivskyi", "st0pped00x")), "wrong-target"),
        (desired(7).replace(b'"rev": 7', b'"rev": 8'), "bad-signature"),
        (desired(7, VALUES).replace(b"48", b"72"), "bad-signature"),
        (desired(7, more=1).replace(b'"more": 1', b'"more": 2'), "bad-signature"),
        (desired(0), "malformed"),
        (desired("7"), "malformed"),
        (desired(True), "malformed"),
        (desired(7, [1]), "malformed"),
        (desired(7, {"clips": 5}), "malformed"),
        (desired(7, v=2), "malformed"),
        (desired(7, exp="2026-13-45T00:00:00.000Z"), "malformed"),
        (desired(7, nonce="short"), "malformed"),
    ],
)
def test_everything_else_is_refused_with_its_reason(payload: bytes, reason: str) -> None:
    """And without a signature that is good, nothing of it is believed, its revision neither."""
    assert reason == why(payload)
    assert judged(payload).rev is None


def test_unknown_fields_are_passed_over_and_signed() -> None:
    """The contract may grow; what is added is covered by the signature all the same."""
    assert isinstance(judged(desired(7, note="a later agent reads this")), Wanted)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ).map(lambda value: json.dumps(value).encode()),
        st.dictionaries(
            st.sampled_from(["v", "rev", "values", "target", "nonce", "key", "sig", "exp"]),
            st.none() | st.integers() | st.text() | st.lists(st.integers()),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_nothing_that_arrives_raises(payload: bytes) -> None:
    """Any bytes, any JSON, any values of the right fields: refused with a reason."""
    assert why(payload)


@given(
    st.dictionaries(
        st.text(), st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.text())
    )
)
def test_signed_nonsense_raises_nothing_either(values: dict[str, Any]) -> None:
    """Whatever the values are, they are for somebody else to judge."""
    try:
        payload = desired(7, values)
    except UnicodeEncodeError:
        return
    found = judged(payload)
    assert isinstance(found, Wanted)
    assert 64 == len(digest(found.values))


def test_a_digest_is_of_the_values_alone() -> None:
    """Signed anew, in another order or for another place: the same configuration."""
    one = {"clips": {"max_s": 60.0, "retention_h": 48}, "site": {"floor": 1}}
    other = {"site": {"floor": 1.0}, "clips": {"retention_h": 48, "max_s": 60}}
    assert digest(one) == digest(other)
    assert digest(one) != digest({"clips": {"retention_h": 49}})
