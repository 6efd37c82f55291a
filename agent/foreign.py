"""Files that may be another user's, and so may be anything: no link is followed, no pipe waited for.

Root reads in the agent's directories, where whoever rules the agent could lay a link, a pipe, a device or an
endless file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextlib.contextmanager
def directory(path: Path) -> Iterator[int]:
    """The descriptor of the directory at `path`, for `opened`.

    Raises:
        OSError: there is none, or it is a link.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def opened(path: Path, folder: int | None = None) -> Iterator[int]:
    """The descriptor of the file at `path`, to be read.

    `folder` is its directory's, where that could be a link as well.

    Raises:
        OSError: there is none, it cannot be opened, or it is a link, a pipe, a device, a directory.
    """
    try:
        descriptor = os.open(path if folder is None else path.name, FLAGS, dir_fd=folder)
    except OSError as error:
        error.filename = str(path)
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            why = errno.EISDIR if stat.S_ISDIR(mode) else errno.ENOENT
            raise OSError(why, os.strerror(why), str(path))
        yield descriptor
    finally:
        os.close(descriptor)


def read(path: Path, most: int) -> bytes | None:
    """What is in the file; None if that is more than `most` bytes.

    Raises:
        OSError: as `opened`, or the disk refused.
    """
    with opened(path) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        body = file.read(most + 1)
    return body if len(body) <= most else None
