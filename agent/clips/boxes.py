"""Reading a fragmented MP4 that may have been cut anywhere: how much of it is whole.

Box layouts are those of ISO/IEC 14496-12 (8.4.2 mdhd, 8.8.7 tfhd, 8.8.8 trun, 8.8.12 tfdt) and 14496-15
(5.3.3.1 avcC). Only what our own muxer writes is understood: one H.264 track, one run per fragment, and
between fragments nothing but filling (`free`, 8.1.2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = 8  # size and type
BOX_MAX = 4 * 1024 * 1024  # of moov or moof: 16 bytes a picture make 10 KiB for a GOP of 10 s at 60 fps
PICTURES_MAX = 65_536  # in one fragment: an hour at 18 fps; a count above it is noise
_ENTRY_HEAD = 78  # of a VisualSampleEntry, before its own boxes

_TFHD_BASE_OFFSET, _TFHD_DESCRIPTION, _TFHD_DURATION, _TFHD_SIZE = 0x1, 0x2, 0x8, 0x10
_TRUN_OFFSET, _TRUN_FIRST_FLAGS = 0x1, 0x4
_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_SHIFT = 0x100, 0x200, 0x400, 0x800


@dataclass(frozen=True, slots=True)
class Extent:
    """The part of a file that plays: its first `bytes`, for `duration` seconds.

    `ends` has for each fragment its begin in seconds after the first one's, in decoding order, and the byte
    behind it. All is zero or empty when there is no playable fragment.
    """

    bytes: int = 0
    ends: tuple[tuple[float, int], ...] = ()
    duration: float = 0.0
    codec: str = ""
    width: int = 0
    height: int = 0

    @property
    def fragments(self) -> int:
        """How many there are."""
        return len(self.ends)


@dataclass(frozen=True, slots=True)
class _Track:
    timescale: int
    length_size: int
    codec: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Run:
    """One fragment: where its pictures lie (absolute begin, size), when it is decoded and shown (ticks)."""

    samples: tuple[tuple[int, int], ...]
    decoded: int
    begin: int
    end: int


def whole_fragments(file: BinaryIO) -> Extent:
    """The longest prefix of `file` that is ftyp, moov and whole fragments, each fit to be decoded.

    A fragment counts when its boxes are complete and the NAL units in it chain up exactly: a file system
    that lost power may have left blocks of zeros inside a file of the right length. What follows is
    ignored. Reads headers only: never more than BOX_MAX bytes at once.
    """
    size = file.seek(0, 2)
    at, track = _head(file, size)
    if track is None:
        return Extent()
    ends, runs = [], []
    while (fragment := _fragment(file, at, size, track)) is not None:
        at, run = fragment
        runs.append(run)
        ends.append(((run.decoded - runs[0].decoded) / track.timescale, at))
    if not runs:
        return Extent()
    shown = max(run.end for run in runs) - min(run.begin for run in runs)
    return Extent(at, tuple(ends), shown / track.timescale, track.codec, track.width, track.height)


def _head(file: BinaryIO, size: int) -> tuple[int, _Track | None]:
    ftyp = _box(file, 0, size)
    if ftyp is None or ftyp[0] != b"ftyp":
        return 0, None
    moov = _box(file, ftyp[2], size)
    if moov is None or moov[0] != b"moov" or moov[2] - moov[1] > BOX_MAX:
        return 0, None
    try:
        return moov[2], _track(_read(file, moov[1], moov[2]))
    except (struct.error, ValueError, IndexError):
        return 0, None


def _fragment(file: BinaryIO, at: int, size: int, track: _Track) -> tuple[int, _Run] | None:
    moof = _box(file, at, size)
    while moof is not None and moof[0] == b"free":  # filling that a seal needed
        at = moof[2]
        moof = _box(file, at, size)
    if moof is None or moof[0] != b"moof" or moof[2] - moof[1] > BOX_MAX:
        return None
    mdat = _box(file, moof[2], size)
    if mdat is None or mdat[0] != b"mdat":
        return None
    try:
        run = _run(_read(file, moof[1], moof[2]), at)
    except (struct.error, ValueError, IndexError):
        return None
    sound = run.samples and all(
        mdat[1] <= begin and begin + length <= mdat[2] and _chains(file, begin, length, track.length_size)
        for begin, length in run.samples
    )
    return (mdat[2], run) if sound else None


def _chains(file: BinaryIO, begin: int, length: int, length_size: int) -> bool:
    """Whether the lengths of the NAL units add up to the picture's."""
    at, end = begin, begin + length
    while at < end:
        nal = int.from_bytes(_read(file, at, at + length_size))
        if nal == 0:
            return False
        at += length_size + nal
    return at == end and length > 0


