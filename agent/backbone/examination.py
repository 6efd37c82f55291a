"""What came on a command topic, judged: an order that may be given, or the one reason why not. Pure.

Whatever the bytes are, the answer is one of the two; nothing raises. What was seen before, and whether an
order's time is over, is judged by whoever keeps the book: a repeated order is a duplicate, however old.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import rfc8785
from pydantic import ValidationError
from pydantic_core import from_json

from agent.backbone.orders import ORDER_MAX, ORDERS, Order, Refusal
from agent.backbone.signed import Flaw, Kind

if TYPE_CHECKING:
    from agent.backbone.link import Received
    from agent.backbone.orders import Args
    from agent.backbone.signed import Keyring
    from agent.backbone.topics import Topics

CORRELATION_MAX = 256  # bytes; a UUID has 16
TEXT_MAX = 300  # characters of an explanation
PROBLEMS_MAX = 3  # of them named at once
NOBODY = "unknown"
"""The requester in the topic of an answer to an order that does not tell who gave it."""

_REQUESTER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_REQ = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_KEY = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """How to answer: the topic, the correlation data, and what is known of the order so far."""

    topic: str
    correlation: bytes | None
    group: bool
    name: str | None
    """Of the order, as its topic says; None if there is no such order."""
    req: str | None = None
    by: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """An order that may be given, if it is not too late and was not given before."""

    envelope: Envelope
    req: str
    args: Args
    digest: str
    """The same for the same request, however often it was signed anew."""
    exp: str | None
    nonce: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """An order that is not obeyed. `text` tells a person more than `code`."""

    envelope: Envelope
    code: Refusal | Flaw
    text: str


def examine(received: Received, topics: Topics, keyring: Keyring) -> Given | Refused:
    """Judge a message on one of the command topics of `topics`."""
    prefix = topics.group_cmd("")
    group = received.topic.startswith(prefix)
    name = received.topic.removeprefix(prefix if group else topics.cmd(""))
    address, correlation = received.response_topic, received.correlation
    addressed = _is_ours(address, topics)
    fits = correlation is None or len(correlation) <= CORRELATION_MAX
    envelope = Envelope(
        address if address is not None and addressed else topics.res(NOBODY),
        correlation if fits else None,
        group=group,
        name=name if name in ORDERS else None,
    )
    if len(received.payload) > ORDER_MAX:
        return Refused(envelope, Refusal.TOO_LARGE, f"an order has {ORDER_MAX} bytes at most")
    document = _object(received.payload)
    if document is None:
        return Refused(envelope, Refusal.MALFORMED, "the payload is no JSON object")
    envelope = _told(envelope, document, topics, addressed=addressed and address is not None)
    if not addressed or not fits:
        text = (
            f"the response topic must be one of {topics.res('+')}, correlation data {CORRELATION_MAX} bytes"
        )
        return Refused(envelope, Refusal.BAD_REPLY, text)
    if received.retain:
        return Refused(envelope, Refusal.RETAINED, "an order is never retained: clear it at the broker")
    return _order(envelope, document, name, received.topic, keyring)


def _order(
    envelope: Envelope, document: dict[str, Any], name: str, topic: str, keyring: Keyring
) -> Given | Refused:
    try:
        order = Order.model_validate(document)
    except ValidationError as error:
        return Refused(envelope, Refusal.MALFORMED, _explained(error))
    if order.cmd != name:
        return Refused(envelope, Refusal.MALFORMED, "cmd: not the name in the topic")
    kind = ORDERS.get(order.cmd)
    if kind is None:
        return Refused(envelope, Refusal.UNKNOWN, f"known are {', '.join(sorted(ORDERS))}")
    if kind.signed or order.sig is not None:
        flaw = keyring.flaw(Kind.COMMAND, document, topic)
        if flaw is None and (order.exp is None or order.nonce is None):
            flaw = Flaw.UNSIGNED
        if flaw is not None:
            return Refused(envelope, flaw, _FLAWS[flaw])
    try:
        args = kind.args.model_validate(order.args)
    except ValidationError as error:
        return Refused(envelope, Refusal.BAD_ARGUMENTS, _explained(error))
    request: dict[str, Any] = {
        "cmd": order.cmd,
        "by": order.by,
        "args": args.model_dump(mode="json", by_alias=True),
    }
    digest = hashlib.sha256(rfc8785.dumps(request)).hexdigest()
    return Given(envelope, order.req, args, digest, order.exp, order.nonce)


_FLAWS = {
    Flaw.UNSIGNED: "target, exp, nonce, key and sig are needed",
    Flaw.UNKNOWN_KEY: "none of backbone.platform_keys",
    Flaw.BAD_SIGNATURE: "the key has not signed this",
    Flaw.WRONG_TARGET: "it was signed for another topic",
}


def _object(payload: bytes) -> dict[str, Any] | None:
    try:
        found = from_json(payload, allow_inf_nan=False)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _told(envelope: Envelope, document: dict[str, Any], topics: Topics, *, addressed: bool) -> Envelope:
    """The envelope with what the document tells of its order, whatever else is wrong with it."""
    req, by, key = (document.get(name) for name in ("req", "by", "key"))
    by = by if isinstance(by, str) and _REQUESTER.fullmatch(by) else None
    return Envelope(
        envelope.topic if addressed or by is None else topics.res(by),
        envelope.correlation,
        envelope.group,
        envelope.name,
        req if isinstance(req, str) and _REQ.fullmatch(req) else None,
        by,
        key if isinstance(key, str) and _KEY.fullmatch(key) else None,
    )


def _is_ours(address: str | None, topics: Topics) -> bool:
    """Whether an answer may go there: to no other kit's topics, and to nobody's but a requester's."""
    if address is None:
        return True
    prefix = topics.res("")
    return address.startswith(prefix) and _REQUESTER.fullmatch(address, len(prefix)) is not None


def _explained(error: ValidationError) -> str:
    """What is wrong, by field; never the values, which are a stranger's."""
    problems = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)[:PROBLEMS_MAX]
    ]
    return "".join(c if c.isprintable() else "?" for c in "; ".join(problems)[:TEXT_MAX])
