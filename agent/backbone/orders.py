"""The contract with the backbone: what the kit may be told to do, and how it answers.

A command on `cmd/{name}` is an Order; what its `args` hold, says the kind of that name in ORDERS. Each gets
Responses on `res/{requester}`: `accepted`, any number of `progress`, then `ok` or `failed`; or `rejected`
alone, and then nothing was changed; or `duplicate` alone, with what became of the same order before.

What changes the kit or reveals something is signed by the platform (`signed`), so that no broker can give
such an order. The rest does no harm, and tells nobody more than the kit's own messages do.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field

from agent.backbone.envelope import Message
from agent.backbone.fields import (
    NAME_MAX,
    Share,
    Signature,
    Text,
    Ts,
    Ulid,
)
from agent.backbone.messages import Stamped

ORDER_MAX = 8 * 1024  # bytes; a pre-signed address with a session token has two thousand
LIFE_MAX_S = 900.0  # how far ahead `exp` may lie: the broker keeps a command for ten minutes at most
URL_MAX = 4096
CLIPS_MAX = 50  # in one answer: about 15 KB
IDENTIFY_MAX_S = 300
HEADERS_MAX = 8
_HOP_HEADERS = {"connection", "content-length", "content-range", "host", "te", "transfer-encoding", "upgrade"}
"""They belong to the transfer itself."""

Requester = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
"""A topic level: who asks."""
OrderName = Annotated[str, Field(pattern=r"^[a-z]+(/[a-z]+)?$", max_length=32)]
Number = Annotated[int, Field(ge=1, le=2**53 - 1)]
"""As far as every reader of JSON counts exactly (RFC 8785)."""
Code = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]


def _exists(ts: str) -> str:
    datetime.fromisoformat(ts)
    return ts


def _may_be_sent_to(url: str) -> str:
    parts = urlsplit(url)
    _ = parts.port  # raises ValueError when it is none
    if not parts.hostname or parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("no address of the form https://host/path?query")
    if len(parts.hostname) > NAME_MAX:  # the `clip` message names it when all was sent
        raise ValueError(f"a host of {NAME_MAX} characters at most")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError("footage leaves over https:// only")
    return url


def _may_be_fetched_from(url: str) -> str:
    if urlsplit(_may_be_sent_to(url)).scheme != "https":
        raise ValueError("releases come over https:// only")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _no_hop_headers(headers: dict[str, str]) -> dict[str, str]:
    if taken := sorted(name for name in headers if name.lower() in _HOP_HEADERS):
        raise ValueError(f"{', '.join(taken)}: the transfer's own")
    return headers


Url = Annotated[str, Field(pattern=r"^[!-~]+$", max_length=URL_MAX), AfterValidator(_may_be_sent_to)]
ReleaseUrl = Annotated[
    str, Field(pattern=r"^https://[!-~]+$", max_length=URL_MAX), AfterValidator(_may_be_fetched_from)
]
Headers = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")],
        Annotated[str, Field(pattern=r"^[ -~]{0,1024}$")],
    ],
    Field(max_length=HEADERS_MAX),
    AfterValidator(_no_hop_headers),
]


class Args(Message):
    """What an order says beside its name: nothing. An unknown argument is an error: it might matter."""


class ClipArgs(Args):
    """One clip."""

    clip: Ulid


class ListArgs(Args):
    """Clips, the newest first."""

    event: Ulid | None = Field(default=None, description="only those of this event")
    before: Number | None = Field(default=None, description="`next` of the answer before: go on from there")
    limit: Annotated[int, Field(ge=1, le=CLIPS_MAX)] = 20


class UploadArgs(ClipArgs):
    """Where to put a clip, by HTTP PUT."""

    url: Url = Field(description="pre-signed; https, its certificate checked")
    headers: Headers = Field(default={}, description="to be sent along, as the signature of `url` demands")


class UpdateArgs(Args):
    """A release of the agent, as one signed file."""

    url: ReleaseUrl = Field(description="where it lies; https, its certificate checked, no redirect followed")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="of the whole file")]
    version: Annotated[
        str, Field(pattern=r"^[0-9][0-9a-z.]{0,63}$", description="of the release, as its manifest says it")
    ]


class ResendArgs(Args):
    """Numbers of the kit's stream, both ends included."""

    first: Number = Field(alias="from")
    last: Number = Field(alias="to")


class EchoArgs(Args):
    """Something to say back."""

    text: Annotated[str, Field(max_length=1000)] = ""


class IdentifyArgs(Args):
    """How long to blink."""

    seconds: Annotated[int, Field(ge=1, le=IDENTIFY_MAX_S)] = 30


@dataclass(frozen=True, slots=True)
class OrderKind:
    """One thing that the kit may be told. `slow`: it takes its time, and other kinds go on beside it.

    `alone`: another of the kind is rejected until it has ended.
    """

    args: type[Args]
    signed: bool
    slow: bool = False
    alone: bool = False


