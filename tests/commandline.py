"""The `stairwell` command in this process: a start of its own would cost each test two seconds of imports."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from unittest import mock

from agent import cli


@dataclass(frozen=True, slots=True)
class Ended:
    """Exit code, and what was printed where."""

    returncode: int
    stdout: str
    stderr: str


def stairwell(*arguments: object) -> Ended:
    """Run a command."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", ["stairwell", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Ended(code, out.getvalue(), err.getvalue())


def done(*arguments: object) -> str:
    """What a command prints that must succeed."""
    ended = stairwell(*arguments)
    assert 0 == ended.returncode, ended.stderr
    return ended.stdout
