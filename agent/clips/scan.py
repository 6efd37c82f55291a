"""Looking for open footage: what begins a video or a picture, anywhere in any file.

Sought are the heads without which nothing plays the data: boxes of MP4, parameter sets of H.264, heads of
JPEG, PNG, Matroska, AVI and MPEG-TS. Each pattern fixes 48 bits or more: sealed data, which cannot be told
from noise, looks like one once in a few hundred thousand gigabytes. A stretch out of the middle of a stream
has no head and is not found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.clips.sink import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHUNK = 1 << 20
TS_PACKET = 188  # bytes; a packet begins with 0x47 (ISO/IEC 13818-1, 2.4.3.2)
TS_PACKETS = 7  # in a row: 56 bits

# profile_idc, constraint flags with two zero bits, level_idc (ITU-T H.264, 7.3.2.1.1, Annex A).
_SPS = (
    rb"\x00\x00\x00\x01[\x27\x47\x67][\x42\x4d\x58\x64\x6e\x7a\xf4]"
    rb"[\x00\x40\x80\xc0\xe0\xf0\xfc\x0c\x10\x30\x50\xd0][\x09-\x0d\x14-\x16\x1e-\x20\x28-\x2a\x32-\x34]"
)
# JFIF, Exif, or a quantisation table at once.
_JPEG = rb"\xff\xd8\xff(?:\xe0\x00\x10JFIF\x00|\xe1..Exif\x00|\xdb\x00[\x43\x84]\x00)"

# (kind, what to search for quickly, the whole head: `anchor` lies `at` bytes into it)
_HEADS: tuple[tuple[str, bytes, int, bytes], ...] = (
    # A box: size, then type. Files begin with ftyp or styp and a brand of printable characters.
    ("MP4", b"ftyp", 4, rb"\x00\x00\x00.ftyp[A-Za-z0-9 ]{4}\x00"),
    ("MP4", b"styp", 4, rb"\x00\x00\x00.styp[A-Za-z0-9 ]{4}\x00"),
    ("MP4", b"mvhd", 4, rb"\x00\x00\x00.mvhd[\x00\x01]\x00\x00\x00"),
    ("MP4", b"mfhd", 4, rb"\x00\x00\x00\x10mfhd\x00\x00\x00\x00"),
    ("MP4", b"avcC", 4, rb"\x00\x00[\x00\x01].avcC\x01"),
    ("H.264", b"\x00\x00\x00\x01", 0, _SPS),
    ("JPEG", b"\xff\xd8\xff", 0, _JPEG),
    ("PNG", b"\x89PNG\r\n\x1a\n", 0, rb"\x89PNG\r\n\x1a\n"),
    ("Matroska", b"\x1a\x45\xdf\xa3", 0, rb"\x1a\x45\xdf\xa3.{0,40}?\x42\x82.(?:matroska|webm)"),
    ("AVI", b"AVI LIST", 8, rb"RIFF....AVI LIST"),
)  # fmt: skip
HEAD_MAX = 64  # bytes that any of the heads may take, and what chunks overlap by
_PATTERNS = [(kind, anchor, at, re.compile(head, re.DOTALL)) for kind, anchor, at, head in _HEADS]


@dataclass(frozen=True, slots=True)
class Footage:
    """A head that was found, at byte `offset` of a file."""

    kind: str
    offset: int


def heads(data: bytes, end: int | None = None) -> Iterator[Footage]:
    """The heads that begin in `data[:end]`, kind by kind."""
    end = len(data) if end is None else end
    for kind, anchor, at, pattern in _PATTERNS:
        found = data.find(anchor)
        while found >= 0:
            if 0 <= found - at < end and pattern.match(data, found - at):
                yield Footage(kind, found - at)
            found = data.find(anchor, found + 1)
    if all(data[n * TS_PACKET : n * TS_PACKET + 1] == b"\x47" for n in range(TS_PACKETS)):
        yield Footage("MPEG-TS", 0)


def scan_file(path: Path, progress: Callable[[int], object]) -> Footage | None:
    """The first head in a file, None when there is none. `progress` is told how many bytes were read.

    A file that went meanwhile has none.

    Raises:
        StorageError: the disk refuses.
    """
    try:
        with path.open("rb", buffering=0) as file:
            offset, kept = 0, b""
            while chunk := file.read(CHUNK):
                progress(len(chunk))
                data = kept + chunk
                # What begins in the last bytes is judged with the next chunk, or at the end of the file.
                if (found := _first(data, max(0, len(data) - HEAD_MAX), offset)) is not None:
                    return found
                offset += max(0, len(data) - HEAD_MAX)
                kept = data[-HEAD_MAX:]
            return _first(kept, len(kept), offset)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(path, "read", error) from None


def _first(data: bytes, end: int, offset: int) -> Footage | None:
    found = min(heads(data, end), key=lambda each: each.offset, default=None)
    return None if found is None else Footage(found.kind, offset + found.offset)
