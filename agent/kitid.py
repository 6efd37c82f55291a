"""The kit's name: ten characters of Crockford base32, the last a Luhn mod 32 check character.

Crockford's alphabet has no I, L, O, U, so a label is read aloud without mistakes; Luhn mod N finds
every single wrong character and nearly every swapped pair. Lower case throughout: it is a topic level.
"""

from __future__ import annotations

from agent.config_words import UnfitError
from agent.words import say

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 10


def check_character(body: str) -> str:
    """The character that makes `body` (without it) a valid id.

    Source: Luhn mod N, as ISO/IEC 7812-1 annex B generalised to a base of 32.
    """
    total = sum(_digit_sum(ALPHABET.index(c) * (2 - i % 2)) for i, c in enumerate(reversed(body)))
    return ALPHABET[-total % len(ALPHABET)]


def check_kit_id(kit: str) -> str:
    """`kit` itself if it is valid.

    Raises:
        ValueError: it isn't; the text says why.
    """
    if len(kit) != LENGTH or any(c not in ALPHABET for c in kit):
        raise UnfitError(say("a kit id is {n} characters of {alphabet}", n=LENGTH, alphabet=ALPHABET))
    expected = check_character(kit[:-1])
    if kit[-1] != expected:
        raise UnfitError(
            say(
                "the check character is wrong: {start} ends in {expected}; read the label again",
                start=kit[:-1],
                expected=expected,
            )
        )
    return kit


def _digit_sum(value: int) -> int:
    return value // len(ALPHABET) + value % len(ALPHABET)
