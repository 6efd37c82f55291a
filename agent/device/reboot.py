"""A reboot of the kit. The agent has no right to it: it asks, and stairwell-reboot.path (root's) answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import StairwellError, StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST_NAME = "reboot"
"""The file in RUNTIME_DIRECTORY (/run/stairwell) for which systemd/stairwell-reboot.path looks."""


def request(environment: Mapping[str, str] = os.environ) -> None:
    """Ask for a reboot: within a second the service manager stops the agent, as any shutdown does.

    Raises:
        StairwellError: the agent does not run as a service, so nobody would hear.
        StorageError: the request cannot be left.
    """
    directory = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if not directory:
        raise StairwellError(
            say("a reboot was asked for, and nobody is there who could do it"),
            fix=say("run the agent as the service stairwell-agent"),
        )
    path = Path(directory) / REQUEST_NAME
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise StorageError(
            say("{path}: a reboot cannot be asked for ({reason})", path=path, reason=reason(error)),
            fix=say("see that the directory belongs to the agent's user"),
            errno=error.errno,
        ) from None
