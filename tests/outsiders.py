"""Programs of `outside/`: JavaScript that knows the contract only as it is published."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = Path(__file__).parent / "outside"
MODULES = Path(sys.prefix) / "npm" / "node_modules"  # where scripts/setup puts what npm installs


def command(program: str, *arguments: str | Path) -> list[str]:
    """What starts a program; skips the test where Node.js is missing."""
    node = shutil.which("node")
    if node is None or not MODULES.is_dir():
        pytest.skip("Node.js and what npm installs are missing: scripts/setup")
    return [node, str(PROGRAMS / program), *map(str, arguments)]


def environment() -> dict[str, str]:
    """The variables by which a program finds what npm installed."""
    return {**os.environ, "NODE_PATH": str(MODULES)}


def ask(program: str, *arguments: str | Path, given: object = None) -> Any:  # noqa: ANN401 - any JSON
    """Run a program to its end, `given` on its standard input; what it prints, both as JSON."""
    done = subprocess.run(
        command(program, *arguments),
        input=json.dumps(given),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    return json.loads(done.stdout)
