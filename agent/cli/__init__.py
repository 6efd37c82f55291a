"""The `stairwell` command."""

from __future__ import annotations

import sys

from agent.cli.application import app
from agent.errors import StairwellError

__all__ = ["app", "main"]

INTERRUPTED = 130  # 128 + SIGINT, as every shell expects


def main() -> None:
    """Run the command line; an error for people is one line on stderr and its exit code."""
    try:
        app()
    except StairwellError as error:
        sys.stderr.write(f"stairwell: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone: nothing is left to say to it.
        sys.stderr.close()
        sys.exit(0)
