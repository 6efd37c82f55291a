"""A directory of clips as a kit leaves it: recorded, sealed, chained and signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clips_footage import long_footage
from clips_keys import SEALED_TO, notary

from agent.clips.manifest import Link
from agent.clips.seal import SealingSink
from agent.clips.sink import FileSink
from agent.clips.writer import ClipWriter
from agent.types import ClipRecord
from agent.ulid import ulid

if TYPE_CHECKING:
    from pathlib import Path

    from agent.clips.fragment import Plaintext


def clip_id(number: int) -> str:
    return ulid(number, bytes(10))


def record_clip(
    directory: Path, number: int, *, seconds: int = 5, sealed: bool = True
) -> tuple[ClipRecord, Plaintext]:
    """A finished clip without a manifest; its note lies beside it."""
    name = clip_id(number)
    path = directory / (f"{name}.mp4.age" if sealed else f"{name}.mp4")
    footage = long_footage(seconds)
    sink = (lambda path: SealingSink(path, SEALED_TO)) if sealed else FileSink
    writer = ClipWriter(path, footage.info, 2.0, open_sink=sink)
    for packet in footage.packets:
        writer.packet(packet)
    written = writer.close()
    record = ClipRecord(
        id=name,
        path=path.name,
        events=(ulid(1000 + number, bytes(10)),),
        started=100.0 * number,
        duration=written.duration,
        boot="3b0f6c1e",
        ts="2026-11-22T00:31:05.412Z",
        clk="ntp",
        bytes=written.file.bytes,
        sha256=written.file.sha256,
        codec="h264",
        width=footage.info.width,
        height=footage.info.height,
        sealed="age" if sealed else "none",
        recipients=written.file.recipients,
    )
    return record, written.plain


def make_store(directory: Path, clips: int, *, seconds: int = 5, sealed: bool = True) -> list[ClipRecord]:
    """So many clips with their manifests, in one chain."""
    kit = notary(directory)
    last = Link()
    records = []
    for number in range(1, clips + 1):
        record, plain = record_clip(directory, number, seconds=seconds, sealed=sealed)
        signed = kit.attest(record, plain, last)
        kit.entered(signed)
        last = Link(last.number + 1, signed.manifest)
        records.append(signed)
    return records
