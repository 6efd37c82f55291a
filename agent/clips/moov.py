"""What an MP4 begins with: ftyp and moov, as libav writes them, and the turn of the picture."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import av
import av.error

from agent.errors import StorageError
from agent.words import say

if TYPE_CHECKING:
    from agent.types import Packet, StreamInfo

TRACK = 1
"""The number of the only track."""

# delay_moov: the header knows the first picture, and so can hold the edit list that B-frames need.
# skip_trailer: no index at the end, so a cut file and a closed one are read the same way.
_MOVFLAGS = "frag_keyframe+default_base_moof+delay_moov+skip_trailer"
_TKHD_MATRIX = {0: 48, 1: 60}  # where the matrix begins in tkhd, by its version (ISO/IEC 14496-12, 8.3.2)


def head(info: StreamInfo, first: Packet, data: bytes, timescale: int) -> bytes:
    """The bytes before the first fragment of a track that counts `timescale` ticks a second.

    `data` is the `first` picture with start codes, parameter sets before it.

    Raises:
        StorageError: libav cannot make a header of that.
    """
    out = io.BytesIO()
    try:
        with av.open(
            out, "w", format="mp4", options={"movflags": _MOVFLAGS, "video_track_timescale": str(timescale)}
        ) as container:
            stream = container.add_mux_stream(
                "h264", width=info.width, height=info.height, time_base=info.time_base
            )
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, info.time_base
            packet.pts, packet.dts = 0, first.dts - first.pts
            packet.is_keyframe = True
            container.mux(packet)
    except av.error.FFmpegError as error:
        raise StorageError(
            say(
                "clips: a picture with pts {pts}, dts {dts} cannot begin a clip ({reason})",
                pts=first.pts,
                dts=first.dts,
                reason=error,
            ),
            fix=say("set capture.reencode = true"),
        ) from None
    data = out.getvalue()
    moov = struct.unpack_from(">I", data)[0]  # behind ftyp
    data = data[: moov + struct.unpack_from(">I", data, moov)[0]]
    turn = matrix(info)
    return _turned(data, moov, turn) if turn else data


def matrix(info: StreamInfo) -> bytes:
    """The 36 bytes of the track's matrix, empty when the picture is upright (ISO/IEC 14496-12, 8.3.2).

    Raises:
        StorageError: the picture is turned by something else than quarters.
    """
    w, h = info.width, info.height
    turns = {90: (0, -1, 1, 0, 0, w), 180: (-1, 0, 0, -1, w, h), 270: (0, 1, -1, 0, h, 0)}
    angle = info.rotation % 360
    if angle == 0:
        return b""
    if angle not in turns:
        raise StorageError(
            say("clips: a picture turned by {rotation} degrees cannot be recorded", rotation=info.rotation),
            fix=say("turn the camera by quarters (0, 90, 180, 270)"),
        )
    a, b, c, d, x, y = (v << 16 for v in turns[angle])
    return struct.pack(">9i", a, b, 0, c, d, 0, x, y, 1 << 30)


def _turned(data: bytes, moov: int, turn: bytes) -> bytes:
    """The data with `turn` in the track header of the moov box at `moov`."""
    tkhd = data.index(b"tkhd", moov) - 4
    begin = tkhd + _TKHD_MATRIX[data[tkhd + 8]]
    return data[:begin] + turn + data[begin + len(turn) :]
