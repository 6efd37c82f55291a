"""Fragmented MP4, written without ever seeking back: what is on disk plays, up to the last whole fragment.

Invariants:
- The bytes are ftyp, moov, then (moof, mdat) once per GOP, or per FRAGMENT_S of a longer GOP, and nothing
  after the last mdat. Between fragments, and at the end, there may be `filling`: players pass over it.
- `write` gets whole fragments only, the first one with ftyp and moov before it: a file is empty or playable.
- Time stamps are the source's, less those of the first key frame: nothing is rounded, guessed or smoothed.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import av
import av.error

from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.types import Packet, StreamInfo

START_CODE = b"\x00\x00\x00\x01"

# frag_keyframe: a new fragment at each key frame. default_base_moof: offsets within the fragment, so that
# it stays right wherever the file is cut. delay_moov: the header waits for the first fragment and so can
# hold the edit list that B-frames need. skip_trailer: no index at the end, so a cut file and a closed one
# are read the same way.
_MOVFLAGS = "frag_keyframe+default_base_moof+delay_moov+skip_trailer"
FRAGMENT_S = 1.0
"""Longest fragment: cameras of others send a key frame every ten seconds or less often, and what is not yet
a whole fragment is lost with the power."""
_BUFFER = 1 << 20  # bytes: a second of 8 Mbit/s comes out of libav in one piece, not in pieces of 32 KiB
# An SPS behind a start code: NAL unit type 7 with any nal_ref_idc (ITU-T H.264, 7.3.1).
_SPS = re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67]")
_BOX_HEAD = 8  # bytes: size and type
_AVCC_HEAD = 6  # bytes of avcC up to and with the number of SPS (ISO/IEC 14496-15, 5.3.3.1)
_TKHD_MATRIX = {0: 48, 1: 60}  # where the matrix begins in tkhd, by its version (ISO/IEC 14496-12, 8.3.2)


class FragmentMuxer:
    """Copies H.264 packets into fragments and hands each to `write` as soon as it is whole.

    Takes both packet forms: lengths before NAL units (extradata is avcC, as from MP4 files) and start codes
    (extradata is start codes too, or empty with parameter sets in the key frames: RTSP, V4L2, encoders).
    `info.rotation` is written to the track header: a player turns the picture by it.

    Raises:
        StorageError: the stream is not H.264, or turned by something else than quarters.
    """

    def __init__(self, info: StreamInfo, write: Callable[[bytes], None]) -> None:
        if info.codec != "h264":
            raise StorageError(
                f"clips: a stream of {info.codec} cannot be recorded", fix="set capture.reencode = true"
            )
        self._info = info
        self._write = write
        self._matrix = _matrix(info)
        self._length_size, self._parameters = _parameter_sets(info.extradata)
        self._pipe = _Pipe()
        self._container = av.open(
            self._pipe,
            "w",
            format="mp4",
            options={"movflags": _MOVFLAGS, "frag_duration": str(round(FRAGMENT_S * 1e6))},
            buffer_size=_BUFFER,
            container_options={"flush_packets": "1"},  # else up to 32 KiB of a whole fragment wait in libav
        )
        self._stream = self._container.add_mux_stream(
            "h264", width=info.width, height=info.height, time_base=info.time_base
        )
        self._zero: int | None = None
        self._dts = 0
        self._step = 0

    def packet(self, packet: Packet) -> None:
        """Add one picture, in decoding order; the first must be a key frame.

        Raises:
            StorageError: the stream has no parameter sets, or its time stamps cannot be muxed.
            ValueError: the first packet is no key frame.
        """
        data = packet.data if self._length_size is None else _start_codes(packet.data, self._length_size)
        if self._zero is None:
            if not packet.keyframe:
                raise ValueError("a clip begins with a key frame")
            data = self._with_parameter_sets(data)
            self._zero = packet.pts
        else:
            self._step = packet.dts - self._dts
        self._dts = packet.dts
        out = av.Packet(data)
        out.stream = self._stream
        out.time_base = self._info.time_base
        out.pts = packet.pts - self._zero
        out.dts = packet.dts - self._zero
        # Only the last picture's counts: every other one lasts until the next. Live sources may not know it.
        out.duration = packet.duration or self._step
        out.is_keyframe = packet.keyframe
        try:
            self._container.mux(out)
        except av.error.FFmpegError as error:
            raise StorageError(
                f"clips: a picture with pts {packet.pts}, dts {packet.dts} cannot be muxed ({error})",
                fix="set capture.reencode = true: the source's time stamps are unsound",
            ) from None
        self._hand_on()

    def close(self) -> None:
        """Write the last fragment. Nothing may follow."""
        self._container.close()
        self._hand_on()

    def _with_parameter_sets(self, data: bytes) -> bytes:
        if _SPS.search(data):
            return data
        if not _SPS.search(self._parameters):
            raise StorageError(
                "clips: the stream carries no H.264 parameter sets (SPS, PPS)",
                fix="set capture.reencode = true, or let the camera send them with each key frame",
            )
        return self._parameters + data

    def _hand_on(self) -> None:
        """Pass on what is whole: everything up to the end of the last mdat."""
        if not self._pipe.pieces:
            return
        data = self._pipe.take()
        at = whole = 0
        while len(data) - at >= _BOX_HEAD:
            size, kind = struct.unpack_from(">I4s", data, at)
            if size < _BOX_HEAD or len(data) - at < size:
                break
            if kind == b"moov" and self._matrix:
                data = _turned(data, at, self._matrix)
            at += size
            if kind == b"mdat":
                whole = at
        if whole < len(data):
            self._pipe.write(data[whole:])
            data = data[:whole]
        if data:
            self._write(data)


def filling(size: int) -> bytes:
    """A box that means nothing (ISO/IEC 14496-12, 8.1.2), of `size` bytes or of the 8 it has at least."""
    size = max(size, _BOX_HEAD)
    return struct.pack(">I4s", size, b"free") + bytes(size - _BOX_HEAD)


class _Pipe:
    """A file that can only be appended to: without `seek`, libav cannot go back to patch a size."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.pieces.append(data)
        return len(data)

    def take(self) -> bytes:
        """All that came, for the last time."""
        data = b"".join(self.pieces)  # no copy when it is one piece
        self.pieces.clear()
        return data


