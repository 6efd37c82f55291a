"""A FAT file system in a file, by mtools: nothing is mounted, so nobody needs root's rights."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from agent.card.program import ProgramError, run
from agent.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

FULL = "full"


class Boot:
    """The FAT file system at byte `offset` of the file at `path`. Names are relative to its top."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._drive = f"{path}@@{offset}"

    def read(self, name: str) -> bytes | None:
        """A file's content; None when there is none."""
        try:
            return run("mcopy", "-n", "-i", self._drive, f"::{name}", "-")
        except ProgramError as error:
            if "not found" in error.said:
                return None
            raise _unusable(self._drive, error) from None

    def write(self, name: str, content: bytes | Path) -> None:
        """Put a file there, in place of one of that name; directories on the way are made.

        Raises:
            StorageError: it does not fit, or the file system is damaged.
        """
        try:
            for parent in reversed(PurePosixPath(name).parents[:-1]):
                if not self._is_directory(str(parent)):
                    run("mmd", "-i", self._drive, f"::{parent}")
            if isinstance(content, bytes):
                run("mcopy", "-o", "-i", self._drive, "-", f"::{name}", data=content)
            else:
                run("mcopy", "-o", "-i", self._drive, content, f"::{name}")
        except ProgramError as error:
            if FULL in error.said.lower():
                raise StorageError(
                    f"{name}: does not fit into the boot partition", fix="put fewer packages onto the card"
                ) from None
            raise _unusable(self._drive, error) from None

    def _is_directory(self, name: str) -> bool:
        try:
            run("mdir", "-b", "-i", self._drive, f"::{name}")
        except ProgramError as error:
            if "not found" in error.said.lower():
                return False
            raise
        return True


def _unusable(drive: str, error: ProgramError) -> StorageError:
    return StorageError(
        f"{drive}: its FAT file system cannot be used ({error.said})", fix="take an undamaged official image"
    )
