"""Identities that people say aloud: eight characters of Crockford base32, which has no I, L, O or U."""

from agent.kitid import ALPHABET

ENTROPY_BYTES = 5
_DIGITS = 8


def short_id(entropy: bytes) -> str:
    """The identity that these ENTROPY_BYTES bytes come to: 40 bits, so that no two of a fleet's are alike."""
    number = int.from_bytes(entropy)
    return "".join(ALPHABET[number >> 5 * digit & 31] for digit in range(_DIGITS))
