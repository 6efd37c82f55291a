"""A stand-in for the H.264 encoder of a board, for Picamera2: the work is done by another process.

So nothing of it is the agent's memory and CPU, as on a board. Picamera2's own encoder around it is real, with
its stamps and its output; pictures leave the camera's buffers and come back as packets with repeated headers.
`install()` before a camera is opened. As a program it is that other process.
"""

from __future__ import annotations

import itertools
import json
import struct
import subprocess
import sys
from fractions import Fraction
from types import ModuleType
from typing import Any

import av

HEAD = struct.Struct("<I?")  # bytes of the packet, and whether it is a key frame


def install() -> None:
    """From now on this board has an encoder."""
    from picamera2.encoders.encoder import Encoder, _MappedBuffer  # noqa: PLC0415 - the other process needs none

    from agent.capture import videocore  # noqa: PLC0415 - the same

    class H264Encoder(Encoder):
        """As picamera2.encoders.h264_encoder.H264Encoder, as far as the agent uses it."""

        def __init__(self, bitrate: int, repeat: bool, iperiod: int, framerate: float) -> None:
            super().__init__()
            del repeat  # it always does
            self._rate = {"bitrate": bitrate, "iperiod": iperiod, "fps": framerate}

        def _start(self) -> None:
            super()._start()
            asked = json.dumps({"width": self.width, "height": self.height, **self._rate})
            self._other = subprocess.Popen(
                [sys.executable, __file__, asked], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )

        def _encode(self, stream: Any, request: Any) -> None:
            stream = request.stream_map[stream] if isinstance(stream, str) else stream
            stamp = self._timestamp(request)
            with _MappedBuffer(request, stream) as buffer:
                self._other.stdin.write(buffer)
            self._other.stdin.flush()
            size, key = HEAD.unpack(self._other.stdout.read(HEAD.size))
            self.outputframe(self._other.stdout.read(size), key, stamp)

        def _stop(self) -> None:
            self._other.communicate()

    module = ModuleType("picamera2.encoders.h264_encoder")
    module.H264Encoder = H264Encoder
    sys.modules[module.__name__] = module
    videocore.probe = lambda: True


def encode(width: int, height: int, bitrate: int, iperiod: int, fps: float) -> None:
    """Raw NV12 from standard input, packets to standard output, one for each picture."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = width, height, "nv12"
    context.framerate = Fraction(fps).limit_denominator(1001)
    context.time_base = 1 / context.framerate
    context.bit_rate, context.gop_size, context.max_b_frames = bitrate, iperiod, 0
    headers = "repeat-headers=1:scenecut=0"
    context.options = {"preset": "superfast", "tune": "zerolatency", "x264-params": headers}
    picture = av.VideoFrame(width, height, "nv12")
    for number in itertools.count():
        raw = sys.stdin.buffer.read(width * height * 3 // 2)
        if not raw:
            return
        offset = 0
        for plane in picture.planes:
            plane.update(raw[offset : offset + plane.buffer_size])
            offset += plane.buffer_size
        picture.pts = number
        (packet,) = context.encode(picture)
        sys.stdout.buffer.write(HEAD.pack(packet.size, packet.is_keyframe) + bytes(packet))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    encode(**json.loads(sys.argv[1]))
