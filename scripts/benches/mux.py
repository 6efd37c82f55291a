"""What it costs to keep a camera's packets: ring, muxer and seal beside a plain `ffmpeg -c copy`."""

from __future__ import annotations

import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import av
import typer
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from pyrage import x25519
from rich.console import Console
from rich.table import Table

from agent.capture.ring import PacketRing
from agent.clips.agefile import CHUNK, ChunkSealer
from agent.clips.recorder import Recorder
from agent.clips.seal import Recipients
from agent.config import Clips
from agent.device.clock import VideoClock
from agent.types import Packet, StreamInfo
from agent.ulid import ENTROPY_BYTES, ulid

WIDTH, HEIGHT, FPS = 1920, 1080, 15
BITRATE = "4M"  # what a camera of this size sends at medium quality
PIECE_S = 10  # encoded once, then repeated
RING_BYTES = 24_000_000
MB = 1e6


def main(
    seconds: Annotated[int, typer.Option(min=20, help="Length of the video.")] = 300,
    repeat: Annotated[int, typer.Option(min=1, help="Runs of each kind; the least of each counts.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """CPU of ring + mux + seal for 1080p15 that is recorded all the time, as a ratio to `ffmpeg -c copy`.

    Both read the same file and write a file of their own; runs alternate, and of each kind the one that the
    rest of the machine disturbed least counts. `ratio_of_medians` shows how much that was. `ratio` compares
    ring, muxer, hashes, seal and syncs with ffmpeg, which reads the file and starts, too; `ratio_with_demux`
    counts our reading of the file as well and takes off what ffmpeg needs to start. `crypto_cpu_ms` is what
    SHA-256 (of each second, of the file) and ChaCha20-Poly1305 need for these bytes by themselves: ffmpeg
    does neither.
    `beyond_ring_mb` is the peak memory of a process that records less that of one that only fills the ring.
    """
    with tempfile.TemporaryDirectory(prefix="stairwell-mux-") as name:
        directory = Path(name)
        source = _source(directory, seconds)
        runs = [
            _plain(source, directory) | _ours(source, directory, "record") | {"crypto": _crypto(source)}
            for _ in range(repeat)
        ]
        ring = _ours(source, directory, "ring")
        size = source.stat().st_size
    least = {key: min(run[key] for run in runs) for key in runs[0]}
    median = {key: statistics.median(run[key] for run in runs) for key in ("record", "ffmpeg")}
    result = {
        "seconds": seconds,
        "mbit_s": round(8 * size / MB / seconds, 2),
        "ffmpeg_cpu_ms": round(least["ffmpeg"], 1),
        "ffmpeg_start_cpu_ms": round(least["start"], 1),
        "agent_cpu_ms": round(least["record"], 1),
        "crypto_cpu_ms": round(least["crypto"], 1),
        "agent_with_demux_cpu_ms": round(least["whole"], 1),
        "ratio": round(least["record"] / least["ffmpeg"], 3),
        "ratio_of_medians": round(median["record"] / median["ffmpeg"], 3),
        "ratio_with_demux": round(least["whole"] / (least["ffmpeg"] - least["start"]), 3),
        "beyond_ring_mb": round(max(run["peak_mb"] for run in runs) - ring["peak_mb"], 1),
        "percent_of_a_core": round(least["record"] / seconds / 10, 2),
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in result.items():
        table.add_row(key.replace("_", " "), str(value))
    Console().print(table)


def _source(directory: Path, seconds: int) -> Path:
    """A noisy scene as a camera sends it: H.264 with start codes, no B-frames, a key frame each second."""
    piece, whole = directory / "piece.ts", directory / "source.ts"
    scene = f"testsrc2=size={WIDTH}x{HEIGHT}:rate={FPS}:duration={PIECE_S},noise=alls=12:allf=t"
    rate = f"-b:v {BITRATE} -maxrate {BITRATE} -bufsize {BITRATE} -g {FPS} -pix_fmt yuv420p"
    encoder = f"-c:v libx264 -preset ultrafast -tune zerolatency {rate}"
    _ffmpeg("-f", "lavfi", "-i", scene, *encoder.split(), piece)
    turns = -(-seconds // PIECE_S) - 1
    _ffmpeg("-stream_loop", turns, "-i", piece, "-c", "copy", "-t", seconds, whole)
    return whole


def _plain(source: Path, directory: Path) -> dict[str, float]:
    return {
        "ffmpeg": _ffmpeg("-i", source, "-c", "copy", directory / "copy.mp4"),
        "start": _ffmpeg("-version"),
    }


def _ffmpeg(*arguments: object) -> float:
    """CPU milliseconds of a run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["ffmpeg", "-v", "error", "-y", "-nostdin", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _crypto(source: Path) -> float:
    """CPU milliseconds of what nobody can leave out who hashes, hashes the file, and seals."""
    cipher = ChaCha20Poly1305(ChaCha20Poly1305.generate_key())
    second, file = hashlib.sha256(), hashlib.sha256()
    spent = 0.0
    with source.open("rb") as video:
        for number in range(-(-source.stat().st_size // CHUNK)):
            chunk = video.read(CHUNK)
            mark = time.process_time()
            second.update(chunk)
            file.update(cipher.encrypt(number.to_bytes(12), chunk, None))
            spent += time.process_time() - mark
    return 1000 * spent


def _ours(source: Path, directory: Path, what: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=directory) as clips:
        done = subprocess.run(
            [sys.executable, __file__, str(source), clips, what], check=True, capture_output=True, text=True
        )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


class _Quiet:
    """A journal that keeps nothing: rows are counted elsewhere, by the messages that they are."""

    def opened(self, clip: object) -> None:
        """See ClipJournal."""

    def closed(self, clip: object, plain: object) -> None:
        """See ClipJournal."""


def measure(source: Path, directory: Path, what: str) -> dict[str, Any]:
    """CPU milliseconds of recording (`record`) and of the whole loop, and the peak of this process."""
    recipients = tuple(str(x25519.Identity.generate().to_public()) for _ in range(2))
    settings = Clips(recipients=recipients)
    ring = PacketRing(settings.pre_roll_s, RING_BYTES)
    numbers = count(1)
    recorder = Recorder(
        settings,
        directory,
        ring.since,
        lambda: ulid(next(numbers), bytes(ENTROPY_BYTES)),
        _Quiet(),
        VideoClock().stamp,
    )
    ChunkSealer(Recipients.of(recipients).keys)  # loads what a process loads once, with its first key
    spent = 0.0
    begun = time.process_time()
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        info = StreamInfo("h264", WIDTH, HEIGHT, stream.time_base, bytes(stream.codec_context.extradata))
        tick = float(info.time_base)
        ring.stream(info)
        recorder.stream(info)
        for raw in container.demux(stream):
            if not raw.size:
                continue
            t = raw.pts * tick
            packet = Packet(bytes(raw), raw.pts, raw.dts, raw.duration, raw.is_keyframe, t)
            mark = time.process_time()
            ring.push(packet)
            if what == "record":
                if not spent:
                    recorder.event_opened("bench", t)
                recorder.packet(packet)
            spent += time.process_time() - mark
        mark = time.process_time()
        recorder.close()
        spent += time.process_time() - mark
    whole = time.process_time() - begun
    return {"record": 1000 * spent, "whole": 1000 * whole, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """The most that this process held; `ru_maxrss` would begin with what its parent held at the fork."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / MB


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])))
