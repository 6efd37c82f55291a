"""From messages to publications.

What goes through the outbox is a Draft: a body that knows neither its stream nor its number. The outbox
renders it once, validated, and stores the very bytes that will be sent. What doesn't (birth, stopped, will,
heartbeat) becomes a Publication at once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from agent.backbone.envelope import encode
from agent.backbone.messages import (
    NUMBERED,
    AcceptBody,
    AlarmBody,
    AlarmClearedBody,
    Body,
    ClipBody,
    ClipErasedBody,
    ClipUploadedBody,
    EventBody,
    GapBody,
    SnapshotBody,
    StatBody,
)
from agent.backbone.publication import Publication
from agent.types import Phase

if TYPE_CHECKING:
    from agent.backbone.presence import Birth, Heartbeat, Stopped, Will
    from agent.backbone.topics import Topics

HEADER = "header"
"""The user property that carries the message when the payload is no JSON."""

MISSED_HEARTBEATS = 3  # a heartbeat that is older than this many is no news: the broker drops it


class Priority(IntEnum):
    """Lower is sent first."""

    URGENT = 0
    """Alarms, tamper and gaps; sent in the order of their numbers, for alarms are retained."""
    EVENT = 1
    CLIP = 2
    DETAIL = 3
    PICTURE = 4


class DropOrder(IntEnum):
    """What a full outbox drops first; within one kind the oldest."""

    UPDATE = 1
    SNAPSHOT = 2
    MOTION = 3
    STAT = 4
    EXPIRED_CLIP = 5
    EVENT = 6
    CLIP = 7
    """Clips that still exist: last of what may go."""
    NEVER = 8
    """Tamper, gaps, acceptances, and alarms but for what each said before its last words (`eviction`)."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A message for the outbox, not yet numbered. Made by `draft`."""

    topic: str
    body: Body
    picture: bytes | None
    priority: Priority
    drop_order: DropOrder
    retain: bool = False
    subject: str | None = None
    """What several messages speak of: an event, an alarm, a clip. They go one after the other, but for what
    matters less; and once a clip is erased, the message that announced it may be dropped."""

    def render(self, stream: str, seq: int) -> Publication:
        """The publication, numbered and validated.

        Raises:
            ValidationError: the message breaks the contract.
        """
        numbered = NUMBERED[type(self.body)]
        message = numbered.model_validate({**_fields(self.body), "stream": stream, "seq": seq})
        text = encode(message)
        if isinstance(self.body, SnapshotBody | AlarmClearedBody):
            return Publication(
                self.topic,
                self.picture or b"",
                retain=self.retain,
                content_type=self.body.content_type if isinstance(self.body, SnapshotBody) else None,
                user=((HEADER, text.decode()),),
            )
        return Publication(self.topic, text, retain=self.retain)


def draft(topics: Topics, body: Body, picture: bytes | None = None) -> Draft:
    """The draft of `body` for the kit of `topics`; `picture` is the JPEG that a SnapshotBody describes.

    Raises:
        ValueError: the body is another kit's, or the picture is missing, needless or not the one described.
    """
    if body.dev != topics.kit:
        raise ValueError(f"a message of {body.dev} cannot go out under {topics.base}")
    if isinstance(body, SnapshotBody):
        if picture is None or (len(picture), hashlib.sha256(picture).hexdigest()) != (
            body.bytes,
            body.sha256,
        ):
            raise ValueError(f"the picture of event {body.event} is not the one that its header describes")
    elif picture is not None:
        raise ValueError(f"{type(body).__name__} carries no picture")
    return _file(topics, body, picture)


def status(topics: Topics, message: Birth | Stopped | Will) -> Publication:
    """The retained publication on `st`."""
    return Publication(topics.st, encode(message), retain=True)


def heartbeat(topics: Topics, message: Heartbeat, period_s: float) -> Publication:
    """The heartbeat's publication: QoS 0, forgotten by the broker when stale."""
    return Publication(
        topics.hb, encode(message), qos=0, expiry_s=max(1, round(MISSED_HEARTBEATS * period_s))
    )


def _fields(body: Body) -> dict[str, Any]:
    return {(field.alias or name): getattr(body, name) for name, field in type(body).model_fields.items()}


def _file(topics: Topics, body: Body, picture: bytes | None) -> Draft:
    """Topic, priority and drop order of each kind of message."""
    match body:
        case EventBody():
            return _event(topics.evt(body.type), body)
        case SnapshotBody():
            topic = topics.snap(body.event)
            return Draft(topic, body, picture, Priority.PICTURE, DropOrder.SNAPSHOT, subject=body.event)
        case ClipBody() | ClipUploadedBody() | ClipErasedBody():
            return _clip(topics.clip, body)
        case StatBody() | AcceptBody():
            return _account(topics, body)
        case AlarmBody() | AlarmClearedBody():
            topic = topics.alm(body.code)
            return Draft(topic, body, None, Priority.URGENT, DropOrder.NEVER, retain=True, subject=body.code)
        case GapBody():
            return Draft(topics.gap, body, None, Priority.URGENT, DropOrder.NEVER, subject=body.why)


def _account(topics: Topics, body: StatBody | AcceptBody) -> Draft:
    if isinstance(body, AcceptBody):
        return Draft(topics.accept, body, None, Priority.EVENT, DropOrder.NEVER)
    return Draft(topics.stat, body, None, Priority.DETAIL, DropOrder.STAT)


def _event(topic: str, body: EventBody) -> Draft:
    if body.type == "tamper":
        priority, order = Priority.URGENT, DropOrder.NEVER
    elif body.phase is Phase.UPDATE:
        priority, order = Priority.DETAIL, DropOrder.UPDATE
    elif body.type == "motion":
        priority, order = Priority.DETAIL, DropOrder.MOTION
    else:
        priority, order = Priority.EVENT, DropOrder.EVENT
    return Draft(topic, body, None, priority, order, subject=body.id)


def _clip(topic: str, body: ClipBody | ClipUploadedBody | ClipErasedBody) -> Draft:
    """What speaks of the same clip has one subject: once it is erased, none of it matters much."""
    order = DropOrder.EXPIRED_CLIP if isinstance(body, ClipErasedBody) else DropOrder.CLIP
    return Draft(topic, body, None, Priority.CLIP, order, subject=body.clip)
