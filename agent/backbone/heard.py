"""What a consumer makes of one MQTT message before it looks into its accounts. Pure; it never raises.

Lenient on purpose. Fields that nobody here knows are passed over: within v1 the contract only grows. A body
that does not fit the contract still has its number, so it is kept as it came with a note of what is wrong:
refused, it would hold up the kit's watermark, and everything behind it, for ever.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from agent.backbone.drafts import HEADER
from agent.backbone.fields import Hex8, KitId, Measure, Seq
from agent.backbone.messages import (
    Accept,
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
from agent.backbone.presence import Birth, Heartbeat, Stopped, Will
from agent.backbone.topics import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

MONO_MAX_S = 1e9  # 31 years without a reboot; more is no uptime, and no date could be reckoned from it
SNAPSHOT = "snap"
ALARM = "alm"
_OTHER = {"ack", "cmd", "cfg/des", "cfg/rep", "res"}
_DETAILED = {"evt", SNAPSHOT, ALARM, "cmd", "res"}
_WHOLE: dict[str, tuple[type[BaseModel], ...]] = {
    "st": (Birth, Stopped, Will),
    "hb": (Heartbeat,),
    "evt": (Event,),
    SNAPSHOT: (Snapshot,),
    "clip": (Clip, ClipErased, ClipUploaded),
    ALARM: (Alarm, AlarmCleared),
    "stat": (Stat,),
    "accept": (Accept,),
    "gap": (Gap,),
}
"""By leaf, what a message there may be."""
_TOPIC = re.compile(rf"{ROOT}/[^/]+/[^/]+/[^/]+/(?P<kit>[^/]+)/(?P<leaf>cfg/\w+|\w+)(?P<more>/[^/]+)?")


class _View(BaseModel):
    """The few fields that a consumer needs; whatever else there is is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)


def _year_2000_to_2100(ts: object) -> object:
    """`ts` if it is a time that a kit can mean; else None, as if it had no clock."""
    try:
        return ts if isinstance(ts, str) and _YEARS[0] <= datetime.fromisoformat(ts) < _YEARS[1] else None
    except (ValueError, TypeError):
        return None


_YEARS = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_Moment = Annotated[str | None, BeforeValidator(_year_2000_to_2100)]
_Mono = Annotated[Measure, AfterValidator(lambda mono: min(mono, MONO_MAX_S))]


class Numbered(_View):
    """What an outbox message needs, to be counted."""

    stream: Hex8
    seq: Seq
    boot: Hex8
    mono: _Mono
    ts: _Moment = None


class Status(_View):
    """What birth, stopped and will have in common, and what of a birth matters here."""

    state: Literal["online", "stopped", "offline"]
    session: Seq
    boot: Hex8
    stream: Hex8 | None = None
    mono: _Mono | None = None
    ts: _Moment = None
    why: str = ""
    seq_next: Seq = 1
    seq_oldest: Seq = 1


class Beat(_View):
    """What of a heartbeat matters here."""

    stream: Hex8
    n: Seq
    boot: Hex8
    mono: _Mono


class _Origin(_View):
    v: Literal[1]
    dev: KitId


class _Ranges(_View):
    ranges: list[tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]]


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that can be attributed: `kit` sent it on `leaf` (`st`, `evt`, …).

    `message` is its JSON with all its fields, known or not; `view` what is needed of it. `trouble` says in
    what it breaks the contract, empty when it doesn't.
    """

    base: str
    kit: str
    leaf: str
    message: dict[str, Any]
    view: Numbered | Status | Beat
    trouble: str

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The numbers that a gap names. Only numbers before its own: a later one was not given yet."""
        if self.leaf != "gap" or not isinstance(self.view, Numbered):
            return []
        try:
            found = _Ranges.model_validate({"ranges": [tuple(r) for r in self.message["ranges"]]}).ranges
        except (ValidationError, KeyError, TypeError):
            return []
        return [(first, last) for first, last in found if first <= last < self.view.seq]


def read(topic: str, payload: bytes, user: Iterable[tuple[str, str]]) -> Heard | str | None:
    """The message, or why it is none; None where nothing is to be counted: commands, answers, settings, acks.

    `user` are the MQTT user properties. A snapshot's message, and that of the empty payload which clears an
    alarm, is in the property `header`.
    """
    try:
        return _read(topic, payload, user)
    except ValidationError as error:
        return _told(error)
    except ValueError as error:
        return str(error)


def _read(topic: str, payload: bytes, user: Iterable[tuple[str, str]]) -> Heard | None:
    found = _TOPIC.fullmatch(topic)
    if found is None:
        raise ValueError("no topic of the contract")
    kit, leaf = found["kit"], found["leaf"]
    if leaf not in _WHOLE.keys() | _OTHER or (leaf in _DETAILED) != bool(found["more"]):
        raise ValueError("no topic of the contract")
    if leaf in _OTHER or (leaf == "st" and not payload):  # cleared: the kit was moved, and is born elsewhere
        return None
    in_header = leaf == SNAPSHOT or not payload
    text = dict(user).get(HEADER, "").encode(errors="replace") if in_header else payload
    message = from_json(text, allow_inf_nan=False)
    if _Origin.model_validate(message).dev != kit:
        raise ValueError(f"dev: says {message['dev']}, and the topic {kit}")
    view = _view(leaf).model_validate(message)
    trouble = _trouble(leaf, text, message)
    if leaf == SNAPSHOT and not trouble and hashlib.sha256(payload).hexdigest() != message["sha256"]:
        trouble = "sha256: the picture is not the one that its header describes"
    return Heard(topic[: found.start("leaf") - 1], kit, leaf, message, view, trouble)


def _view(leaf: str) -> type[Numbered | Status | Beat]:
    return Status if leaf == "st" else Beat if leaf == "hb" else Numbered


def _trouble(leaf: str, text: bytes, message: dict[str, Any]) -> str:
    """In what a message breaks the contract, unknown fields aside."""
    models = _WHOLE[leaf]
    fitting = [m for m in models if "state" in m.model_fields and _state(m) == message.get("state")]
    try:
        (fitting or models)[0].model_validate_json(text, extra="ignore")
    except ValidationError as error:
        return _told(error)
    return ""


def _state(model: type[BaseModel]) -> object:
    return model.model_fields["state"].default


def _told(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
