"""The contract with the backbone: what every message has in common, and those that the outbox carries.

The kit's presence is in `presence`.

The kit is a strict producer: an unknown, missing or ill-typed field raises ValidationError where the
message is made. A field that cannot be measured is absent, never zero; only `ts`, `t0` and `since` are
sent as null, because "the clock was never set" is itself the news.

A message that goes through the outbox exists twice: as a body (`EventBody`), which the agent makes, and
numbered (`Event`), after the outbox gave it its stream and seq. A payload that is not JSON (a JPEG, or the
empty payload that clears a retained alarm) carries its message as JSON in the MQTT user property `header`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from agent.backbone.envelope import Message
from agent.backbone.fields import (  # noqa: TC001 - pydantic reads them
    AlarmCode,
    BoxList,
    Count,
    Grid,
    Hex8,
    KitId,
    Measure,
    Name,
    Percentiles,
    PublicKey,
    Seq,
    Sha256,
    Share,
    Signature,
    Text,
    Ts,
    Ulid,
)
from agent.types import ClockState, EventKind, Phase

if TYPE_CHECKING:
    from agent.config import Site
    from agent.device.clock import Stamp


def origin(kit: str, stamp: Stamp) -> dict[str, Any]:
    """The fields of Stamped: who speaks, and when."""
    return {"dev": kit, "boot": stamp.boot, "mono": stamp.mono, "ts": stamp.ts, "clk": stamp.clk}


class Stamped(Message):
    """Who speaks, and when. Order by (boot, mono); `ts` is null while the clock was never set."""

    v: Literal[1] = 1
    dev: KitId
    boot: Hex8 = Field(description="changes with every boot")
    mono: Measure = Field(description="seconds since boot, never jumps")
    ts: Ts | None
    clk: ClockState = Field(description="where ts comes from")


class Numbered(Message):
    """What the outbox adds: (stream, seq) is dense, and a message seen twice has the same pair."""

    stream: Hex8 = Field(description="changes only when the outbox is created anew")
    seq: Seq


class SiteRef(Message):
    """Where the kit hangs; what nobody named is absent."""

    city: Name
    district: Name
    katotth: Name | None = None
    precinct: Name | None = None
    building: Name | None = None
    entrance: Name | None = None
    floor: int | None = None

    @classmethod
    def of(cls, site: Site) -> SiteRef:
        """The reference that travels in events."""
        return SiteRef(**_named(site, without="oblast"))


class SiteAddress(SiteRef):
    """The whole address, for the birth."""

    oblast: Annotated[str, Field(pattern=r"^[0-9]{2}$")] = Field(description="ISO 3166-2:UA number")

    @classmethod
    def of(cls, site: Site) -> SiteAddress:
        """The address that travels in the birth."""
        return SiteAddress(**_named(site, without=None))


def _named(site: Site, *, without: str | None) -> dict[str, Any]:
    return {key: value for key, value in site.model_dump().items() if value != "" and key != without}


class EventBody(Stamped):
    """One step of an event's life on `evt/{type}`."""

    site: SiteRef
    id: Ulid
    phase: Phase
    rev: Seq = Field(description="1 with new, more with each later step; a lower rev is old news")
    type: EventKind
    t0: Ts | None = Field(description="when it began")
    mono0: Measure = Field(description="when it began, in seconds of `boot`")
    t1: Ts | None = Field(default=None, description="last evidence; with end only")
    dur: Measure | None = Field(default=None, description="seconds; with end only")
    score: Share | None = None
    top: Share | None = Field(default=None, description="highest score so far")
    count: Count | None = Field(default=None, description="most persons seen together")
    box: BoxList | None = None
    zones: list[Name] = Field(default=[], description="zones entered so far")
    dir: Name | None = Field(default=None, description="the way in which a line was crossed last")
    model: Name | None = Field(default=None, description="detector")
    why: Literal["restart"] | None = Field(
        default=None, description="restart: left open by a run that was killed"
    )
    replay: bool = Field(
        default=False, description="made from footage, recorded or drawn, not from a live camera"
    )

    @model_validator(mode="after")
    def _phase_fits(self) -> Self:
        if (self.phase is Phase.NEW) != (self.rev == 1):
            raise ValueError("rev is 1 with new, and with new only")
        if (self.phase is Phase.END) != (self.dur is not None):
            raise ValueError("dur belongs to end, and to end only")
        if self.t1 is not None and self.phase is not Phase.END:
            raise ValueError("t1 belongs to end only")
        return self


