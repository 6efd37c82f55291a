"""Shell completion: made from the command line, run by a real bash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from test_docs import commands

from agent.cli import app

MAKER = Path(__file__).parent.parent / "scripts" / "deb" / "completions.py"


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The completion as the package has it."""
    path = tmp_path_factory.mktemp("completion") / "stairwell"
    made = subprocess.run([sys.executable, "-P", MAKER], capture_output=True, check=True)
    path.write_bytes(made.stdout)
    return path


def completed(script: Path, *lines: str) -> list[set[str]]:
    """What bash offers at the end of each line."""
    asked = "\n".join(
        f'COMP_WORDS=({line}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _stairwell; echo "${{COMPREPLY[*]}}"'
        for line in lines
    )
    done = subprocess.run(
        ["bash", "--norc", "-euc", f'source "{script}"\n{asked}'], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return [set(line.split()) for line in done.stdout.split("\n")[:-1]]


def test_every_command_and_option(script: Path) -> None:
    """Each command is offered where it belongs, and in it each of its options."""
    root = typer.main.get_command(app)
    names = sorted(commands(root, "stairwell"))
    assert len(names) > 30
    offered = completed(script, *(f"{name} --" for name in names))
    for name, found in zip(names, offered, strict=True):
        command = root
        for word in name.split()[1:]:
            command = command.commands[word]
        options = {flag for param in command.params for flag in param.opts if flag.startswith("--")}
        assert options | {"--help"} <= found, name
    parents = [name.rsplit(" ", 1) for name in names]
    for (parent, child), found in zip(
        parents, completed(script, *(f"{parent} ''" for parent, _ in parents)), strict=True
    ):
        assert child in found, (parent, child)


def test_values(script: Path) -> None:
    """An option's values where they are few; a file where nobody can list them; half a word."""
    language, level, file, half = completed(
        script,
        "stairwell doctor --lang ''",
        "stairwell logs --since 1d -l ''",
        "stairwell look -o ''",
        "stairwell clips li",
    )
    assert {"uk", "en"} == language
    assert {"debug", "info", "warning", "error"} == level
    assert set() == file  # then bash completes files
    assert {"list"} == half


def test_shellcheck(script: Path) -> None:
    """It has none of the mistakes that shellcheck knows."""
    told = subprocess.run(["shellcheck", "--shell=bash", script], capture_output=True, text=True, check=False)
    assert told.stdout == ""
