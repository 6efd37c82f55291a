"""A clip's file that was cut anywhere, made whole again: what plays, and what is known of it.

An unsealed file says itself how far it plays. A sealed one cannot be read by the kit: its note says up to
where it is sound, by a hash of that much, and holds the sealed chunk that makes an age file of it.

Both change the file only towards what they found, so that a cut that was itself cut is done again.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from agent.clips import part
from agent.clips.boxes import whole_fragments
from agent.clips.fragment import Fragment, Plaintext

if TYPE_CHECKING:
    from pathlib import Path

    from agent.clips.journal import OpenClip
    from agent.clips.part import Note

_BLOCK = 1 << 20  # bytes read at once


@dataclass(frozen=True, slots=True)
class Cut:
    """A file that is whole and on disk: its bytes, what decrypting it gives, and how long that plays.

    `truncated`: there was more of it once, as far as anybody can tell. `about`: what its note tells of it.
    """

    bytes: int
    sha256: str
    plain: Plaintext
    duration: float
    codec: str
    width: int
    height: int
    recipients: tuple[str, ...] = ()
    truncated: bool = True
    about: OpenClip | None = None


def cut_plain(clip: Path) -> Cut | None:
    """Cut the unsealed file to its whole fragments; None when it has none.

    Raises:
        OSError: the disk refused.
    """
    with clip.open("r+b", buffering=1 << 16) as file:
        extent = whole_fragments(file)
        if not extent.ends:
            return None
        _shorten(file, extent.bytes)
        file.seek(0)
        whole, at = hashlib.sha256(), 0
        fragments: list[Fragment] = []
        for t, end in extent.ends:
            own = hashlib.sha256()
            _hash(file, end - at, whole, own)
            fragments.append(Fragment(round(t, 3), end - at, own.hexdigest()))
            at = end
    return Cut(
        bytes=extent.bytes,
        sha256=whole.hexdigest(),
        plain=Plaintext(extent.bytes, tuple(fragments)),
        duration=extent.duration,
        codec=extent.codec,
        width=extent.width,
        height=extent.height,
    )


def cut_sealed(clip: Path) -> Cut | None:
    """Cut the sealed file to its last sync that is sound, as a whole age file; None when there is none.

    Raises:
        OSError: the disk refused.
    """
    try:
        note_file = part.part_path(clip).open("rb")
    except FileNotFoundError:
        return None
    with note_file, clip.open("r+b") as file:
        digest = hashlib.sha256()
        fragments: list[Fragment] = []
        sound: Note | None = None
        sealed = digest
        for note in part.notes(note_file):
            before = sound.sound if sound else 0
            complete = _hash(file, note.sound - before, digest)
            if not complete or digest.hexdigest() != note.sealed:
                break
            sound, sealed = note, digest.copy()
            fragments += note.fragments
        if sound is None or not fragments:
            return None
        _shorten(file, sound.sound, sound.tail)
    sealed.update(sound.tail)
    return Cut(
        bytes=sound.sound + len(sound.tail),
        sha256=sealed.hexdigest(),
        plain=Plaintext(sound.bytes, tuple(fragments)),
        duration=sound.end,
        codec=sound.codec,
        width=sound.width,
        height=sound.height,
        recipients=sound.recipients,
        truncated=bool(sound.tail),
        about=sound.about,
    )


def _shorten(file: BinaryIO, size: int, tail: bytes = b"") -> None:
    """Make the file its first `size` bytes and `tail`, on disk."""
    file.seek(size)
    file.truncate()
    file.write(tail)
    file.flush()
    os.fsync(file.fileno())


def _hash(file: BinaryIO, size: int, *digests: hashlib._Hash) -> bool:
    """Take the next `size` bytes into the digests; whether there were as many."""
    while size > 0 and (block := file.read(min(size, _BLOCK))):
        for digest in digests:
            digest.update(block)
        size -= len(block)
    return size == 0
