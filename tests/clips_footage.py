"""Real H.264 for the tests of clips: the shipped sample, copied or encoded anew, as packets."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import os
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest

from agent.clips.fragment import Fragment, Plaintext
from agent.types import Packet, StreamInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE = Path(__file__).parent.parent / "agent" / "samples" / "demo_people.mp4"
TICKS = 90_000


@dataclass(frozen=True)
class Footage:
    """Packets with what decodes them."""

    info: StreamInfo
    packets: list[Packet]

    def pictures(self) -> list[tuple[Fraction, str]]:
        """What a decoder makes of the packets: (seconds after the first key frame, hash of the luma)."""
        decoder = av.CodecContext.create("h264", "r")
        if self.info.extradata:
            decoder.extradata = self.info.extradata
        frames = []
        for packet in self.packets:
            raw = av.Packet(packet.data)
            raw.pts, raw.dts = packet.pts, packet.dts
            frames += decoder.decode(raw)
        frames += decoder.decode(None)
        zero = self.packets[0].pts
        return [((f.pts - zero) * self.info.time_base, luma_hash(f)) for f in frames]


def hashed(data: bytes, told: Plaintext) -> Plaintext:
    """What a clip should tell of its plaintext, with the stretches as `told` has them."""
    pieces, at = [], 0
    for piece in told.fragments:
        end = at + piece.bytes
        pieces.append(Fragment(piece.t, piece.bytes, hashlib.sha256(data[at:end]).hexdigest()))
        at = end
    return Plaintext(at if at == len(data) else -1, tuple(pieces))


def luma_hash(frame: av.VideoFrame) -> str:
    return hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest()[:16]


def decoded(file: Path | bytes) -> list[tuple[Fraction, str]]:
    """(seconds, hash) of each picture of a clip, by PyAV."""
    with av.open(io.BytesIO(file) if isinstance(file, bytes) else str(file)) as container:
        stream = container.streams.video[0]
        return [(f.pts * stream.time_base, luma_hash(f)) for f in container.decode(stream)]


def from_mp4(file: Path | bytes, *, rotation: int = 0) -> Footage:
    """The packets of an MP4: lengths before NAL units, avcC as extradata."""
    with av.open(io.BytesIO(file) if isinstance(file, bytes) else str(file)) as container:
        stream = container.streams.video[0]
        info = StreamInfo(
            codec="h264",
            width=stream.width,
            height=stream.height,
            time_base=stream.time_base,
            extradata=bytes(stream.codec_context.extradata),
            rotation=rotation,
        )
        packets = [_packet(p, info.time_base) for p in container.demux(stream) if p.size]
    return Footage(info, packets)


@functools.cache
def encoded(
    *,
    pictures: int = 60,
    gop: int = 10,
    b_frames: int = 2,
    times: tuple[int, ...] = (),
    width: int = 320,
    durations: bool = True,
) -> Footage:
    """The sample encoded anew by x264: start codes, parameter sets in the key frames, no extradata.

    10 pictures a second, or at `times` (ticks of 1/90,000 s).
    """
    height = width * 3 // 4
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, TICKS), Fraction(10)
    encoder.options = {"g": str(gop), "bf": str(b_frames), "sc_threshold": "0", "preset": "veryfast"}
    encoder.thread_count = 1
    raw = []
    with av.open(str(SAMPLE)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == pictures:
                break
            small = frame.reformat(width=width, height=height)
            small.pts = times[index] if times else index * TICKS // 10
            small.time_base = encoder.time_base
            small.pict_type = 0
            raw += encoder.encode(small)
    raw += encoder.encode(None)
    info = StreamInfo("h264", width, height, Fraction(1, TICKS), b"")
    step = TICKS // 10 if durations else 0
    packets = [Packet(bytes(p), p.pts, p.dts, step, p.is_keyframe, p.pts / TICKS) for p in raw]
    return Footage(info, packets)


def long_footage(seconds: int) -> Footage:
    """Six encoded seconds played over and over on one time line, GOPs of one second."""
    once = encoded()
    packets = []
    for turn in range(-(-seconds // 6)):
        shift = turn * 6 * TICKS
        packets += [
            Packet(p.data, p.pts + shift, p.dts + shift, p.duration, p.keyframe, (p.pts + shift) / TICKS)
            for p in once.packets
        ]
    return Footage(once.info, packets[: seconds * 10])


def ffprobe(path: Path) -> dict[str, str]:
    """Duration, start and number of pictures as ffprobe counts them; it must have nothing to warn of."""
    entries = "stream=start_time,duration,nb_read_frames,width,height,codec_name,codec_tag_string"
    command = [
        "ffprobe",
        "-v",
        "warning",
        "-count_frames",
        "-show_entries",
        entries,
        "-of",
        "json",
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "" == done.stderr
    return json.loads(done.stdout)["streams"][0]


def ffmpeg_plays(path: Path) -> None:
    """Decode with the ffmpeg program; it must have nothing to warn of."""
    command = [
        "ffmpeg",
        "-v",
        "warning",
        "-xerror",
        "-i",
        str(path),
        "-fps_mode",
        "passthrough",
        "-f",
        "null",
        "-",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "" == done.stderr


def _packet(packet: av.Packet, time_base: Fraction) -> Packet:
    return Packet(
        bytes(packet),
        packet.pts,
        packet.dts,
        packet.duration or 0,
        packet.is_keyframe,
        float(packet.pts * time_base),
    )


@contextlib.contextmanager
def small_disk(place: Path, kib: int) -> Iterator[Path]:
    """A file system of so many KiB, mounted at the new directory `place`; skips where that is not allowed."""
    if os.getuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this container may not mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
