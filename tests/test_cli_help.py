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
from agent.cli.help import DEPOT, PANELS, TYPERS_OWN, sentences
from agent.words import say

if TYPE_CHECKING:
    import click

ROOT = typer.main.get_command(app)
NAMES = sorted(commands(ROOT, "stairwell"))
KITS = [name for name in TABLE if name not in DEPOT]


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


def help_of(words: list[str], **environment: str) -> str:
    """What is shown, as one line of words."""
    none = dict.fromkeys(("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"))
    variables = {"COLUMNS": "100", "TERM": "dumb", **none, **environment}
    shown = CliRunner().invoke(app, [*words, "--help"], env=variables)
    assert 0 == shown.exit_code
    return " ".join(shown.output.replace("│", " ").split())


@pytest.mark.parametrize("name", KITS)
def test_a_kits_commands_are_explained_in_ukrainian(name: str) -> None:
    """Each paragraph, option and argument of a command, and of those below it; what has none is named."""
    assert [] == [said for said in sentences(command(f"stairwell {name}")) if say(said).uk == said]


def test_the_list_is_in_ukrainian() -> None:
    """Of the depot's commands, too; with the titles of the panels, and what Typer adds."""
    titles = [*TYPERS_OWN, *PANELS.values(), *map(say, TABLE.values())]
    assert [] == [title.en for title in titles if title.uk == title.en]


@pytest.mark.parametrize("name", ["", *KITS])
def test_help_speaks_the_terminals_language(name: str) -> None:
    """The terminal's, wherever in the tree: first line, panels, and that this is the help."""
    first = say(TABLE[name] if name else ROOT.help)
    for locale, language in (("uk_UA.UTF-8", "uk"), ("en_GB.UTF-8", "en")):
        shown = help_of([name] if name else [], LANG=locale)
        assert first.told(language) in shown
        assert f"─ {PANELS['option'].told(language)} ─" in shown
        assert TYPERS_OWN[0].told(language) in shown
        assert ("[OPTIONS] COMMAND" in shown) == (f"─ {PANELS['command'].told(language)} ─" in shown)


def test_help_below_a_command_speaks_ukrainian() -> None:
    """Of a command's command, with its arguments, what it requires and what it does by itself."""
    shown = help_of(["clips", "hold"], LANG="uk_UA.UTF-8")
    assert say(command("stairwell clips hold").help.split("\n\n")[0]).uk in shown
    assert "─ Аргументи ─" in shown
    assert "[обов'язково]" in shown
    assert "[required]" in help_of(["clips", "hold"], LANG="en_GB.UTF-8")


def test_the_language_of_the_line_is_the_helps() -> None:
    """--lang counts for the help, too, in two words as well as in one."""
    for words in (["doctor", "--lang", "uk"], ["doctor", "--lang=uk"]):
        assert say(TABLE["doctor"]).uk in help_of(words, LANG="en_GB.UTF-8")
    assert TABLE["doctor"] in help_of(["doctor", "--lang", "en"], LANG="uk_UA.UTF-8")
