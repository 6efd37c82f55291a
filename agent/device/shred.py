"""Files that are to be gone for good, as far as a program can see to that.

Overwriting reaches the same cells on a magnetic disk only. A memory card writes elsewhere, and keeps what was
there until it needs the room: whoever takes its chips out may still read it. It is done for what is small and
secret all the same: it defeats what looks for deleted files through the card's own controller. `discard`
tells the card that it may forget.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from agent.device import program
from agent.durable import sync_directory

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 1024 * 1024
TRIM_S = 120.0  # a card of 64 GB takes some seconds; one that takes longer hangs


def destroy(path: Path, *, overwrite: bool, name_first: bool = False) -> None:
    """Take a name away; with `overwrite` what it names is random on disk before. A link is not followed.

    `name_first`: the name goes before the bytes, so that no power cut leaves a file that cannot be
    read.
    A file that has another name elsewhere is not overwritten: it may be somebody else's. Nothing when there
    is no such name. The directory is the caller's to sync.

    Raises:
        OSError: the disk refused; the name may still be there.
    """
    try:
        kind = path.lstat()
        if not overwrite or not stat.S_ISREG(kind.st_mode) or kind.st_nlink > 1:
            path.unlink()
            return
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if name_first:
            path.unlink()
            sync_directory(path.parent)
        _overwrite(fd)
        if not name_first:
            path.unlink()
    finally:
        os.close(fd)


def discard(directory: Path) -> bool:
    """Tell the card under `directory` which room is free (fstrim(8)); whether it took that. It takes root."""
    if os.geteuid() != 0:
        return False
    answer = program.ask("fstrim", str(directory), timeout_s=TRIM_S)
    return answer is not None and answer.code == 0


def _overwrite(fd: int) -> None:
    left = os.fstat(fd).st_size
    while left > 0:
        left -= os.write(fd, os.urandom(min(CHUNK, left)))
    os.fsync(fd)
