"""Files that a power cut can neither halve nor unname: write, fsync, rename, fsync of the directory."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX_NEW = ".new"
"""Of a file that is being written; one that is found was cut off and means nothing."""


def write_whole(path: Path, data: bytes, mode: int) -> None:
    """Put a file with exactly `data` at `path`, in place of what was there; `mode` are its permissions.

    Returns once it survives a power cut. Until then what was there stays whole.

    Raises:
        OSError: the disk refused; what was there is untouched.
    """
    new = path.with_name(path.name + SUFFIX_NEW)
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        os.fsync(fd)
    except OSError:
        new.unlink()
        raise
    finally:
        os.close(fd)
    new.rename(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make names created or removed in `directory` survive a power cut.

    Raises:
        OSError: the disk refused.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def version(path: Path) -> tuple[int, int, int] | None:
    """What tells a file that was put whole from the one that was there before; None where there is none."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns, state.st_size


def free_name(path: Path) -> Path:
    """A name beside `path` under which it can be kept for inquiry, damaged as it is."""
    number = 1
    while (name := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    return name
