"""One agent on one state directory: two of them would give each other's messages the same numbers."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
from typing import TYPE_CHECKING

from agent.errors import StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

LOCK = "agent.lock"
ERASURE = "erase.json"
"""While it lies in the directory the kit is being erased, and no agent may begin anew there."""
FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
PID_BYTES = 20  # any process id is shorter


class OccupiedError(StorageError):
    """Another agent works in the directory."""


class StateLock:
    """Held from its making to `release`, or to the end of the process however it ends (flock(2)).

    Only who erases the kit gets it while that is not done (`erasing`).

    The directory is the agent's user's, and root may be who erases: no link is followed, and a file that has
    another name elsewhere is not written.

    Raises:
        OccupiedError: another agent holds it.
        StorageError: the kit is being erased, or the directory cannot be used.
    """

    def __init__(self, directory: Path, *, erasing: bool = False) -> None:
        path = directory / LOCK
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._file = os.open(path, FLAGS, 0o640)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _not_ours(path) from None
            raise StorageError(
                say("{path}: cannot be opened ({reason})", path=path, reason=reason(error)),
                fix=say("see that the directory belongs to the agent's user and is not read-only or full"),
                errno=error.errno,
            ) from None
        found = os.fstat(self._file)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            os.close(self._file)
            raise _not_ours(path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, PID_BYTES, 0).decode(errors="replace").strip()
            os.close(self._file)
            if error.errno != errno.EWOULDBLOCK:
                raise StorageError(
                    say("{path}: cannot be locked ({reason})", path=path, reason=reason(error)),
                    fix=say("put state.dir on a local disk"),
                ) from None
            raise OccupiedError(
                say(
                    "{path}: another agent works there (process {number})",
                    path=directory,
                    number=holder or say("unknown"),
                ),
                fix=say("stop that one first, or give this one a state.dir of its own"),
            ) from None
        if not erasing and (directory / ERASURE).exists():
            os.close(self._file)
            raise StorageError(
                say("{directory}: this kit is being erased, and that was cut off", directory=directory),
                fix=say("sudo stairwell erase goes on with it"),
            )
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:  # a full card: the lock holds all the same
            log.warning("%s: the process id cannot be noted (%s)", path, error.strerror)

    def release(self) -> None:
        """Let another agent in. Not twice."""
        os.close(self._file)


def _not_ours(path: Path) -> StorageError:
    return StorageError(
        say("{path}: a link, or one name of several, and no agent makes such a one", path=path),
        fix=say("remove it, and find out who made it"),
    )
