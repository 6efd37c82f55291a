"""age recipients: what `age-keygen` prints is taken, and nothing else."""

from __future__ import annotations

import hashlib

import pytest
from pyrage import x25519

from agent import agekey
from agent.agekey import KEY_BYTES, check_recipient, key_id, recipient_key

GOOD = "age1rxcvpff33pyg3dpagwskzkjme93gzv6ga332t08zlahkv7msuyxsmwzlxh"


def test_takes_what_age_makes() -> None:
    """Every key of an age implementation that is not ours, and 32 bytes of it."""
    for _ in range(50):
        recipient = str(x25519.Identity.generate().to_public())
        assert KEY_BYTES == len(recipient_key(recipient))
        assert recipient == check_recipient(recipient)


def test_a_known_recipient_has_known_bytes() -> None:
    """Taken apart by hand: the first data character carries the first five bits."""
    assert "19b0c0a5318848" == recipient_key(GOOD).hex()[:14]


@pytest.mark.parametrize("at", range(4, len(GOOD)))
def test_every_single_wrong_character_is_found(at: int) -> None:
    """A recipient that was typed wrong would seal to nobody."""
    other = "q" if GOOD[at] != "q" else "p"
    with pytest.raises(ValueError, match="check characters"):
        recipient_key(GOOD[:at] + other + GOOD[at + 1 :])


@pytest.mark.parametrize(
    "text",
    ["", "age1", "age", GOOD.upper(), f"{GOOD} ", GOOD.replace("age1", "agf1"), "ssh-ed25519 AAAA", "age1b"],
)
def test_what_is_no_recipient_is_told_apart(text: str) -> None:
    """The text says what one looks like."""
    with pytest.raises(ValueError, match="age1 and 58"):
        recipient_key(text)


def bech32(data: bytes) -> str:
    """As the reference implementation of BIP 173 writes it."""
    bits = "".join(f"{byte:08b}" for byte in data)
    values = [int(bits[at : at + 5].ljust(5, "0"), 2) for at in range(0, len(bits), 5)]
    expanded = [ord(c) >> 5 for c in "age"] + [0] + [ord(c) & 31 for c in "age"]
    check = agekey._polymod([*expanded, *values, *[0] * 6]) ^ 1
    values += [check >> 5 * (5 - at) & 31 for at in range(6)]
    return "age1" + "".join(agekey._ALPHABET[value] for value in values)


@pytest.mark.parametrize("size", [0, 1, 20, 31, 33, 64])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    """Its check characters are right, and it holds no X25519 key."""
    with pytest.raises(ValueError, match=r"32 bytes|58 lower case"):
        recipient_key(bech32(bytes(size)))
    assert bytes(range(32)) == recipient_key(bech32(bytes(range(32))))


def test_a_secret_key_is_refused_and_not_repeated() -> None:
    """The half that opens must never be on a kit, and never in a log."""
    secret = str(x25519.Identity.generate())
    with pytest.raises(ValueError, match="secret") as caught:
        recipient_key(secret)
    assert secret[20:] not in str(caught.value)


def test_the_id_is_what_a_shell_can_compute() -> None:
    """`printf age1… | sha256sum | cut -c1-16`."""
    assert hashlib.sha256(GOOD.encode()).hexdigest()[:16] == key_id(GOOD)
