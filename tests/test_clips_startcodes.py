"""The search for start codes, beside a plain one."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from agent.clips import startcodes
from agent.clips.startcodes import StartCodes

FINDER = StartCodes()


def plain(data: bytes) -> list[int]:
    return [found.start() for found in re.finditer(rb"\x00\x00\x01", data)]


@given(st.lists(st.sampled_from([b"\x00", b"\x01", b"\x00\x00\x01", b"\x00\x00\x03", b"\xff"])).map(b"".join))
def test_finds_what_a_plain_search_finds(data: bytes) -> None:
    """Codes at even and odd places, in runs of zeros, at both ends."""
    assert plain(data) == FINDER.find(data)


@given(shift=st.integers(-4, 4), blocks=st.integers(1, 2), rest=st.integers(0, 9))
def test_finds_codes_across_its_blocks(shift: int, blocks: int, rest: int) -> None:
    """What it looks at in one go ends somewhere: no code falls between two of them."""
    at = blocks * 2 * startcodes._BLOCK + shift
    data = bytes(b"\x05" * at + b"\x00\x00\x01" + b"\x07" * rest)
    assert [at] == FINDER.find(data)


def test_nothing_is_left_of_the_last_search() -> None:
    """Short data after long data: no hit of before counts."""
    finder = StartCodes()
    finder.find(b"\x00\x00\x01" * 100)
    assert [] == finder.find(b"\x09" * 300)
    assert [] == finder.find(b"")