def _matrix(info: StreamInfo) -> bytes:
    """The 36 bytes of the track's matrix, empty when the picture is upright (ISO/IEC 14496-12, 8.3.2)."""
    w, h = info.width, info.height
    turns = {90: (0, -1, 1, 0, 0, w), 180: (-1, 0, 0, -1, w, h), 270: (0, 1, -1, 0, h, 0)}
    angle = info.rotation % 360
    if angle == 0:
        return b""
    if angle not in turns:
        raise StorageError(
            f"clips: a picture turned by {info.rotation} degrees cannot be recorded",
            fix="turn the camera by quarters (0, 90, 180, 270)",
        )
    a, b, c, d, x, y = (v << 16 for v in turns[angle])
    return struct.pack(">9i", a, b, 0, c, d, 0, x, y, 1 << 30)


def _turned(data: bytes, moov: int, matrix: bytes) -> bytes:
    """The data with `matrix` in the track header of the moov box at `moov`."""
    tkhd = data.index(b"tkhd", moov) - 4
    begin = tkhd + _TKHD_MATRIX[data[tkhd + 8]]
    return data[:begin] + matrix + data[begin + len(matrix) :]


def _parameter_sets(extradata: bytes) -> tuple[int | None, bytes]:
    """(bytes of a length before each NAL unit, or None for start codes; SPS and PPS with start codes)."""
    if extradata[:1] != b"\x01":
        return None, extradata
    sets, at = bytearray(), _AVCC_HEAD - 1
    for mask in (0x1F, 0xFF):
        count = extradata[at] & mask
        at += 1
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2])
            sets += START_CODE + extradata[at + 2 : at + 2 + size]
            at += 2 + size
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