def _box(file: BinaryIO, at: int, size: int) -> tuple[bytes, int, int] | None:
    """(type, begin of the payload, end) of the box at `at`, or None when it is not whole."""
    head = _read(file, at, at + 2 * HEADER)
    if len(head) < HEADER:
        return None
    length, kind = struct.unpack_from(">I4s", head)
    begin = at + HEADER
    if length == 1 and len(head) == 2 * HEADER:  # a length of 64 bits follows
        length, begin = struct.unpack_from(">Q", head, HEADER)[0], at + 2 * HEADER
    end = at + length
    return (kind, begin, end) if begin <= end <= size else None


def _read(file: BinaryIO, begin: int, end: int) -> bytes:
    file.seek(begin)
    return file.read(end - begin)


def _children(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + HEADER <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if not HEADER <= length <= len(data) - at:
            raise ValueError("a box is larger than the one around it")
        yield kind, data[at + HEADER : at + length]
        at += length


def _find(data: bytes, *path: bytes) -> bytes:
    for name in path:
        data = next((payload for kind, payload in _children(data) if kind == name), b"")
    return data


def _track(moov: bytes) -> _Track:
    media = _find(moov, b"trak", b"mdia")
    mdhd = _find(media, b"mdhd")
    timescale = struct.unpack_from(">I", mdhd, 20 if mdhd[0] == 1 else 12)[0]
    entry = _find(_find(media, b"minf", b"stbl", b"stsd")[8:], b"avc1")
    width, height = struct.unpack_from(">HH", entry, 24)
    avcc = _find(entry[_ENTRY_HEAD:], b"avcC")
    if timescale == 0:
        raise ValueError("a track without a timescale")
    return _Track(timescale, (avcc[4] & 3) + 1, "h264", width, height)


def _run(moof: bytes, moof_at: int) -> _Run:
    traf = _find(moof, b"traf")
    duration, size = _defaults(_find(traf, b"tfhd"))
    tfdt = _find(traf, b"tfdt")
    decoded = now = struct.unpack_from(">Q" if tfdt[0] == 1 else ">I", tfdt, 4)[0]
    trun = _find(traf, b"trun")
    flags, count = struct.unpack_from(">II", trun)
    flags &= 0xFFFFFF
    if not flags & _TRUN_OFFSET or count > PICTURES_MAX:
        raise ValueError("a run without an offset, or without end")
    begin = moof_at + struct.unpack_from(">i", trun, 8)[0]
    at = 16 if flags & _TRUN_FIRST_FLAGS else 12
    samples, shown = [], []
    for _ in range(count):
        values = {}
        for flag in (_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_SHIFT):
            if flags & flag:
                # Shifts may be negative (version 1); the others never reach the sign.
                values[flag] = struct.unpack_from(">i", trun, at)[0]
                at += 4
        length = values.get(_TRUN_SIZE, size)
        lasts = values.get(_TRUN_DURATION, duration)
        shown.append((now + values.get(_TRUN_SHIFT, 0), now + values.get(_TRUN_SHIFT, 0) + lasts))
        samples.append((begin, length))
        begin += length
        now += lasts
    return _Run(tuple(samples), decoded, min(b for b, _ in shown), max(e for _, e in shown))


def _defaults(tfhd: bytes) -> tuple[int, int]:
    """(duration, size) of a picture whose run does not say."""
    flags = struct.unpack_from(">I", tfhd)[0] & 0xFFFFFF
    if flags & _TFHD_BASE_OFFSET:
        raise ValueError("offsets from the file's begin")
    at = 8 + 4 * bool(flags & _TFHD_DESCRIPTION)
    duration = struct.unpack_from(">I", tfhd, at)[0] if flags & _TFHD_DURATION else 0
    at += 4 * bool(flags & _TFHD_DURATION)
    return duration, struct.unpack_from(">I", tfhd, at)[0] if flags & _TFHD_SIZE else 0
