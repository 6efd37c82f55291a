"""Other programs of the machine, asked for what only they know. A missing or hanging one knows nothing."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

PATIENCE_S = 4.0  # a Zero 2 W under load starts systemctl in one; past that it hangs
# Figures as the program writes them for other programs, and times in UTC.
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}


@dataclass(frozen=True, slots=True)
class Answer:
    """How a program ended and what it said."""

    code: int
    out: str
    err: str


def ask(*words: str, timeout_s: float = PATIENCE_S) -> Answer | None:
    """Run a program to its end; None when it is not here, may not be started or takes longer than that.

    Programs of the administrator's (nft, sshd) are found too, though /usr/sbin is off the path of ordinary
    users.
    """
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    try:
        done = subprocess.run(
            words,
            env={**os.environ, **_ENVIRONMENT, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Answer(done.returncode, done.stdout, done.stderr)
