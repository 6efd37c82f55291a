"""Fragmented MP4, written without ever seeking back: what is on disk plays, up to the last whole fragment.

Invariants:
- The bytes are ftyp, moov, then (moof, mdat) once per GOP, or per FRAGMENT_S of a longer GOP, and nothing
  after the last mdat. Between fragments, and at the end, there may be `filling`: players pass over it.
- `write` gets whole fragments only, the first one with ftyp and moov before it: a file is empty or playable.
- Time stamps are the source's, less those of the first key frame: nothing is rounded, guessed or smoothed.

The header is libav's. The fragments are written here: libav copies each picture four times where twice will
do, and takes a third more of the processor for it.
"""

from __future__ import annotations

import re
import struct
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from agent.clips import moov
from agent.clips.startcodes import CODE, START_CODE, StartCodes
from agent.errors import StorageError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.types import Packet, StreamInfo

FRAGMENT_S = 1.0
"""Longest fragment: cameras of others send a key frame every ten seconds or less often, and what is not yet
a whole fragment is lost with the power."""

_TIMESCALE_MIN = 10_000  # ticks a second, as libav has it: some players take fewer for a mistake
# An SPS behind a start code: NAL unit type 7 with any nal_ref_idc (ITU-T H.264, 7.3.1).
_SPS = re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67]")
_AVCC_HEAD = 6  # bytes of avcC up to and with the number of SPS (ISO/IEC 14496-15, 5.3.3.1)
_BOX_HEAD = 8  # bytes: size and type
_BITS_32 = 0xFFFF_FFFF  # the most that a duration or a shift may be, in ticks
_LENGTH_BYTES = 4  # before each NAL unit, as libav writes avcC
# Boxes of ISO/IEC 14496-12: moof; mfhd (8.8.5); traf; tfhd (8.8.7) with default flags, and with offsets that
# count from the moof, so that they hold wherever the file is cut; tfdt of 64 bits (8.8.12); trun (8.8.8) with
# the offset, the first picture's flags, and duration, size and shift of each picture.
_MOOF = struct.Struct(">I4s I4sII I4s I4sIII I4sIQ I4sIIII")
_MFHD, _TFHD, _TFDT, _TRUN_HEAD = 16, 20, 20, 24  # bytes
_TFHD_FLAGS, _TFDT_VERSION, _TRUN_FLAGS = 0x02_0020, 1 << 24, 0x0B05
_KEY, _NO_KEY = 0x0200_0000, 0x0101_0000  # depends on no other picture; on others, and is no place to begin
_VALUES = 3  # of a picture in a trun


