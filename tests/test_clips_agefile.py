"""Our age files, opened by the `age` program and by pyrage."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pyrage
import pytest
from clips_keys import CITY, ESCROW, SEALED_TO, STRANGER, age

from agent.clips.agefile import CHUNK, SEALED_CHUNK, ChunkSealer

if TYPE_CHECKING:
    from pathlib import Path

SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5]


def sealed(data: bytes) -> bytes:
    sealer = ChunkSealer(SEALED_TO.keys)
    chunks = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)] or [b""]
    parts = [sealer.chunk(number, chunk) for number, chunk in enumerate(chunks[:-1])]
    return sealer.head + b"".join(parts) + sealer.last(len(chunks) - 1, chunks[-1])


@pytest.mark.parametrize("size", SIZES)
def test_age_opens_what_we_write(tmp_path: Path, size: int) -> None:
    """Either of two keys gives every byte back, in Debian's program and in an independent library."""
    data = os.urandom(size)
    path = tmp_path / "a.age"
    path.write_bytes(sealed(data))
    for identity in (CITY, ESCROW):
        assert data == age(path, identity)
        assert data == pyrage.decrypt(path.read_bytes(), [identity])
    with pytest.raises(pyrage.DecryptError, match="No matching keys"):
        pyrage.decrypt(path.read_bytes(), [STRANGER])


def test_nothing_of_the_plaintext_is_in_it() -> None:
    """Nor does the same plaintext look the same twice."""
    data = b"a face in the stairwell " * 10_000
    one, other = sealed(data), sealed(data)
    assert b"stairwell" not in one
    assert 0 == sum(a == b for a, b in zip(blocks(one), blocks(other), strict=True))


def blocks(data: bytes) -> list[bytes]:
    return [data[at : at + 16] for at in range(400, len(data) - 16, 16)]


def test_a_file_may_be_ended_at_every_chunk() -> None:
    """Each sync gives it an end; what went before stays as it is, and each is a whole file."""
    data = os.urandom(3 * CHUNK)
    sealer = ChunkSealer(SEALED_TO.keys)
    body = sealer.head
    for number in range(3):
        chunk = data[number * CHUNK : (number + 1) * CHUNK]
        ended = body + sealer.last(number, chunk[:100])
        assert data[: number * CHUNK + 100] == pyrage.decrypt(ended, [CITY])
        body += sealer.chunk(number, chunk)
    assert len(sealer.head) + 3 * SEALED_CHUNK == len(body)


def test_no_nonce_is_used_twice() -> None:
    """A number that was an end once is none again, and no earlier one."""
    sealer = ChunkSealer(SEALED_TO.keys)
    sealer.last(1, b"x")
    assert [True, True, False] == [sealer.ended(number) for number in range(3)]
    for number in (0, 1):
        with pytest.raises(ValueError, match=f"chunk {number} has ended the file"):
            sealer.last(number, b"more")


@pytest.mark.parametrize(("number", "size"), [(0, CHUNK + 1), (1, 0)])
def test_an_end_has_its_size(number: int, size: int) -> None:
    """An empty last chunk is for empty files only: age refuses others."""
    with pytest.raises(ValueError, match="the last chunk has 1 to"):
        ChunkSealer(SEALED_TO.keys).last(number, bytes(size))


@pytest.mark.parametrize("size", [0, CHUNK - 1, CHUNK + 1])
def test_a_chunk_has_its_size(size: int) -> None:
    """Others would be taken for the end."""
    with pytest.raises(ValueError, match="has 65536 bytes"):
        ChunkSealer(SEALED_TO.keys).chunk(0, bytes(size))


def test_somebody_must_be_able_to_open_it() -> None:
    """No recipient, or a point that gives every sender the same secret, is refused."""
    with pytest.raises(ValueError, match="at least one recipient"):
        ChunkSealer([])
    with pytest.raises(ValueError, match=r"shared key"):
        ChunkSealer([bytes(32)])
