"""What the kit may say."""

from __future__ import annotations

import json

import pytest
from backbone_samples import BOOT, KIT, SITE, at, event, ulid_of
from pydantic import ValidationError

from agent.backbone.envelope import encode
from agent.backbone.messages import (
    Ack,
    EventBody,
    SiteAddress,
    SiteRef,
    origin,
)
from agent.backbone.presence import NetState, QueueState, Will
from agent.config import Site
from agent.types import Phase


def body(**changes: object) -> EventBody:
    fields = {
        **origin(KIT, at(10.0)),
        "site": SiteRef.of(SITE),
        "id": ulid_of(1),
        "phase": Phase.NEW,
        "rev": 1,
        "type": "person",
        "t0": None,
        "mono0": 9.5,
    }
    return EventBody(**{**fields, **changes})


def test_same_message_same_bytes_envelope_first() -> None:
    """A message is compact, in UTF-8, and begins with what every consumer looks for."""
    first, again = (event(1).render("9f2c1a7e", 7).payload for _ in range(2))

    assert first == again
    assert ["v", "dev", "stream", "seq", "boot", "mono", "ts", "clk"] == list(json.loads(first))[:8]
    assert b": " not in first


def test_unset_clock_is_said_and_the_unmeasured_is_absent() -> None:
    """`ts` and `t0` are null while the clock was never set; nothing else is ever null."""
    found = json.loads(event(1).render("9f2c1a7e", 7).payload)

    assert {"ts", "t0"} == {key for key, value in found.items() if value is None}
    assert {"n": 0, "dropped": 0} == json.loads(encode(QueueState(n=0, dropped=0)))
    assert {} == json.loads(encode(NetState()))


@pytest.mark.parametrize(
    "changes",
    [
        {"surprise": 1},
        {"dev": "K7F3K2QX4M"},
        {"boot": "xyz"},
        {"mono": float("nan")},
        {"mono0": float("inf")},
        {"mono": "10"},
        {"ts": "2026-11-22 00:31:05"},
        {"ts": "2026-11-22T00:31:05.412Z\n"},
        {"id": "01KAMZ6T3QW8E2R5T7Y9U1I3O5"},
        {"type": "Person"},
        {"score": 1.01},
        {"box": [0.1, 0.2, 0.3]},
        {"rev": 0},
        {"phase": "new"},
        {"phase": Phase.UPDATE},
        {"phase": Phase.END, "rev": 2},
        {"dur": 1.0},
        {"t1": "2026-11-22T00:31:05.412Z"},
        {"v": 2},
    ],
)
def test_strict_producer_refuses(changes: dict[str, object]) -> None:
    """What breaks the contract cannot even be made."""
    body()
    with pytest.raises(ValidationError):
        body(**changes)


def test_site_leaves_out_what_nobody_named() -> None:
    """A kit without a floor has no floor, not floor "" or 0; floor 0 is a floor."""
    assert {"city": "odesa", "district": "kyivskyi", "building": "b-17", "entrance": "2"} == json.loads(
        encode(SiteRef.of(SITE))
    )
    assert 0 == json.loads(encode(SiteRef.of(Site(floor=0))))["floor"]
    assert "51" == json.loads(encode(SiteAddress.of(SITE)))["oblast"]


def test_will_needs_no_clock() -> None:
    """The broker speaks it later: it carries no time that would be wrong by then."""
    assert {"v": 1, "dev": KIT, "state": "offline", "why": "lost", "session": 4, "boot": BOOT} == json.loads(
        encode(Will(dev=KIT, session=4, boot=BOOT))
    )


def test_consumer_is_lenient() -> None:
    """An ack may grow fields; it may not lack its own."""
    assert Ack(stream="9f2c1a7e", seq=5) == Ack.model_validate_json(
        b'{"stream":"9f2c1a7e","seq":5,"ts":"later"}'
    )
    with pytest.raises(ValidationError):
        Ack.model_validate_json(b'{"stream":"9f2c1a7e"}')
