"""The note of a clip under way: what was synced is read back, what was torn is not."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from agent.clips.fragment import Fragment, Progress
from agent.clips.journal import OpenClip
from agent.clips.part import MAGIC, Note, encode, notes, part_path

ABOUT = OpenClip("A", "A.mp4.age", ("e", "f"), 5.0, "b00t", None, "none", "h264", 64, 48, "age", 3)
FRAGMENTS = (Fragment(0.0, 100, "cd" * 32), Fragment(1.0, 200, "ef" * 32))
PROGRESS = Progress("h264", 64, 48, 300, 2.5, FRAGMENTS, ABOUT)
NOTE = Note(
    sound=1234,
    sealed="01" * 32,
    tail=b"\x00sealed\xff",
    codec="h264",
    width=64,
    height=48,
    bytes=300,
    end=2.5,
    fragments=FRAGMENTS,
    recipients=("0b7e53d09c0fb75f",),
    about=ABOUT,
)
RECORD = encode(PROGRESS, NOTE.sound, NOTE.sealed, NOTE.tail, NOTE.recipients)


def read(data: bytes) -> list[Note]:
    return list(notes(io.BytesIO(data)))


def test_every_field_comes_back() -> None:
    """As it was noted, in the order of the syncs."""
    assert [NOTE, NOTE] == read(RECORD * 2)
    assert [] == read(b"")


def test_a_clip_of_which_nothing_else_is_known_is_noted_too() -> None:
    """Not every writer is told what it writes."""
    bare = encode(replace(PROGRESS, about=None), NOTE.sound, NOTE.sealed, NOTE.tail, NOTE.recipients)
    assert [replace(NOTE, about=None)] == read(bare)


@pytest.mark.parametrize("cut", range(1, len(RECORD), 7))
def test_a_torn_record_ends_it(cut: int) -> None:
    """What a power cut leaves behind the last sync says nothing."""
    assert [NOTE] == read(RECORD + RECORD[:cut])


@pytest.mark.parametrize("at", range(0, len(RECORD), 11))
def test_an_altered_record_ends_it(at: int) -> None:
    """A single bit: neither it nor what follows is believed."""
    altered = bytearray(RECORD)
    altered[at] ^= 1
    assert [NOTE] == read(RECORD + bytes(altered) + RECORD)


def test_noise_is_not_read_into_memory() -> None:
    """Lengths beyond what a record has are not followed."""
    assert [] == read(MAGIC + b"\xff" * 8 + bytes(100))
    assert [] == read(MAGIC + b"\x00\x00\x00\x02\xff\xff\xff\xff" + bytes(100))


def test_lies_beside_its_clip() -> None:
    """By the clip's id, however the clip is called."""
    assert Path("/clips/ABC.part") == part_path(Path("/clips/ABC.mp4.age"))
