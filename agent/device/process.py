"""The agent's own process."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from agent.errors import StallError


def renew() -> NoReturn:
    """Become a new process with the same command line, environment and process id (execve(2)).

    The service manager sees no end. Threads, cameras and contiguous memory of this one are given back by the
    kernel, which is more than closing them in order achieves. Descriptors are closed: Python's are so by
    themselves.

    Raises:
        StallError: it cannot be done (the program is being replaced, say); a restart from outside can.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves, no shell
    except OSError as error:
        raise StallError(
            f"{sys.executable}: cannot be started anew ({error.strerror})",
            fix="none needed: the service manager starts the agent anew",
        ) from error
