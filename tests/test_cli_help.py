"""What `--help` says: something of everything, on 80 columns."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer.main
from test_docs import commands
from typer.testing import CliRunner

from agent.cli import app
from agent.cli.application import TABLE

if TYPE_CHECKING:
    import click

ROOT = typer.main.get_command(app)
NAMES = sorted(commands(ROOT, "stairwell"))


def command(name: str) -> click.Command:
    found = ROOT
    for word in name.split()[1:]:
        found = found.commands[word]  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_explained(name: str) -> None:
    """Each command says in a sentence what it does, and each of its options and arguments what it is for."""
    assert (command(name).help or "").split("\n")[0].endswith((".", ")"))
    silent = [param.name for param in command(name).params if not getattr(param, "help", None)]
    assert [] == silent


def test_it_fits() -> None:
    """A terminal of 80 columns cuts nothing off."""
    for name in ("stairwell", *(name for name in NAMES if name.count(" ") == 1)):
        shown = CliRunner().invoke(app, [*name.split()[1:], "--help"], env={"COLUMNS": "80", "TERM": "dumb"})
        assert 0 == shown.exit_code
        lines = shown.output.splitlines()
        assert max(map(len, lines)) <= 80, name
        assert not any(line.rstrip(" │").endswith("…") for line in lines if "--" in line), name


@pytest.mark.parametrize("name", TABLE)
def test_the_list_is_of_the_commands_own_words(name: str) -> None:
    """What the list of all says of a command, without reading its module, is how its own help begins."""
    assert TABLE[name] == command(f"stairwell {name}").help.split("\n\n")[0]


def test_a_command_is_read_when_it_is_asked_for() -> None:
    """The list of all reads no command's module, and a command no other's: on a kit all take many seconds."""
    for arguments, expected in ((["--help"], set()), (["contract", "--help"], {"agent.cli.contract"})):
        program = (
            "import sys, agent.cli\n"
            f"sys.argv[1:] = {arguments}\n"
            "try: agent.cli.main()\n"
            "finally: print(*sys.modules, file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        own = {name for name in done.stderr.split() if name.startswith("agent.cli.")}
        assert expected == {name for name in own if name.removeprefix("agent.cli.") in TABLE}
