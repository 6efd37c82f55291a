"""The note beside a sealed clip under way: `<id>.part`, appended and synced with each sync of the clip.

The kit cannot read what it sealed. So that a clip cut by a power loss is still a whole age file with a
manifest, each record keeps what the cut one needs: how much of the file is sound, the hashes, and the sealed
last chunk that makes an age file of that much. Nothing in it is secret: the chunk is sealed, the rest are
hashes, lengths, times and the ids of events. It goes once the clip's row is there. Should the database be
lost while the clip is under way, the note also knows when that was, and of which events.

A record is MAGIC, two lengths, JSON, the sealed chunk, CRC-32; whatever is no whole record ends the file.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, BinaryIO

from agent.clips.agefile import SEALED_CHUNK
from agent.clips.fragment import Fragment
from agent.clips.journal import OpenClip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.clips.fragment import Progress

PART = ".part"
MAGIC = b"swp1"
JSON_MAX = 1 << 20  # a record of an hour between two syncs has 3,600 fragments of 100 bytes

_JSON = json.JSONEncoder(separators=(",", ":"))
_ABOUT = tuple(field.name for field in fields(OpenClip))
_HEAD = struct.Struct(">4sII")
_CRC = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Note:
    """One sync of a sealed clip: `sound` bytes of its file (SHA-256 `sealed`) and `tail` are an age file.

    The other fields are of the plaintext: see Progress; `fragments` are those since the note before.
    """

    sound: int
    sealed: str
    tail: bytes
    codec: str
    width: int
    height: int
    bytes: int
    end: float
    fragments: tuple[Fragment, ...]
    recipients: tuple[str, ...]
    about: OpenClip | None = None


def part_path(clip: Path) -> Path:
    """Where the note of the clip in the file `clip` lies."""
    return clip.with_name(clip.name.partition(".")[0] + PART)


def encode(progress: Progress, sound: int, sealed: str, tail: bytes, recipients: tuple[str, ...]) -> bytes:
    """The record of a sync."""
    about = progress.about
    values = {
        "sound": sound,
        "sealed": sealed,
        "codec": progress.codec,
        "width": progress.width,
        "height": progress.height,
        "bytes": progress.bytes,
        "end": progress.end,
        "fragments": [[f.t, f.bytes, f.sha256] for f in progress.fragments],
        "recipients": recipients,
        "about": about and {name: getattr(about, name) for name in _ABOUT},
    }
    text = _JSON.encode(values).encode()
    body = _HEAD.pack(MAGIC, len(text), len(tail)) + text + tail
    return body + _CRC.pack(zlib.crc32(body))


def notes(file: BinaryIO) -> Iterator[Note]:
    """The whole records of the file in order, up to the first that is torn or altered."""
    while (note := _read(file)) is not None:
        yield note


def _read(file: BinaryIO) -> Note | None:
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    magic, text_size, tail_size = _HEAD.unpack(head)
    if magic != MAGIC or text_size > JSON_MAX or tail_size > SEALED_CHUNK:
        return None
    body, crc = file.read(text_size + tail_size), file.read(_CRC.size)
    if len(crc) < _CRC.size or zlib.crc32(head + body) != _CRC.unpack(crc)[0]:
        return None
    values = json.loads(body[:text_size])
    values["fragments"] = tuple(Fragment(*told) for told in values["fragments"])
    values["recipients"] = tuple(values["recipients"])
    values["about"] = values["about"] and OpenClip(
        **values["about"] | {"events": tuple(values["about"]["events"])}
    )
    return Note(tail=body[text_size:], **values)
