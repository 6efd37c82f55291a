"""Identities that people say aloud."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.shortid import ENTROPY_BYTES, short_id

ENTROPY = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)


@given(ENTROPY, ENTROPY)
def test_different_bytes_give_different_identities(one: bytes, other: bytes) -> None:
    """All of the entropy is in it, in eight characters."""
    assert 8 == len(short_id(one))
    assert (one == other) == (short_id(one) == short_id(other))
