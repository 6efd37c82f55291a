"""The agent's own process."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

from agent.errors import ANEW, StallError
from agent.reasons import reason
from agent.words import say


def settle() -> None:
    """What was made so far stays: the garbage collector looks at it no more.

    It puts off a look at old objects until a quarter has come to those that it knows: among the 75,000 of
    the modules that takes long, and then holds up every thread. Among the few that the agent makes itself
    such a look is soon due, and short.
    """
    gc.collect()
    gc.freeze()


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
            say("{program}: cannot be started anew ({reason})", program=sys.executable, reason=reason(error)),
            fix=ANEW,
        ) from error