class FragmentMuxer:
    """Copies H.264 packets into fragments and hands each to `write` as soon as it is whole.

    Takes both packet forms: lengths before NAL units (extradata is avcC, as from MP4 files) and start codes
    (extradata is start codes too, or empty with parameter sets in the key frames: RTSP, V4L2, encoders).
    `info.rotation` is written to the track header: a player turns the picture by it.

    Raises:
        StorageError: the stream is not H.264, its avcC is cut short, or it is turned by something else than
            quarters.
    """

    def __init__(self, info: StreamInfo, write: Callable[[bytes], None]) -> None:
        if info.codec != "h264":
            raise StorageError(
                say("clips: a stream of {codec} cannot be recorded", codec=info.codec),
                fix=say("set capture.reencode = true"),
            )
        moov.matrix(info)
        self._info = info
        self._write = write
        self._length_size, self._parameters = _parameter_sets(info.extradata)
        self._start_codes = StartCodes()
        self._timescale = info.time_base.denominator
        while self._timescale < _TIMESCALE_MIN:
            self._timescale *= 2
        # Of the track, in one of the source: a whole number, so that no time is rounded.
        self._ticks = int(self._timescale * info.time_base)
        self._longest = FRAGMENT_S / float(info.time_base)
        self._head = b""  # until it is written
        self._number = 0  # of the fragment under way, from 1
        self._zero = 0  # dts of the first picture
        self._begin = 0  # dts of the fragment's first picture
        self._key = False  # whether that is a key frame
        self._last: Packet | None = None
        self._step = 0
        # Of each picture in the fragment under way: how long it lasts, its bytes, from decoding to showing.
        self._run: list[int] = []
        self._pictures: list[bytes] = []  # with start codes

    def packet(self, packet: Packet) -> None:
        """Add one picture, in decoding order; the first must be a key frame.

        A packet without any NAL unit shows nothing, and is left out.

        Raises:
            StorageError: the stream has no parameter sets, its time stamps cannot be muxed, or its first key
                frame shows nothing.
            ValueError: the first packet is no key frame.
        """
        data = packet.data if self._length_size is None else _start_codes(packet.data, self._length_size)
        code = data.find(CODE)
        if code < 0:
            if self._last is None:
                raise StorageError(
                    say("clips: a key frame without any NAL unit"), fix=say("see to the camera's stream")
                )
            return
        if any(data[:code]):
            data = data[code:]  # of no unit: it would end the picture before
        shift = (packet.pts - packet.dts) * self._ticks
        if self._last is None:
            if not packet.keyframe:
                raise ValueError("a clip begins with a key frame")
            data = self._with_parameter_sets(data)
            self._head = moov.head(self._info, packet, data, self._timescale)
            self._zero = packet.dts
            self._open(packet)
        else:
            step = packet.dts - self._last.dts
            lasts = step * self._ticks
            if not (0 < lasts <= _BITS_32 and 0 <= shift <= _BITS_32):
                raise StorageError(
                    say(
                        "clips: a picture with pts {pts}, dts {dts} cannot be muxed "
                        "behind one with dts {dts2}",
                        pts=packet.pts,
                        dts=packet.dts,
                        dts2=self._last.dts,
                    ),
                    fix=say("set capture.reencode = true: the source's time stamps are unsound"),
                )
            self._step = step
            self._run[-_VALUES] = lasts
            if packet.keyframe or packet.dts - self._begin >= self._longest:
                self._hand_on()
                self._open(packet)
        self._last = packet
        self._pictures.append(data)
        self._run += (0, 0, shift)

    def close(self) -> None:
        """Write the last fragment. Nothing may follow."""
        if self._last is not None:
            # Every other picture lasts until the next one. Live sources may not know how long, or lie.
            lasts = self._last.duration * self._ticks
            self._run[-_VALUES] = lasts if 0 < lasts <= _BITS_32 else self._step * self._ticks
            self._hand_on()

    def _with_parameter_sets(self, data: bytes) -> bytes:
        if _SPS.search(data):
            return data
        if not _SPS.search(self._parameters):
            raise StorageError(
                say("clips: the stream carries no H.264 parameter sets (SPS, PPS)"),
                fix=say("set capture.reencode = true, or let the camera send them with each key frame"),
            )
        return self._parameters + data

    def _open(self, first: Packet) -> None:
        self._number += 1
        self._begin, self._key = first.dts, first.keyframe
        self._run.clear()
        self._pictures.clear()

    def _hand_on(self) -> None:
        """Write the fragment under way."""
        pieces = self._units()
        decoded = (self._begin - self._zero) * self._ticks
        boxes = _moof(self._number, decoded, self._run, key=self._key)
        mdat = struct.pack(">I4s", _BOX_HEAD + sum(self._run[1::_VALUES]), b"mdat")
        head, self._head = self._head, b""
        self._write(b"".join([head, boxes, mdat, *pieces]))

    def _units(self) -> list[bytes | memoryview]:
        """Length and NAL unit by turns, of the fragment under way; enters the size of each picture."""
        data = b"".join(self._pictures)  # one search a second, not one a picture
        view = memoryview(data)
        ends = accumulate(map(len, self._pictures))
        pieces: list[bytes | memoryview] = []
        end, picture = 0, 1 - _VALUES  # where its size is in the run
        for code, following in pairwise([*self._start_codes.find(data), len(data)]):
            while code >= end:
                end, picture = next(ends), picture + _VALUES
            begin, last = code + len(CODE), following
            while data[last - 1] == 0:  # of the next code, or trailing_zero_8bits
                last -= 1
            length = last - begin
            if length > 0:
                pieces += (length.to_bytes(_LENGTH_BYTES), view[begin:last])
                self._run[picture] += _LENGTH_BYTES + length
        return pieces


def filling(size: int) -> bytes:
    """A box that means nothing (ISO/IEC 14496-12, 8.1.2), of `size` bytes or of the 8 it has at least."""
    size = max(size, _BOX_HEAD)
    return struct.pack(">I4s", size, b"free") + bytes(size - _BOX_HEAD)


def _moof(number: int, decoded: int, run: list[int], *, key: bool) -> bytes:
    """What stands before an mdat: when its pictures are decoded and shown, and where each one lies."""
    trun = _TRUN_HEAD + len(run) * 4
    traf = _BOX_HEAD + _TFHD + _TFDT + trun
    moof = _BOX_HEAD + _MFHD + traf
    pictures = len(run) // _VALUES
    fixed = _MOOF.pack(
        *(moof, b"moof", _MFHD, b"mfhd", 0, number, traf, b"traf"),
        *(_TFHD, b"tfhd", _TFHD_FLAGS, moov.TRACK, _NO_KEY),
        *(_TFDT, b"tfdt", _TFDT_VERSION, decoded),
        *(trun, b"trun", _TRUN_FLAGS, pictures, moof + _BOX_HEAD, _KEY if key else _NO_KEY),
    )
    return fixed + struct.pack(f">{len(run)}I", *run)


def _parameter_sets(extradata: bytes) -> tuple[int | None, bytes]:
    """(bytes of a length before each NAL unit, or None for start codes; SPS and PPS with start codes).

    Raises:
        StorageError: the source's avcC is cut short.
    """
    if extradata[:1] != b"\x01":
        return None, extradata
    sets, at = bytearray(), _AVCC_HEAD - 1
    try:
        for mask in (0x1F, 0xFF):
            count = extradata[at] & mask
            at += 1
            for _ in range(count):
                size = int.from_bytes(extradata[at : at + 2])
                sets += START_CODE + extradata[at + 2 : at + 2 + size]
                at += 2 + size
    except IndexError:
        raise StorageError(
            say("clips: the stream's avcC ends after {n} bytes", n=len(extradata)),
            fix=say("set capture.reencode = true"),
        ) from None
    return (extradata[4] & 3) + 1, bytes(sets)


def _start_codes(data: bytes, length_size: int) -> bytes:
    """The same NAL units with start codes in place of their lengths."""
    out, at = bytearray(), 0
    while at < len(data):
        begin = at + length_size
        end = begin + int.from_bytes(data[at:begin])
        out += START_CODE
        out += data[begin:end]
        at = end
    return bytes(out)
