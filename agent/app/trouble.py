"""What is wrong with the disk, by what it refused: each cause is an alarm of its own."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from agent.device import health

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.app.announcer import Announcer
    from agent.errors import StorageError

FULL, READ_ONLY, FAILING, GONE = "storage.full", "storage.readonly", "storage.failing", "storage.gone"
OTHER = "storage.refused"
CODES = (FULL, READ_ONLY, FAILING, GONE, OTHER)

_BY_ERRNO = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: READ_ONLY,
    errno.EIO: FAILING,
    errno.ENODEV: GONE,
    errno.ENXIO: GONE,
    errno.ENOTCONN: GONE,
}


class Trouble:
    """Raises and clears the alarms of the disk. `directories` are those that the agent writes to."""

    def __init__(self, announcer: Announcer, directories: Iterable[Path]) -> None:
        self._announcer = announcer
        self._directories = tuple(directories)
        self.codes: frozenset[str] = frozenset()
        """The alarms that are raised."""

    def judge(self, refusals: Iterable[StorageError | None]) -> None:
        """`refusals` are all that stand now: what nobody complains of any more is over."""
        found = {self._code(refusal): str(refusal) for refusal in refusals if refusal is not None}
        for code in CODES:
            self._announcer.alarm(code, active=code in found, detail=found.get(code, ""))
        self.codes = frozenset(found)

    def _code(self, refusal: StorageError) -> str:
        code = _BY_ERRNO.get(refusal.errno or 0, OTHER)
        # SQLite tells a write to a read-only file system as an I/O error.
        if code == FAILING and any(health.read_only(directory) for directory in self._directories):
            return READ_ONLY
        return code
