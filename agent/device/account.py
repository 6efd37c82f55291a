"""A user of this machine, and what the modes of files let it do: asked by root on behalf of another."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SERVICE_USER = SERVICE_GROUP = "stairwell"
"""Whom systemd/sysusers.d makes."""
READ, WRITE, ENTER = 4, 2, 1  # as in each digit of a mode


@dataclass(frozen=True, slots=True)
class Account:
    """Who a process may be."""

    uid: int
    groups: frozenset[int]
    name: str

    @classmethod
    def of(cls, uid: int) -> Account:
        """The user of this number, known to the machine or not."""
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            return cls(uid, frozenset(), str(uid))
        return cls(uid, frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid)), entry.pw_name)

    @classmethod
    def agent(cls, state: Path) -> Account:
        """The user that the agent runs as: the package's, else whom the state directory belongs to.

        Raises:
            OSError: there is neither.
        """
        try:
            return cls.of(pwd.getpwnam(SERVICE_USER).pw_uid)
        except KeyError:
            return cls.owner(state)

    @classmethod
    def own(cls) -> Account:
        """Whose process this is."""
        return cls.of(os.geteuid())

    @classmethod
    def owner(cls, path: Path) -> Account:
        """Whom the file or directory belongs to.

        Raises:
            OSError: it is not there, or not to be seen.
        """
        return cls.of(path.stat().st_uid)

    @property
    def gid(self) -> int:
        """Its first group; of a user whom the machine does not know, one of the same number."""
        try:
            return pwd.getpwuid(self.uid).pw_gid
        except KeyError:
            return self.uid

    def may(self, path: Path, rights: int = READ) -> bool:
        """Whether modes and owners allow it, all directories on the way to be entered among them.

        Raises:
            OSError: it is not there, or not to be seen.
        """
        return self.obstacle(path, rights) is None

    def obstacle(self, path: Path, rights: int = READ) -> Path | None:
        """What is in the way: the first directory that may not be entered, or `path` itself.

        Access lists and sandboxes are not looked at.

        Raises:
            OSError: it is not there, or not to be seen.
        """
        whole = path.resolve(strict=True)
        for folder in reversed(whole.parents):
            if not self._allowed(folder, ENTER):
                return folder
        return None if self._allowed(whole, rights) else whole

    @classmethod
    def keeper(cls, path: Path) -> Account | None:
        """Who alone decides what stands at `path`: root, or the first other owner on the way to it.

        None: anybody may put something else there. Root must not touch the file by its name then, nor where
        another one keeps it: a link may stand there by the time that it does.

        Raises:
            OSError: it is not there, or not to be seen.
        """
        found = None
        for place in _way(path):
            state = place.lstat()
            if found is None and state.st_uid != 0:
                found = cls.of(state.st_uid)
            shared = state.st_mode & stat.S_IWOTH or (state.st_mode & stat.S_IWGRP and state.st_gid != 0)
            sticky = state.st_mode & stat.S_ISVTX
            if stat.S_ISDIR(state.st_mode) and place != path and shared and not sticky:
                return None
        return found or cls.of(0)

    def _allowed(self, path: Path, rights: int) -> bool:
        if self.uid == 0:
            return True
        state = path.stat()
        if state.st_uid == self.uid:
            digit = stat.S_IMODE(state.st_mode) >> 6
        elif state.st_gid in self.groups:
            digit = stat.S_IMODE(state.st_mode) >> 3
        else:
            digit = stat.S_IMODE(state.st_mode)
        return digit & rights == rights


def _way(path: Path) -> Iterator[Path]:
    """Each directory and link on the way to a file, and what stands at the end of it."""
    ahead = list(reversed(path.absolute().parts))
    at = Path(ahead.pop())
    yield at
    while ahead:
        part = ahead.pop()
        at = at.parent if part == ".." else at / part
        yield at
        if at.is_symlink():
            ahead += reversed(at.readlink().parts)
            at = at.parent


def name_of(user: int) -> str:
    """The user's name, or number when nobody has it any more."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # of a container, or removed since
        return f"user {user}"


def asker(environment: Mapping[str, str] = os.environ) -> str:
    """The name of whoever gave this command: with sudo the one who asked it."""
    asked = environment.get("SUDO_UID", "")
    return name_of(int(asked) if os.geteuid() == 0 and asked.isascii() and asked.isdecimal() else os.getuid())
