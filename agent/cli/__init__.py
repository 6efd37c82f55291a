"""The `stairwell` command."""

from __future__ import annotations

import sys

from agent.cli.application import USAGE, app
from agent.errors import StairwellError
from agent.words import environment_language

__all__ = ["INTERRUPTED", "USAGE", "app", "main"]

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as every shell expects. It is Typer's own answer."""


def main() -> None:
    """Run the command line; an error for people is one line on stderr and its exit code.

    Typer itself answers Ctrl-C, and ends quietly when the reader of our output has gone.
    """
    try:
        app(prog_name="stairwell")  # as `python -m agent` too
    except StairwellError as error:
        sys.stderr.write(f"stairwell: {error.told(environment_language())}\n")
        sys.exit(error.exit_code)
