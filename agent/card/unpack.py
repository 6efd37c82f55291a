"""The raw image: an `.img` as it is, an `.img.xz` unpacked once and kept for the next cards."""

from __future__ import annotations

import fcntl
import hashlib
import lzma
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.durable import SUFFIX_NEW, sync_directory
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHUNK = 4 << 20
AGAIN = "download it again: image and .sha256 lie side by side on raspberrypi.com"


@dataclass(frozen=True, slots=True)
class Raw:
    """An image ready to be read; `sha256` is that of the file that was given."""

    path: Path
    sha256: str


def raw_image(given: Path, cache: Path, expected: str | None, advance: Callable[[int], None]) -> Raw:
    """The raw image of `given`, whose SHA-256 must be `expected`, or what `.sha256` beside it says, if any.

    An unpacked image lies in `cache` under its hash; one that was cut off there is made anew. `advance` hears
    of bytes of `given` that were read.

    Raises:
        ConfigError: it cannot be read, is not what its hash says, or is no xz file though its name says so.
        StorageError: `cache` cannot be written.
    """
    sha256 = _hash(given, advance)
    wanted = expected or _beside(given)
    if wanted is not None and wanted.lower() != sha256:
        raise ConfigError(f"{given}: its SHA-256 is {sha256}, not {wanted.lower()}", fix=AGAIN)
    if given.suffix != ".xz":
        return Raw(given, sha256)
    unpacked = cache / f"{sha256[:32]}.img"
    if not unpacked.exists():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            _unpack(given, unpacked)
        except OSError as error:
            raise StorageError(
                f"{cache}: cannot be written ({error.strerror})", fix="free 4 GB, or name another --cache"
            ) from None
    return Raw(unpacked, sha256)


def _hash(path: Path, advance: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                advance(len(chunk))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", fix="name the image file") from None
    return digest.hexdigest()


def _beside(path: Path) -> str | None:
    """What the maker's `.sha256` file says of it."""
    beside = path.with_name(path.name + ".sha256")
    try:
        text = beside.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{beside}: cannot be read ({error.strerror})", fix=AGAIN) from None
    found = re.match(r"[0-9a-fA-F]{64}\b", text)
    if found is None:
        raise ConfigError(f"{beside}: holds no SHA-256", fix=AGAIN)
    return found[0]


def _unpack(given: Path, unpacked: Path) -> None:
    """Unpack once, whoever else wants the same meanwhile; what a kill left half is begun anew.

    What is no whole xz file, or finds no room, leaves nothing.
    """
    new = unpacked.with_name(unpacked.name + SUFFIX_NEW)
    with os.fdopen(os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if unpacked.exists():
            return
        if not os.fstat(file.fileno()).st_nlink:  # whoever had it gave up meanwhile
            _unpack(given, unpacked)
            return
        file.truncate(0)
        size = 0
        try:
            with lzma.open(given) as packed:
                while chunk := packed.read(CHUNK):
                    if chunk.count(0) < len(chunk):  # the rest are holes: most of an image is empty
                        os.pwrite(file.fileno(), chunk, size)
                    size += len(chunk)
            file.truncate(size)
            os.fsync(file.fileno())
            new.rename(unpacked)
        except (lzma.LZMAError, EOFError) as error:
            raise ConfigError(f"{given}: no whole xz file ({error})", fix=AGAIN) from None
        finally:
            new.unlink(missing_ok=True)
        sync_directory(unpacked.parent)
