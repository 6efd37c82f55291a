"""The public keys to which clips are sealed: `age1…`, an X25519 key in Bech32 (BIP 173).

An age recipient is no secret: it only closes. What opens is its other half, `AGE-SECRET-KEY-1…`, which never
comes near a kit.
"""

from __future__ import annotations

import hashlib

from agent.config_words import UnfitError
from agent.words import say

PREFIX = "age"
KEY_BYTES = 32
KEY_ID_DIGITS = 16  # 64 bits: no two of a city's few keys are ever taken for one another

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECK_DIGITS = 6


def recipient_key(recipient: str) -> bytes:
    """The 32 bytes of the X25519 public key that `recipient` names.

    Raises:
        ValueError: it is no age recipient; the text says why, and repeats no secret.
    """
    if recipient.upper().startswith("AGE-SECRET-KEY-"):
        raise UnfitError(
            say("this is a secret key: it must never be on a kit; `age-keygen -y` gives its recipient")
        )
    prefix, one, digits = recipient.rpartition("1")
    if not one or prefix != PREFIX or set(digits) - set(_ALPHABET) or len(digits) <= _CHECK_DIGITS:
        raise UnfitError(
            say("an age recipient is age1 and 58 lower case letters and digits, as `age-keygen` prints")
        )
    values = [_ALPHABET.index(digit) for digit in digits]
    expanded = [ord(c) >> 5 for c in PREFIX] + [0] + [ord(c) & 31 for c in PREFIX]
    if _polymod(expanded + values) != 1:
        raise UnfitError(say("the check characters are wrong: copy the recipient again"))
    bits = 0
    for value in values[:-_CHECK_DIGITS]:
        bits = bits << 5 | value
    spare = 5 * (len(values) - _CHECK_DIGITS) - 8 * KEY_BYTES
    if not 0 <= spare < 5 or bits & (1 << spare) - 1:  # noqa: PLR2004 - bits of a Bech32 character
        raise UnfitError(say("an age recipient holds {n} bytes", n=KEY_BYTES))
    return (bits >> spare).to_bytes(KEY_BYTES)


def check_recipient(recipient: str) -> str:
    """`recipient` itself if it is valid.

    Raises:
        ValueError: it isn't; the text says why.
    """
    recipient_key(recipient)
    return recipient


def key_id(recipient: str) -> str:
    """The short name of a recipient in manifests and messages: the head of the SHA-256 of its text."""
    return hashlib.sha256(recipient.encode("ascii")).hexdigest()[:KEY_ID_DIGITS]


def _polymod(values: list[int]) -> int:
    """The Bech32 checksum, as BIP 173 defines it."""
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    return check