class Event(EventBody, Numbered):
    """One step of an event's life on `evt/{type}`."""


class SnapshotBody(Stamped):
    """Header of the JPEG on `snap/{event}`: the payload is the picture, this its user property `header`."""

    event: Ulid
    box: BoxList
    bytes: Seq
    sha256: Sha256
    width: Seq
    height: Seq
    content_type: Literal["image/jpeg"] = "image/jpeg"


class Snapshot(SnapshotBody, Numbered):
    """Header of the JPEG on `snap/{event}`: the payload is the picture, this its user property `header`."""


class Sealing(Message):
    """How a clip's file is sealed."""

    fmt: Literal["age", "none"] = Field(description="age: age-encryption.org/v1, X25519")
    keys: list[Name] = Field(
        default=[], description="who can open it: the first 16 hex digits of each recipient's SHA-256"
    )


class ClipBody(Stamped):
    """On `clip`: a clip is there, complete and playable; what it is, its signed manifest proves."""

    clip: Ulid
    state: Literal["available"] = "available"
    events: list[Ulid]
    t0: Ts | None = Field(description="first picture")
    mono0: Measure = Field(description="first picture, in seconds of `boot`")
    dur: Measure
    bytes: Count = Field(description="of the file as it lies there, sealed")
    sha256: Sha256 = Field(description="the same")
    codec: Name
    width: Seq
    height: Seq
    part: Seq = Field(default=1, description="a long event's clip goes on in part 2")
    sealed: Sealing
    truncated: bool = Field(default=False, description="cut by a power loss, recovered to its last sync")
    manifest: Sha256 = Field(description="SHA-256 of its manifest, canonical (RFC 8785) without `sig`")
    prev: Sha256 | None = Field(
        default=None, description="`manifest` of the clip before it; absent for the first of a stream"
    )
    sig: Signature = Field(
        description='Ed25519 of "stairwell clip manifest v1\n" and the 32 bytes of `manifest`, base64'
    )


class Clip(ClipBody, Numbered):
    """On `clip`: a clip is there, complete and playable; what it is, its signed manifest proves."""


class ClipUploadedBody(Stamped):
    """On `clip`: a clip was put where `cmd/clip/upload` said, whole."""

    clip: Ulid
    state: Literal["uploaded"] = "uploaded"
    req: Ulid = Field(description="of the order")
    host: Name = Field(description="where it went; the rest of the address is a secret of whoever gave it")
    bytes: Count = Field(description="as in the clip's first message")
    sha256: Sha256 = Field(description="the same, of the very bytes that were sent")


class ClipUploaded(ClipUploadedBody, Numbered):
    """On `clip`: a clip was put where `cmd/clip/upload` said, whole."""


class ClipErasedBody(Stamped):
    """On `clip`: a clip is gone."""

    clip: Ulid
    state: Literal["erased"] = "erased"
    why: Name


class ClipErased(ClipErasedBody, Numbered):
    """On `clip`: a clip is gone."""


class Words(Message):
    """One text in both languages."""

    uk: Text
    en: Text


class AlarmBody(Stamped):
    """Retained on `alm/{code}` while the alarm is raised."""

    code: AlarmCode
    sev: Literal["minor", "major", "critical"]
    state: Literal["raised"] = "raised"
    since: Ts | None
    mono0: Measure = Field(description="since when, in seconds of `boot`")
    text: Words
    fix: Words


class Alarm(AlarmBody, Numbered):
    """Retained on `alm/{code}` while the alarm is raised."""


class AlarmClearedBody(Stamped):
    """Header of the empty payload that clears `alm/{code}`, in its user property `header`."""

    code: AlarmCode
    state: Literal["cleared"] = "cleared"


class AlarmCleared(AlarmClearedBody, Numbered):
    """Header of the empty payload that clears `alm/{code}`, in its user property `header`."""


