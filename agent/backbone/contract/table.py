"""Every message of the contract, with the topic that it travels on and how MQTT carries it.

A new message is one row here and one example in `example`; schema, document and tests follow from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from agent.backbone.configuration import Desired, Reported
from agent.backbone.messages import (
    Accept,
    Ack,
    Alarm,
    AlarmCleared,
    Clip,
    ClipErased,
    ClipUploaded,
    Event,
    Gap,
    Snapshot,
    Stat,
)
from agent.backbone.orders import Order, Response
from agent.backbone.presence import Birth, Heartbeat, Stopped, Will
from agent.backbone.topics import ROOT

if TYPE_CHECKING:
    from pydantic import BaseModel


class Carrier(StrEnum):
    """Where a message is, in a PUBLISH."""

    PAYLOAD = "payload"
    """The payload is the message, JSON in UTF-8."""
    PICTURE = "picture"
    """The payload is a JPEG; the message is in the user property `header`."""
    EMPTY = "empty"
    """There is no payload; the message is in the user property `header`."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """The Message Expiry Interval: how many seconds the broker keeps a message for who isn't there."""

    least_s: int
    most_s: int
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    """One message, and how it travels.

    `topic` begins below the kit's own level of the topic; `of` is that level: a kit, or all kits of a
    district. `retained` says that the broker keeps the last one. `reply` names the message that answers it.
    """

    model: type[BaseModel]
    topic: str
    sender: Literal["kit", "platform"] = "kit"
    of: Literal["{kit}", "_all"] = "{kit}"
    carrier: Carrier = Carrier.PAYLOAD
    qos: Literal[0, 1] = 1
    retained: bool = False
    expiry: Expiry | None = None
    reply: str | None = None

    @property
    def address(self) -> str:
        """The whole topic, with its parameters in braces."""
        return f"{ROOT}/{{oblast}}/{{city}}/{{district}}/{self.of}/{self.topic}"


_ORDER_EXPIRY = Expiry(1, 600, "an order that waits longer for its kit is not meant any more")

MESSAGES: dict[str, Row] = {
    "st.birth": Row(Birth, "st", retained=True),
    "st.stopped": Row(Stopped, "st", retained=True),
    "st.will": Row(Will, "st", retained=True),
    "hb": Row(Heartbeat, "hb", qos=0, expiry=Expiry(3, 10800, "three heartbeats; 90 s unless configured")),
    "evt": Row(Event, "evt/{type}"),
    "snap": Row(Snapshot, "snap/{event}", carrier=Carrier.PICTURE),
    "clip.available": Row(Clip, "clip"),
    "clip.uploaded": Row(ClipUploaded, "clip"),
    "clip.erased": Row(ClipErased, "clip"),
    "alm": Row(Alarm, "alm/{code}", retained=True),
    "alm.cleared": Row(AlarmCleared, "alm/{code}", carrier=Carrier.EMPTY, retained=True),
    "stat": Row(Stat, "stat"),
    "accept": Row(Accept, "accept"),
    "gap": Row(Gap, "gap"),
    "cmd": Row(Order, "cmd/{name}", sender="platform", expiry=_ORDER_EXPIRY, reply="res"),
    "cmd.group": Row(Order, "cmd/{name}", sender="platform", of="_all", expiry=_ORDER_EXPIRY, reply="res"),
    "res": Row(Response, "res/{requester}", expiry=Expiry(1, 600, "nobody waits longer for an answer")),
    "cfg.rep": Row(Reported, "cfg/rep", retained=True),
    "cfg.des": Row(Desired, "cfg/des", sender="platform", retained=True),
    "ack": Row(Ack, "ack", sender="platform"),
}
"""Every message by its name in the contract."""
