"""Room on the card that is kept for the moment at which there is none.

A full disk takes no commit, and without a commit nothing can be deleted: the agent would stand before it for
ever, or not even start. So a file without a purpose lies beside the database. When the disk is full it goes,
the database uses its place to delete clips, and it comes back once there is room.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING

from agent.database import WAL_LIMIT_BYTES, Database
from agent.device import health
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

NAME = "agent.ballast"
# The database's log in its full length, of which it needs no more however much is written: with less it stops
# again before the log is begun anew.
BALLAST_BYTES = WAL_LIMIT_BYTES
ROOM = 2 * BALLAST_BYTES
"""Must be free before it is taken (again): what it leaves is for what made the disk full."""


class Ballast:
    """The file in `directory`. A disk that refuses it is told of by others, who need it more."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME

    def take(self) -> None:
        """Have it there, if there is room."""
        if self._path.exists() or (health.free_bytes(self._path.parent) or 0) < ROOM:
            return
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, BALLAST_BYTES)
            finally:
                os.close(file)
        except OSError as error:
            log.info("%s: cannot be made (%s)", self._path, error.strerror)
            self.drop()

    def drop(self) -> bool:
        """Give its room away; whether there was any."""
        with contextlib.suppress(OSError):
            self._path.unlink()
            return True
        return False

    def database(self, path: Path, schemas: Iterable[str]) -> Database:
        """The database at `path`, opened on a full disk as well.

        Raises:
            StorageError: it cannot be opened, with the ballast's room neither.
        """
        schemas = tuple(schemas)
        try:
            return Database(path, schemas)
        except StorageError as error:
            if not self.drop():
                raise
            log.warning("%s; tried again with the room of %s", error.problem, self._path)
            return Database(path, schemas)
