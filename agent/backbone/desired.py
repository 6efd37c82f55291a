"""What came on `cfg/des`, judged by itself: the platform's configuration, or the reason why it is none. Pure.

Whatever the bytes are, the answer is one of the two; nothing raises. Whether the revision is new, `revisions`
knows; whether the kit can run with the values, whoever has the kit's own file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import rfc8785
from pydantic import ValidationError
from pydantic_core import from_json

from agent.backbone.configuration import Desired, Refusal
from agent.backbone.envelope import PAYLOAD_MAX
from agent.backbone.signed import Flaw, Kind, lapsed

if TYPE_CHECKING:
    from agent.backbone.link import Received
    from agent.backbone.signed import Keyring
    from agent.device.clock import Stamp

LIFE_MAX_S = 400 * 86_400.0  # a configuration is a state, not an order: one that lapses may do so in a year
TEXT_MAX = 300  # characters of an explanation
PROBLEMS_MAX = 3  # of them named at once

_FLAWS = {
    Flaw.UNSIGNED: "target, nonce, key and sig are needed",
    Flaw.UNKNOWN_KEY: "none of backbone.platform_keys",
    Flaw.BAD_SIGNATURE: "the key has not signed this",
    Flaw.WRONG_TARGET: "it was signed for another topic",
    Flaw.CLOCK_UNSET: "it has an `exp`, and the kit does not know the time",
    Flaw.EXPIRED: "its `exp` is over",
    Flaw.LIVES_TOO_LONG: f"its `exp` lies more than {LIFE_MAX_S / 86_400:.0f} days ahead",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A configuration that the platform signed for this kit. `key` is the id of the key that did."""

    rev: int
    values: dict[str, dict[str, Any]]
    key: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A configuration of which nothing is applied. `detail` tells a person more than `why`.

    `rev` is known only once the signature was found good: before that nothing of it is to be believed.
    """

    why: Refusal | Flaw
    detail: str
    rev: int | None = None
    errors: dict[str, str] = field(default_factory=dict)
    """By key, what is wrong with it."""


def judge(received: Received, topic: str, keyring: Keyring, now: Stamp) -> Wanted | Refused:
    """Judge a message that came on the kit's `topic` for configurations."""
    if len(received.payload) > PAYLOAD_MAX:
        return Refused(Refusal.TOO_LARGE, f"a configuration has {PAYLOAD_MAX} bytes at most")
    try:
        document = from_json(received.payload, allow_inf_nan=False)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return Refused(Refusal.MALFORMED, "the payload is no JSON object")
    flaw = keyring.flaw(Kind.CONFIGURATION, document, topic)
    return _read(document, now) if flaw is None else Refused(flaw, _FLAWS[flaw])


def _read(document: dict[str, Any], now: Stamp) -> Wanted | Refused:
    """Of what the platform has signed."""
    try:
        desired = Desired.model_validate(document)
        flaw = None if desired.exp is None else lapsed(desired.exp, now, LIFE_MAX_S)
    except ValidationError as error:
        return Refused(Refusal.MALFORMED, _explained(error))
    except ValueError as error:
        return Refused(Refusal.MALFORMED, f"exp: {error}"[:TEXT_MAX])
    if flaw is not None:
        return Refused(flaw, _FLAWS[flaw], desired.rev)
    return Wanted(desired.rev, desired.values, desired.key)


def digest(values: dict[str, dict[str, Any]]) -> str:
    """The same for the same values, however often they were signed anew. SHA-256, hex.

    Raises:
        rfc8785.CanonicalizationError: they have no canonical form; those that were signed have one.
    """
    return hashlib.sha256(rfc8785.dumps(values)).hexdigest()


def _explained(error: ValidationError) -> str:
    """What is wrong, by field; never the values."""
    problems = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)[:PROBLEMS_MAX]
    ]
    return "; ".join(problems)[:TEXT_MAX]
