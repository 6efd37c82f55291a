"""Identities of events and clips."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ulid import ENTROPY_BYTES, ulid

TIMES = st.integers(0, 2**48 - 1)
ENTROPY = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)


def test_known_values() -> None:
    """The time part is that of the specification's own example; both ends of the range are right."""
    assert "01ARYZ6S41" == ulid(1469918176385, bytes(10))[:10]
    assert "0" * 26 == ulid(0, bytes(10))
    assert "7" + "Z" * 25 == ulid(2**48 - 1, b"\xff" * 10)


@given(TIMES, ENTROPY)
def test_form(milliseconds: int, entropy: bytes) -> None:
    """26 characters that need no escaping in a topic, a file name or a URL."""
    assert re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", ulid(milliseconds, entropy))


@given(TIMES, TIMES, ENTROPY, ENTROPY)
def test_order_is_that_of_time(a: int, b: int, entropy_a: bytes, entropy_b: bytes) -> None:
    """Sorting the text sorts by time first, by entropy within a millisecond."""
    assert ((a, entropy_a) < (b, entropy_b)) == (ulid(a, entropy_a) < ulid(b, entropy_b))


@pytest.mark.parametrize(
    ("milliseconds", "entropy"), [(-1, bytes(10)), (2**48, bytes(10)), (0, bytes(9)), (0, bytes(11))]
)
def test_bounds(milliseconds: int, entropy: bytes) -> None:
    """What does not fit is refused, never cut."""
    with pytest.raises(ValueError, match=f"48 bits of time and 10 bytes: {milliseconds}, {len(entropy)}"):
        ulid(milliseconds, entropy)
