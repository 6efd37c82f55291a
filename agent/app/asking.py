"""Asking the running agent, with an answer for people when it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from agent.app import hatch
from agent.errors import StairwellError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")


def asked(question: Callable[[], Answer]) -> Answer:
    """What the agent answers.

    Raises:
        StairwellError: nobody answers there, or we may not ask.
    """
    try:
        return question()
    except PermissionError:
        raise hatch.denied() from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise StairwellError(
            say("no agent runs here"),
            fix=say("systemctl start stairwell-agent; `stairwell doctor` tells what is wrong"),
        ) from None
    except OSError as error:
        raise StairwellError(
            say("the agent does not answer ({error})", error=error),
            fix=say("journalctl -u stairwell-agent tells what it does"),
        ) from None