ORDERS: dict[str, OrderKind] = {
    "snapshot": OrderKind(Args, signed=True),
    "clip/list": OrderKind(ListArgs, signed=False),
    "clip/upload": OrderKind(UploadArgs, signed=True, slow=True),
    "clip/hold": OrderKind(ClipArgs, signed=True),
    "clip/release": OrderKind(ClipArgs, signed=True),
    "resend": OrderKind(ResendArgs, signed=True),  # reveals: pictures of three days, to a broker of today
    "rebirth": OrderKind(Args, signed=False),
    "echo": OrderKind(EchoArgs, signed=False),
    "identify": OrderKind(IdentifyArgs, signed=False, slow=True, alone=True),
    "restart": OrderKind(Args, signed=True),
    "reboot": OrderKind(Args, signed=True),
    "diagnose": OrderKind(Args, signed=True, slow=True),
    "update": OrderKind(UpdateArgs, signed=True, slow=True, alone=True),
    "config/get": OrderKind(Args, signed=True),
}
"""Every order by its name."""


SIGNATURE = ("exp", "nonce", "target", "key", "sig")  # what is there in an order that is signed


def _tell_arguments(schema: dict[str, Any]) -> None:
    """Say in the schema of Order what `args` hold, and whether it is signed, by `cmd`."""
    schema["allOf"] = [
        {
            "if": {"properties": {"cmd": {"const": name}}, "required": ["cmd"]},
            "then": _demands(kind),
        }
        for name, kind in ORDERS.items()
    ]


def _demands(kind: OrderKind) -> dict[str, Any]:
    """The schema of what an order of this kind must have."""
    arguments = {"args": _arguments(kind.args)}
    if not kind.signed:
        return {"properties": arguments}
    return {"properties": {**arguments, **{name: {} for name in SIGNATURE}}, "required": list(SIGNATURE)}


def _arguments(args: type[Args]) -> dict[str, Any]:
    """The schema of arguments as they travel: what is optional is absent, never null."""
    schema = args.model_json_schema()
    fields: dict[str, dict[str, Any]] = schema.get("properties", {})
    for field in (schema, *fields.values()):
        field.pop("title", None)
    for field in fields.values():
        if field.get("default", field) is None:
            del field["default"]
            field.update(next(option for option in field.pop("anyOf") if option != {"type": "null"}))
    return schema


class Order(Message):
    """On `cmd/{name}` (down): do something.

    What changes the kit or reveals something is signed: `exp`, `nonce`, `target`, `key` and `sig` are there.
    """

    model_config = ConfigDict(extra="ignore", json_schema_extra=_tell_arguments)

    v: Literal[1] = 1
    cmd: OrderName = Field(description="the same as in the topic")
    args: dict[str, Any] = Field(default={}, description="by `cmd`")
    req: Ulid = Field(description="the same for each try of one request: it is done once")
    by: Requester = Field(description="who asks; the answer goes to res/{by} unless a response topic is set")
    exp: Annotated[Ts, AfterValidator(_exists)] | None = Field(
        default=None, description="after it the order means nothing"
    )
    nonce: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{22}$")] | None = None
    target: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="the topic that it is published on"
    )
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None
    sig: Signature | None = None


class Refusal(StrEnum):
    """Why an order was rejected, beside the flaws of `signed`. Nothing was changed."""

    MALFORMED = "malformed"
    """No JSON object, a field missing or of a wrong type, or not what its topic says."""
    TOO_LARGE = "too-large"
    RETAINED = "retained"
    """It lay at the broker: nobody gives it now."""
    UNKNOWN = "unknown-command"
    BAD_ARGUMENTS = "bad-arguments"
    BAD_REPLY = "bad-reply-address"
    """The response topic is none of this kit's, or the correlation data are too long."""
    REQ_REUSED = "req-reused"
    """Another order had the same `req`."""
    REPLAYED = "replayed"
    """Another order had the same `nonce`."""
    TOO_MANY = "too-many"
    """More orders than the kit takes at once, or unsigned ones in a time."""
    STORAGE = "storage"
    """The disk refuses to note it, so it could be done twice."""


class Response(Stamped):
    """On `res/{requester}`: what becomes of an order."""

    req: Ulid | None = Field(default=None, description="of the order; absent when it could not be read")
    cmd: OrderName | None = Field(default=None, description="as `req`")
    status: Literal["accepted", "progress", "ok", "failed", "rejected", "duplicate"]
    was: Literal["accepted", "ok", "failed"] | None = Field(
        default=None, description="with duplicate only: how the first one stands; code, text and out are its"
    )
    code: Code | None = Field(default=None, description="why, for programs; with failed and rejected always")
    text: Text | None = Field(default=None, description="why, for people")
    progress: Share | None = Field(default=None, description="how much is done")
    out: dict[str, Any] | None = Field(default=None, description="what came of it, by `cmd`")
