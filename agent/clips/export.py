"""Handing a clip out: sealed as it lies there, or opened with the city's key, all of it hashed on the way.

The target appears under its name only once all of it was found to be what the kit signed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from agent.clips import manifest
from agent.clips.journal import SUFFIX
from agent.clips.plaintext import PlaintextCheck
from agent.clips.sink import refused
from agent.clips.unseal import unseal
from agent.durable import SUFFIX_NEW, sync_directory, write_whole
from agent.errors import ConfigError, StorageError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pyrage import x25519

    from agent.types import ClipRecord
    from agent.words import Text

FILE_MODE = 0o600  # footage of people: for whoever exports it, and nobody else
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was handed out; `opened`: it is plain video now."""

    path: Path
    bytes: int
    sha256: str
    opened: bool


def target_of(clip: ClipRecord, directory: Path, *, opened: bool) -> Path:
    """Where in `directory` a clip is put: under its own name, without the seal's suffix if it is opened."""
    return directory / (clip.id + SUFFIX if opened else clip.path)


def export(
    directory: Path,
    clip: ClipRecord,
    target: Path,
    keys: Sequence[x25519.Identity],
    progress: Callable[[int], object],
) -> Exported:
    """Put the clip at `target`, opened when there are `keys`, with its manifest beside it.

    `progress` is told how many bytes of the clip's file were read.

    Raises:
        ConfigError: none of the keys opens the clip.
        StorageError: a disk refuses, or the clip is not what was signed; `target` is not there then.
    """
    source, new = directory / clip.path, target.with_name(target.name + SUFFIX_NEW)
    signed = _manifest(source, clip)
    opened = bool(keys) and clip.sealed != "none"
    try:
        with source.open("rb") as file, _created(new) as out:
            check = PlaintextCheck(signed)
            reader, writer = _Reader(file, progress), _Writer(out, check if opened else None)
            if opened:
                _unseal(source, reader, writer, keys, clip)
            else:
                while block := reader.read(BLOCK):
                    writer.write(block)
            if reader.sha256() != clip.sha256:
                raise _altered(source, say("the file is not the one that was signed"))
            if opened and check.altered(writer.bytes):
                raise _altered(source, say("what is in it is not what was signed"))
            out.flush()
            os.fsync(out.fileno())
        new.rename(target)
        sync_directory(target.parent)
        beside = manifest.manifest_path(target)
        write_whole(beside, manifest.manifest_path(source).read_bytes(), FILE_MODE)
    except OSError as error:
        raise refused(target, say("exported from {source}", source=source), error) from None
    return Exported(target, writer.bytes, writer.sha256(), opened)


def _manifest(source: Path, clip: ClipRecord) -> manifest.Manifest:
    path = manifest.manifest_path(source)
    try:
        signed = manifest.read(path)
    except OSError as error:
        raise refused(path, "read", error) from None
    except ValueError as error:
        raise _altered(path, say("it is no manifest: {error}", error=error)) from None
    if signed.digest != clip.manifest:
        raise _altered(path, say("it is not the manifest that the clip's message names"))
    return signed.manifest


def _unseal(
    source: Path, reader: _Reader, writer: _Writer, keys: Sequence[x25519.Identity], clip: ClipRecord
) -> None:
    found = unseal(reader, writer, keys)
    if found == "foreign":
        raise ConfigError(
            say("clip {clip}: none of the keys in the identity file opens it", clip=clip.id),
            fix=say("it is sealed to the keys {keys}", keys=", ".join(clip.recipients)),
        )
    if found == "broken":
        raise _altered(source, say("the sealed file is damaged"))


def _altered(path: Path, why: Text) -> StorageError:
    return StorageError(
        say("{path}: {reason}", path=path, reason=why),
        fix=say("keep the file; `stairwell clips verify` names the second from which it differs"),
    )


@contextlib.contextmanager
def _created(new: Path) -> Iterator[BinaryIO]:
    """The new file; it goes again unless all went well."""
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except BaseException:
        new.unlink(missing_ok=True)
        raise


class _Reader:
    """Hashes what is read of the clip."""

    def __init__(self, file: BinaryIO, progress: Callable[[int], object]) -> None:
        self._file = file
        self._progress = progress
        self._sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end."""
        block = self._file.read(size)
        self._sha256.update(block)
        self._progress(len(block))
        return block

    def sha256(self) -> str:
        """The hash of the whole file."""
        while self.read(BLOCK):
            pass
        return self._sha256.hexdigest()


class _Writer:
    """Hashes what is written of the target, and shows it to the `check` of an opened clip."""

    def __init__(self, file: BinaryIO, check: PlaintextCheck | None) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self._check = check
        self.bytes = 0

    def write(self, data: bytes) -> int:
        """Take all of `data`."""
        self._file.write(data)
        self._sha256.update(data)
        self.bytes += len(data)
        if self._check is not None:
            self._check.write(data)
        return len(data)

    def flush(self) -> None:
        """Nothing may be left on the way."""
        self._file.flush()

    def sha256(self) -> str:
        """The hash of all that was written."""
        return self._sha256.hexdigest()
