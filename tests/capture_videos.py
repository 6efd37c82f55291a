"""Small videos for the tests of the capture room, made by ffmpeg, and a camera that speaks RTSP."""

from __future__ import annotations

import base64
import socket
import struct
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Self

import av

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RTP_PAYLOAD = 1400
TICKS_PER_S = 90_000


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg quietly; fail with what it says."""
    subprocess.run(
        ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-threads", "1", *map(str, arguments)],
        check=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


def make(
    path: Path,
    *arguments: str,
    size: str = "160x120",
    rate: float = 10,
    seconds: float = 2,
    codec: str = "libx264",
) -> Path:
    """A moving test picture as a video of the kind that `path` ends with."""
    source = f"testsrc2=size={size}:rate={rate}:duration={seconds}"
    gop = ("-g", "10") if codec == "libx264" else ()
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", codec, *gop, "-pix_fmt", "yuv420p", *arguments, path)
    return path


def free_port() -> int:
    """A TCP port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RtspCamera:
    """A camera of one H.264 file over RTSP with interleaved RTP (RFC 2326, 3550, 6184), round and round.

    Each connection ends after `pictures`: by closing, or (`hang`) by silence with the connection open.
    NAL units of the type `without` are not sent.
    """

    def __init__(
        self, video: Path, *, fps: float = 20, pictures: int = 1 << 30, hang: bool = False, without: int = 0
    ) -> None:
        self._pictures = [[u for u in units if u[0] & 31 != without] for units in _annex_b(video)]
        self._fps = fps
        self._limit = pictures
        self._hang = hang
        self._stop = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.1)
        self.connections = 0
        self.url = f"rtsp://127.0.0.1:{self._server.getsockname()[1]}/stairs"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                peer, _ = self._server.accept()
            except TimeoutError:
                continue
            self.connections += 1
            with peer:
                peer.settimeout(5)
                try:
                    self._answer(peer)
                except OSError:
                    continue

    def _answer(self, peer: socket.socket) -> None:
        pending = b""
        while not self._stop.is_set():
            while b"\r\n\r\n" not in pending:
                more = peer.recv(4096)
                if not more:
                    return
                pending += more
            head, _, pending = pending.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            method = lines[0].split()[0]
            sequence = next(line for line in lines if line.lower().startswith("cseq"))
            body = self._sdp() if method == "DESCRIBE" else ""
            fields = {
                "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN",
                "DESCRIBE": f"Content-Type: application/sdp\r\nContent-Length: {len(body)}",
                "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 7",
            }.get(method, "Session: 7")
            peer.sendall(f"RTSP/1.0 200 OK\r\n{sequence}\r\n{fields}\r\n\r\n{body}".encode())
            if method == "PLAY":
                self._play(peer)
                return

    def _sdp(self) -> str:
        sets = [unit for unit in self._pictures[0] if unit[0] & 31 in {7, 8}]
        sprop = ",".join(base64.b64encode(unit).decode() for unit in sets)
        return (
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=stairs\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=framerate:"
            f"{self._fps}\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={sprop}\r\n"
            "a=control:track1\r\n"
        )

    def _play(self, peer: socket.socket) -> None:
        sequence = 0
        for n in range(self._limit):
            units = self._pictures[n % len(self._pictures)]
            stamp = round(n * TICKS_PER_S / self._fps)
            for i, unit in enumerate(units):
                parts = list(_fragments(unit))
                for j, part in enumerate(parts):
                    last = i == len(units) - 1 and j == len(parts) - 1
                    header = struct.pack(">BBHII", 0x80, 96 | (last << 7), sequence & 0xFFFF, stamp, 1)
                    sequence += 1
                    packet = header + part
                    peer.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
            if self._stop.wait(1 / self._fps):
                return
        while self._hang and not self._stop.is_set():
            time.sleep(0.02)
            peer.settimeout(0.02)
            try:
                if not peer.recv(4096):
                    return
            except TimeoutError:
                continue


def _annex_b(video: Path) -> list[list[bytes]]:
    """The NAL units of each picture of an elementary stream."""
    with av.open(str(video)) as container:
        return [
            [unit.strip(b"\0") for unit in bytes(p).split(b"\0\0\1") if unit.strip(b"\0")]
            for p in container.demux(video=0)
            if p.size
        ]


def _fragments(unit: bytes) -> Iterator[bytes]:
    """The NAL unit as RTP payloads: alone, or in FU-A pieces."""
    if len(unit) <= RTP_PAYLOAD:
        yield unit
        return
    indicator, kind, body = (unit[0] & 0xE0) | 28, unit[0] & 0x1F, unit[1:]
    for at in range(0, len(body), RTP_PAYLOAD):
        start, end = at == 0, at + RTP_PAYLOAD >= len(body)
        yield bytes([indicator, (start << 7) | (end << 6) | kind]) + body[at : at + RTP_PAYLOAD]
