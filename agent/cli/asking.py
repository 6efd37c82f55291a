"""Asking the running agent, with an answer for people when it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.errors import StairwellError

if TYPE_CHECKING:
    from collections.abc import Callable


def asked(question: Callable[[], bytes]) -> bytes:
    """What the agent answers.

    Raises:
        StairwellError: nobody answers there, or we may not ask.
    """
    try:
        return question()
    except PermissionError:
        raise StairwellError(
            "the agent's socket: permission denied",
            fix="use sudo, or join the group: sudo usermod -aG stairwell $USER, and log in again",
        ) from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise StairwellError(
            "no agent runs here",
            fix="systemctl start stairwell-agent; `stairwell doctor` tells what is wrong",
        ) from None
    except OSError as error:
        raise StairwellError(
            f"the agent does not answer ({error})", fix="journalctl -u stairwell-agent tells what it does"
        ) from None
