"""What the platform signs, so that a broken broker can neither command a kit nor set it up.

A signed message is a JSON object with, beside its own fields,

- `target`: the very topic that it is published on. So it is one kind of message for one kit, or for all of
  one district, and never counts elsewhere.
- `exp`: UTC as in `ts`; after it the message means nothing. A configuration may go without: it is a state,
  which must reach a kit that was dark for months, and its revision keeps old ones from being played back.
- `nonce`: 22 characters (base64url) of 16 random bytes; the receiver takes each command's once.
- `key`: which of the platform's keys signed: the first 16 hex digits of the SHA-256 of its 32 bytes.
- `sig`: Ed25519 (RFC 8032), base64, over the line `stairwell <kind> v1` with its line feed, and the canonical
  JSON (RFC 8785) of all other fields, also of those that the receiver does not know.

A kit knows several keys (`backbone.platform_keys`): the next one is distributed before the last one goes.
Pure: a flaw is an answer, not an error.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import rfc8785

from agent.device.identity import PublicKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from agent.device.clock import Stamp

NONCE_BYTES = 16  # random ones never meet


class Kind(StrEnum):
    """What is signed: no signature of one kind can pass for one of another."""

    COMMAND = "command"
    CONFIGURATION = "configuration"

    @property
    def context(self) -> bytes:
        """What stands before the signed content."""
        return f"stairwell {self} v1\n".encode()


class Flaw(StrEnum):
    """Why a signed message does not count, in the words of the contract."""

    UNSIGNED = "unsigned"
    """There is no signature, or what it takes to check it is missing."""
    UNKNOWN_KEY = "unknown-key"
    """None of the configured keys has this id."""
    BAD_SIGNATURE = "bad-signature"
    """The key did not sign this content."""
    WRONG_TARGET = "wrong-target"
    """It was signed for another topic."""
    CLOCK_UNSET = "clock-unset"
    """The kit does not know the time, so it cannot tell whether the message is still meant."""
    EXPIRED = "expired"
    """Its time is over."""
    LIVES_TOO_LONG = "lives-too-long"
    """Its end lies further ahead than it may: it was made to be kept, or one of the two clocks is wrong."""


class Keyring:
    """The platform's public keys, each 32 bytes in base64.

    Raises:
        ValueError: one is no such key.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        known = (PublicKey.of(base64.b64decode(key, validate=True)) for key in keys)
        self._keys = {key.fingerprint: key for key in known}

    def flaw(self, kind: Kind, document: Mapping[str, Any], target: str) -> Flaw | None:
        """What is wrong with the signature of a JSON object that came on the topic `target`; None if nothing.

        Says nothing about its expiry and whether it was seen before.
        """
        key, sig = document.get("key"), document.get("sig")
        if not isinstance(key, str) or not isinstance(sig, str):
            return Flaw.UNSIGNED
        if key not in self._keys:
            return Flaw.UNKNOWN_KEY
        try:
            signature = base64.b64decode(sig, validate=True)
            content = _content(kind, document)
        except (binascii.Error, ValueError, RecursionError):
            return Flaw.BAD_SIGNATURE
        # One signature has one form: base64 leaves bits over that anybody could alter.
        one_form = base64.b64encode(signature).decode() == sig
        if not one_form or not self._keys[key].signed(signature, content):
            return Flaw.BAD_SIGNATURE
        return None if document.get("target") == target else Flaw.WRONG_TARGET


def lapsed(exp: str, now: Stamp, life_s: float) -> Flaw | None:
    """Whether a message with this `exp` (RFC 3339, UTC) counts at `now`; None if it does.

    `life_s` is how far ahead `exp` may lie. So a clock that is merely `saved`, which may be a week behind,
    lets nothing through that was not made about the time that it shows.

    Raises:
        ValueError: `exp` is no such time.
    """
    left = _seconds(exp)
    if now.ts is None:
        return Flaw.CLOCK_UNSET
    left -= _seconds(now.ts)
    if left <= 0:
        return Flaw.EXPIRED
    return Flaw.LIVES_TOO_LONG if left > life_s else None


def sign(kind: Kind, document: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """The document with `key` and `sig`, as the platform publishes it; with a fresh `nonce` if it has none.

    Raises:
        rfc8785.CanonicalizationError: it is no JSON that can be signed (an integer beyond 2**53, a NaN …).
    """
    fresh = {"nonce": secrets.token_urlsafe(NONCE_BYTES)}
    signed = {**fresh, **document, "key": PublicKey(key.public_key()).fingerprint}
    signature = key.sign(_content(kind, signed))
    return {**signed, "sig": base64.b64encode(signature).decode()}


def _content(kind: Kind, document: Mapping[str, Any]) -> bytes:
    """What the signature covers; a ValueError, as all of rfc8785's errors are, when there is no such form."""
    return kind.context + rfc8785.dumps({name: value for name, value in document.items() if name != "sig"})


def _seconds(ts: str) -> float:
    moment = datetime.fromisoformat(ts)
    if moment.utcoffset() != UTC.utcoffset(None):
        raise ValueError(f"{ts}: not in UTC")
    return moment.timestamp()