class StatBody(Stamped):
    """Hourly on `stat`: what the view was worth. Figures are of the time observed, not of the hour."""

    t0: Ts | None = Field(description="when the hour began")
    mono0: Measure = Field(description="when the hour began, in seconds of `boot`")
    observed_min: Measure = Field(description="minutes in which pictures were analysed")
    motion_min: Measure = Field(description="minutes with motion among them")
    person_min: Measure = Field(description="minutes with a person in view among them")
    visits: Count = Field(description="person events begun")
    dark_min: Measure = Field(description="minutes too dark to see anything")
    covered_min: Measure = Field(description="minutes with the lens covered or blinded")
    muted: Count = Field(description="things taken for a person and muted, because they never move")
    sharpness: Percentiles | None = Field(default=None, description="levels; absent when nothing was seen")
    brightness: Percentiles | None = Field(default=None, description="levels 0..255; absent as above")
    grid: Grid = Field(
        description="share of the observed time with a person's foot there, 8 rows from the top, of 8 cells"
    )
    lines: dict[Name, dict[Name, Count]] = Field(default={}, description="crossings by line and way")


class Stat(StatBody, Numbered):
    """Hourly on `stat`: what the view was worth. Figures are of the time observed, not of the hour."""


class AcceptedStep(Message):
    """One step of a kit's commissioning."""

    step: Name
    state: Literal["passed", "waived"]
    ts: Ts | None = Field(description="when; null when the clock was not set then")
    by: Name = Field(description="the login that took it")
    why: Text | None = Field(default=None, description="the reason of a waiver")


class AcceptBody(Stamped):
    """On `accept`: somebody hung the kit, saw that all of it works, and signs for it by name."""

    by: Name = Field(description="who signs")
    site: SiteAddress
    sw: Name = Field(description="version of the agent")
    key: PublicKey = Field(
        description="of the signatures of its manifests: what the label's fingerprint is of"
    )
    checks: Text = Field(description="what the doctor's checks came to")
    passed: bool = Field(description="whether none of them failed")
    why: Text | None = Field(default=None, description="why it was signed for although some failed")
    steps: list[AcceptedStep] = Field(min_length=1)


class Accept(AcceptBody, Numbered):
    """On `accept`: somebody hung the kit, saw that all of it works, and signs for it by name."""


class GapBody(Stamped):
    """On `gap`: these numbers will never come.

    `ranges` lists them exactly; between `from` and `to` lie others that were or will be delivered, so a
    watermark may pass only what `ranges` names.
    """

    first: Seq = Field(alias="from", description="the lowest of them")
    last: Seq = Field(alias="to", description="the highest of them")
    why: Literal["full", "corrupt", "too-large", "restart", "refused", "expired"] = Field(
        description="restart: pictures that waited encrypted, and whose key went with the kit's memory; "
        "refused: the disk took no writes for so long that they had no place in memory either; "
        "expired: they have waited for so long (`outbox.wait_h`) that they are of no use any more"
    )
    count: Seq = Field(description="how many")
    ranges: list[Annotated[list[Seq], Field(min_length=2, max_length=2)]] = Field(
        min_length=1, description="first and last number of each run"
    )


class Gap(GapBody, Numbered):
    """On `gap`: these numbers will never come.

    `ranges` lists them exactly; between `from` and `to` lie others that were or will be delivered, so a
    watermark may pass only what `ranges` names.
    """


class Ack(BaseModel):
    """On `ack` (down): the platform has stored every number of the stream up to `seq`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    stream: Hex8
    seq: Count


Body = (
    EventBody
    | SnapshotBody
    | ClipBody
    | ClipUploadedBody
    | ClipErasedBody
    | StatBody
    | AcceptBody
    | AlarmBody
    | AlarmClearedBody
    | GapBody
)
"""What the outbox takes."""

NUMBERED: dict[type[Message], type[Message]] = {
    EventBody: Event,
    SnapshotBody: Snapshot,
    ClipBody: Clip,
    ClipUploadedBody: ClipUploaded,
    ClipErasedBody: ClipErased,
    StatBody: Stat,
    AcceptBody: Accept,
    AlarmBody: Alarm,
    AlarmClearedBody: AlarmCleared,
    GapBody: Gap,
}
