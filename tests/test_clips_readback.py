"""Reading clips back: from the device, slowly, and once."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from test_clips_store import RECORD

from agent.clips import readback, store
from agent.clips.readback import CHUNK, Due, card_sha256
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def tx() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(store.SCHEMA)
        connection.executescript(readback.SCHEMA)
        yield connection


def cached(path: Path) -> bool:
    """Whether the kernel holds the first page of a file, so that reading it would not wait for the device."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def test_each_clip_is_due_until_it_was_read(tx: sqlite3.Connection) -> None:
    """Oldest first; what was found is kept as long as the clip."""
    for name in "AB":
        store.finish_clip(tx, replace(RECORD, id=name, path=f"{name}.mp4"))
    assert [
        Due("A", "A.mp4", RECORD.bytes, RECORD.sha256),
        Due("B", "B.mp4", RECORD.bytes, RECORD.sha256),
    ] == readback.due(tx)

    readback.note(tx, "A", "good")
    readback.note(tx, "B", "mismatch")
    assert [] == readback.due(tx)
    assert {"A": "good", "B": "mismatch"} == readback.outcomes(tx)

    store.mark_garbage(tx, ["B"])
    assert {"A": "good"} == readback.outcomes(tx)
    readback.note(tx, "B", "good")
    assert [("A",)] == tx.execute("SELECT clip FROM readback").fetchall()


def test_the_device_is_read_at_a_rate(tmp_path: Path) -> None:
    """Length and hash are the file's; each chunk is waited for."""
    path = tmp_path / "clip"
    data = os.urandom(CHUNK + 1000)
    path.write_bytes(data)
    waits: list[float] = []

    assert (len(data), hashlib.sha256(data).hexdigest()) == card_sha256(path, waits.append, rate=CHUNK)
    assert [1.0, 1000 / CHUNK] == waits


def test_it_is_read_from_the_device(tmp_path: Path) -> None:
    """What the kernel still holds of a synced file is dropped before, and after."""
    path = tmp_path / "clip"
    with path.open("wb") as file:
        file.write(os.urandom(4 * CHUNK))
        file.flush()
        os.fsync(file.fileno())
    try:
        if not cached(path):
            pytest.skip("this file system keeps no pages")
        dropped = os.open(path, os.O_RDONLY)
        os.posix_fadvise(dropped, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(dropped)
        if cached(path):
            pytest.skip("this file system is memory itself")
    except OSError as error:
        pytest.skip(f"this file system does not tell what it holds ({error.strerror})")
    path.read_bytes()
    assert cached(path)
    begun: list[bool] = []

    card_sha256(path, lambda _: begun.append(cached(path)))

    assert 4 == len(begun)
    assert not cached(path)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A file that went is no trouble of the disk; one that refuses is."""
    with pytest.raises(FileNotFoundError):
        card_sha256(tmp_path / "gone", lambda _: None)
    with pytest.raises(StorageError, match="cannot be read back"):
        card_sha256(tmp_path, lambda _: None)
