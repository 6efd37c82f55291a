"""Identities of events and clips: ULIDs, sortable by the time they were minted."""

from agent.kitid import ALPHABET

ENTROPY_BYTES = 10
_TIME_BITS, _RANDOM_BITS, _DIGITS = 48, 80, 26


def ulid(milliseconds: int, entropy: bytes) -> str:
    """A ULID (github.com/ulid/spec): 48 bits of time, 80 bits of `entropy`, 26 upper-case characters.

    Raises:
        ValueError: the time is negative or past the year 10889, or `entropy` has not ten bytes.
    """
    if not 0 <= milliseconds < 1 << _TIME_BITS or len(entropy) != ENTROPY_BYTES:
        raise ValueError(
            f"a ULID takes 48 bits of time and {ENTROPY_BYTES} bytes: {milliseconds}, {len(entropy)}"
        )
    value = milliseconds << _RANDOM_BITS | int.from_bytes(entropy)
    return "".join(ALPHABET[value >> 5 * digit & 31] for digit in reversed(range(_DIGITS))).upper()


def minted_ms(identity: str) -> int:
    """The milliseconds that a ULID was made of.

    Raises:
        ValueError: it is none.
    """
    if len(identity) != _DIGITS or set(identity.lower()) - set(ALPHABET):
        raise ValueError(f"{identity!r} is no ULID")
    value = 0
    for digit in identity.lower():
        value = value << 5 | ALPHABET.index(digit)
    return value >> _RANDOM_BITS
