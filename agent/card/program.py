"""Programs of Debian's that the card is made with; one that is missing is named with its package."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from agent.errors import StairwellError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = {
    "mcopy": "mtools",
    "mdel": "mtools",
    "mdir": "mtools",
    "mmd": "mtools",
    "debugfs": "e2fsprogs",
    "dpkg": "dpkg",
    "dpkg-deb": "dpkg",
}
ENVIRONMENT = {"LC_ALL": "C", "MTOOLSRC": os.devnull, "DEBUGFS_PAGER": "cat"}
"""What a user's own configuration says must not decide what lies on a card."""


class ProgramError(StorageError):
    """A program refused; `said` is its last line."""

    def __init__(self, program: str, said: str) -> None:
        super().__init__(f"{program}: {said}", fix="the line says what it could not do")
        self.said = said


def run(program: str, *arguments: str | Path, data: bytes | None = None, keep: bool = True) -> bytes:
    """What `program` says to `arguments`, with `data` at its input; without `keep` that is passed over.

    Raises:
        ProgramError: it ended with an error.
        StairwellError: it is not installed.
    """
    # Debian keeps some of them off the path of ordinary users.
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    try:
        done = subprocess.run(
            [program, *arguments],
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            stdout=subprocess.PIPE if keep else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            env={**os.environ, **ENVIRONMENT, "PATH": path},
        )
    except FileNotFoundError:
        raise StairwellError(
            f"{program} is not installed", fix=f"sudo apt-get install {PACKAGES[program]}"
        ) from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it ended with an error"]
        raise ProgramError(program, lines[-1])
    return done.stdout or b""
