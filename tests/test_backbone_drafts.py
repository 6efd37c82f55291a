"""From messages to publications."""

from __future__ import annotations

import json

import pytest
from backbone_samples import (
    BOOT,
    JPEG,
    KIT,
    TOPICS,
    at,
    cleared,
    clip,
    erased,
    event,
    raised,
    snapshot,
    stat,
    ulid_of,
)
from pydantic import ValidationError

from agent.backbone.drafts import HEADER, Draft, DropOrder, Priority, draft, heartbeat, status
from agent.backbone.messages import GapBody, origin
from agent.backbone.presence import Heartbeat, QueueState, Will
from agent.backbone.topics import Topics
from agent.types import Phase


def gap() -> Draft:
    fields = {"from": 1, "to": 2, "why": "full", "count": 2, "ranges": [[1, 2]]}
    return draft(TOPICS, GapBody(**{**origin(KIT, at(1.0)), **fields}))


@pytest.mark.parametrize(
    ("made", "leaf", "priority", "order"),
    [
        (event(1), "evt/person", Priority.EVENT, DropOrder.EVENT),
        (event(1, Phase.END), "evt/person", Priority.EVENT, DropOrder.EVENT),
        (event(1, Phase.UPDATE), "evt/person", Priority.DETAIL, DropOrder.UPDATE),
        (event(1, kind="loitering"), "evt/loitering", Priority.EVENT, DropOrder.EVENT),
        (event(1, kind="motion"), "evt/motion", Priority.DETAIL, DropOrder.MOTION),
        (event(1, kind="tamper"), "evt/tamper", Priority.URGENT, DropOrder.NEVER),
        (event(1, Phase.UPDATE, "tamper"), "evt/tamper", Priority.URGENT, DropOrder.NEVER),
        (snapshot(1), f"snap/{ulid_of(1)}", Priority.PICTURE, DropOrder.SNAPSHOT),
        (clip(1), "clip", Priority.CLIP, DropOrder.CLIP),
        (erased(1), "clip", Priority.CLIP, DropOrder.EXPIRED_CLIP),
        (stat(), "stat", Priority.DETAIL, DropOrder.STAT),
        (raised(), "alm/camera.no_frames", Priority.URGENT, DropOrder.NEVER),
        (cleared(), "alm/camera.no_frames", Priority.URGENT, DropOrder.NEVER),
        (gap(), "gap", Priority.URGENT, DropOrder.NEVER),
    ],
)
def test_each_message_has_its_topic_and_rank(
    made: Draft, leaf: str, priority: Priority, order: DropOrder
) -> None:
    """Where it goes, how soon, and how late it is given up."""
    assert (f"{TOPICS.base}/{leaf}", priority, order) == (made.topic, made.priority, made.drop_order)


def test_snapshot_is_the_picture_with_its_header_beside_it() -> None:
    """A viewer can show the payload as it is."""
    found = snapshot(1).render("9f2c1a7e", 5)
    header = json.loads(dict(found.user)[HEADER])

    assert (JPEG, "image/jpeg", False) == (found.payload, found.content_type, found.retain)
    assert (5, len(JPEG)) == (header["seq"], header["bytes"])


def test_alarm_is_retained_until_an_empty_payload_clears_it() -> None:
    """A platform that connects later sees what is wrong now, and nothing that is over."""
    up, down = raised().render("9f2c1a7e", 1), cleared().render("9f2c1a7e", 2)

    assert up.topic == down.topic
    assert (True, True, b"") == (up.retain, down.retain, down.payload)
    assert "cleared" == json.loads(dict(down.user)[HEADER])["state"]


def test_wrong_number_is_refused_when_rendered() -> None:
    """What the outbox adds is held to the contract as well."""
    with pytest.raises(ValidationError):
        event(1).render("9f2c1a7e", 0)
    with pytest.raises(ValidationError):
        event(1).render("no stream", 1)


def test_draft_that_contradicts_itself_is_refused() -> None:
    """Another kit's message, a picture that is not the one described, a picture too many or too few."""
    with pytest.raises(ValueError, match="k7f3k2qx4m"):
        draft(Topics("51", "odesa", "kyivskyi", "0000000000"), event(1).body)
    with pytest.raises(ValueError, match="not the one"):
        draft(TOPICS, snapshot(1).body, JPEG + b"!")
    with pytest.raises(ValueError, match="not the one"):
        draft(TOPICS, snapshot(1).body)
    with pytest.raises(ValueError, match="no picture"):
        draft(TOPICS, event(1).body, JPEG)


def test_presence_is_retained_and_pulse_is_not() -> None:
    """A heartbeat is QoS 0 and expires after three periods; the state stays."""
    pulse = Heartbeat(
        **origin(KIT, at(5.0)),
        stream="9f2c1a7e",
        n=1,
        up=3.5,
        q=QueueState(n=0, dropped=0),
        ev24=0,
    )
    beat = heartbeat(TOPICS, pulse, 30.0)
    will = status(TOPICS, Will(dev=KIT, session=1, boot=BOOT))

    assert (TOPICS.hb, 0, False, 90) == (beat.topic, beat.qos, beat.retain, beat.expiry_s)
    assert (TOPICS.st, 1, True, None) == (will.topic, will.qos, will.retain, will.expiry_s)
