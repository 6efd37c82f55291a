"""Where a clip's bytes go: a file that did not exist before and that says when it is on disk."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from agent.durable import sync_directory
from agent.errors import StorageError
from agent.reasons import reason
from agent.words import Text, say

if TYPE_CHECKING:
    from pathlib import Path

    from agent.clips.fragment import Progress

FILE_MODE = 0o640  # the agent's group (upload, support) reads, nobody else

Deed = Literal["closed", "created", "read", "read back", "recovered", "removed", "synced", "written"]
_DEEDS: dict[Deed, Text] = {
    "closed": say("closed"),
    "created": say("created"),
    "read": say("read"),
    "read back": say("read back"),
    "recovered": say("recovered"),
    "removed": say("removed"),
    "synced": say("synced"),
    "written": say("written"),
}
_FIXES = {
    errno.ENOSPC: say("free space, or lower clips.max_mb so that old clips go earlier"),
    errno.EDQUOT: say("raise the quota of the agent's user, or lower clips.max_mb"),
    errno.EROFS: say("the file system went read-only: replace the card, it is worn out or torn"),
    errno.EIO: say("replace the card: it no longer takes data"),
    errno.EACCES: say("give the directory to the agent's user"),
    errno.ENOENT: say("see that the directory exists and its disk is mounted"),
    errno.EEXIST: say("two clips got one name: report this"),
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A finished file as it lies on the disk; `recipients` are the ids of the keys that open it."""

    bytes: int
    sha256: str
    recipients: tuple[str, ...] = ()


class Sink(Protocol):
    """Takes a clip's bytes in order. Each call raises StorageError when the disk refuses."""

    def write(self, data: bytes) -> None:
        """Append all of `data`."""
        ...

    def missing(self) -> int:
        """How many bytes of filling must be written before the next `sync` or `finish`; mostly 0."""
        ...

    def sync(self, progress: Progress) -> None:
        """Return once everything written so far survives a power cut; `progress` says what that is."""
        ...

    def finish(self, progress: Progress) -> Stored:
        """Complete the file and put it on disk for good; nothing may follow but `close`."""
        ...

    def close(self) -> None:
        """Let go of the file as it stands; does not sync."""
        ...


class NewFile:
    """A file, created anew.

    Raises:
        StorageError: the file exists, or cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._named = False
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise refused(path, "created", error) from None

    def append(self, *pieces: bytes) -> None:
        """Append all of the pieces, with one call of the kernel unless it takes less.

        Raises:
            StorageError: the disk refused.
        """
        rest = [memoryview(piece) for piece in pieces]
        try:
            while rest:
                done = os.writev(self._fd, rest)
                while rest and done >= len(rest[0]):
                    done -= len(rest.pop(0))
                if rest:
                    rest[0] = rest[0][done:]
        except OSError as error:
            raise refused(self._path, "written", error) from None

    def flush(self) -> None:
        """Put on disk what was written.

        A sync that failed must not be tried again: the kernel has dropped the pages.

        Raises:
            StorageError: the disk refused.
        """
        try:
            os.fsync(self._fd)
            if not self._named:
                sync_directory(self._path.parent)
                self._named = True
        except OSError as error:
            raise refused(self._path, "synced", error) from None

    def close(self) -> None:
        """Let go of the file as it stands.

        Raises:
            StorageError: it was closed before.
        """
        try:
            os.close(self._fd)
        except OSError as error:
            raise refused(self._path, "closed", error) from None


class FileSink(NewFile):
    """A plain file as a Sink: what is in it says it all, so of `progress` nothing is kept."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._sha256 = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """See Sink."""
        self._sha256.update(data)
        self.append(data)

    def missing(self) -> int:
        """See Sink: none."""
        return 0

    def sync(self, progress: Progress) -> None:
        """See Sink."""
        del progress
        self.flush()

    def finish(self, progress: Progress) -> Stored:
        """See Sink."""
        self.flush()
        return Stored(progress.bytes, self._sha256.hexdigest())


def refused(path: Path, what: Deed | Text, error: OSError) -> StorageError:
    """The error of a clip that could not be created, written, synced … (`what`)."""
    deed = what if isinstance(what, Text) else _DEEDS[what]
    fix = _FIXES.get(error.errno or 0, say("check the disk and the directory's permissions"))
    return StorageError(
        say("{path}: cannot be {deed} ({reason})", path=path, deed=deed, reason=reason(error)),
        fix=fix,
        errno=error.errno,
    )
