"""Clips sealed while they are written: age to the city's keys, no plaintext on the disk at any time.

Invariants:
- What reaches the disk is sealed; plaintext is held in memory only, CHUNK bytes of it at most.
- After each `sync` the file and its note (`<id>.part`) hold everything written so far as a whole age file:
  recovery puts the note's sealed last chunk behind the sound part of the file, and plain `age -d` opens it to
  the end. The kit needs no secret for it, and none is kept.
- No chunk is sealed twice under one nonce. A second sync within one chunk would need it, so the writer first
  fills that chunk up (`missing`): a clip below CHUNK / sync_s (262 kbit/s at the default) grows by filling.

A power cut thus costs what an unsealed clip loses: no more than the sync interval.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.agekey import key_id, recipient_key
from agent.clips import part
from agent.clips.agefile import CHUNK, ChunkSealer
from agent.clips.sink import NewFile, Stored

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.clips.fragment import Progress

BATCH = 8  # chunks sealed and written at a time: a second of 4 Mbit/s, and no more memory than that


@dataclass(frozen=True, slots=True)
class Recipients:
    """Whom clips are sealed to: any one of them opens any clip. `ids` name the keys in manifests."""

    keys: tuple[bytes, ...]
    ids: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Recipients:
        """The recipients (`age1…`) of the configuration.

        Raises:
            ValueError: one is no age recipient.
        """
        texts = tuple(texts)
        return cls(tuple(recipient_key(text) for text in texts), tuple(key_id(text) for text in texts))


class SealingSink:
    """A new age file at `path` (`<id>.mp4.age`) with its note beside it.

    Raises:
        StorageError: one of the two exists, or cannot be created.
        ValueError: there is no recipient.
    """

    def __init__(self, path: Path, recipients: Recipients) -> None:
        self._recipients = recipients
        self._sealer = ChunkSealer(recipients.keys)
        self._sha256 = hashlib.sha256()
        self._sound = 0  # bytes of the file so far: header and chunks that others follow
        self._number = 0  # of the chunk that is being filled
        self._chunk = bytearray()  # its plaintext: full ones wait for the byte that makes them not the last
        self._tail = b""  # this chunk as the last one, as of the last sync
        self._note = NewFile(part.part_path(path))
        self._file = NewFile(path)
        self._file.append(self._counted(self._sealer.head))

    def write(self, data: bytes) -> None:
        """See Sink."""
        if not data:
            return
        self._tail = b""
        rest = memoryview(data)
        sealed: list[bytes] = []
        while len(self._chunk) + len(rest) > CHUNK:
            room = CHUNK - len(self._chunk)
            chunk = rest[:room]
            if self._chunk:
                self._chunk += chunk
                chunk = memoryview(self._chunk)
            sealed.append(self._counted(self._sealer.chunk(self._number, chunk)))
            rest = rest[room:]
            self._chunk = bytearray()
            self._number += 1
            if len(sealed) == BATCH:
                self._file.append(*sealed)
                sealed.clear()
        self._chunk += rest
        if sealed:
            self._file.append(*sealed)

    def missing(self) -> int:
        """See Sink: what fills this chunk and begins the next, when this one was an end before."""
        if self._tail or not self._sealer.ended(self._number):
            return 0
        return CHUNK - len(self._chunk) + 1

    def sync(self, progress: Progress) -> None:
        """See Sink."""
        tail = self._end()
        self._file.flush()
        self._keep(progress, tail)

    def finish(self, progress: Progress) -> Stored:
        """See Sink."""
        self._file.append(self._counted(self._end()))
        self._file.flush()
        self._keep(progress, b"")
        return Stored(self._sound, self._sha256.hexdigest(), self._recipients.ids)

    def close(self) -> None:
        """See Sink."""
        try:
            self._file.close()
        finally:
            self._note.close()

    def _end(self) -> bytes:
        if not self._tail:
            self._tail = self._sealer.last(self._number, bytes(self._chunk))
        return self._tail

    def _counted(self, piece: bytes) -> bytes:
        """The piece, hashed while it is still in the processor's cache: the file's next bytes."""
        self._sha256.update(piece)
        self._sound += len(piece)
        return piece

    def _keep(self, progress: Progress, tail: bytes) -> None:
        """Put on disk what makes the file whole from here. The file itself must be there before."""
        record = part.encode(progress, self._sound, self._sha256.hexdigest(), tail, self._recipients.ids)
        self._note.append(record)
        self._note.flush()
