"""The `stairwell` command."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from agent.errors import StairwellError
from agent.words import environment_language

if TYPE_CHECKING:
    from agent.cli.application import app

__all__ = ["INTERRUPTED", "app", "main"]

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as every shell expects. It is Typer's own answer."""

_WHOLE, _ALONE = "agent.cli.application", "agent.cli.run"


def main() -> None:
    """Run the command line; an error for people is one line on stderr and its exit code.

    Typer itself answers Ctrl-C, and ends quietly when the reader of our output has gone. The agent runs for
    months in little memory: it is started without what only people's commands need.
    """
    try:
        tree = import_module(_ALONE if sys.argv[1:2] == ["run"] else _WHOLE).app
        tree(prog_name="stairwell")  # as `python -m agent` too
    except StairwellError as error:
        sys.stderr.write(f"stairwell: {error.told(environment_language())}\n")
        sys.exit(error.exit_code)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - of a module, PEP 562
    """`app`: the whole command line, put together when it is asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(_WHOLE).app
