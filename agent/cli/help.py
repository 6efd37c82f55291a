"""What `--help` says, in the technician's language.

Docstrings and `help=` stand in English where their commands are; their Ukrainian is in the catalogue like any
other sentence, under the paragraph's words with single spaces. A command is translated when its help is asked
for, and never otherwise. Commands of the depot (`DEPOT`) speak English; the list of all tells of them, too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agent.words import environment_language, say

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPOT = {"ca", "card", "contract", "enrol", "fleet"}
"""The commands that no kit is served with."""
PANELS = {"argument": say("Arguments"), "option": say("Options"), "command": say("Commands")}
REQUIRED, DEFAULT = say("[required]"), say("[default: {value}]", value="{}")
TYPERS_OWN = (
    say("Show this message and exit."),
    say("Install completion for the current shell."),
    say("Show completion for the current shell, to copy it or customize the installation."),
)
"""The help of the options that Typer itself adds."""
EXAMPLE = "    "  # how a paragraph begins that is typed as it stands


def speaking(command: Any) -> Any:  # noqa: ANN401 - Typer's own click, which has no public name
    """The same command; its help, and that of all below it, is told in the terminal's language."""
    shown = command.format_help

    def format_help(ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - the same
        translate(command, ctx)
        shown(ctx, formatter)

    command.format_help = format_help
    for below in getattr(command, "commands", {}).values():
        speaking(below)
    return command


def translate(command: Any, ctx: Any) -> None:  # noqa: ANN401 - the same
    """Let the help of this command, and the list of those right below it, be in the terminal's language."""
    language = environment_language()
    rich_utils: Any = import_module("typer.rich_utils")  # no other use of a command needs it
    rich_utils.REQUIRED_LONG_STRING = REQUIRED.told(language)
    rich_utils.DEFAULT_STRING = DEFAULT.told(language)
    if language == "en":
        return
    command.help = in_ukrainian(command.help or "")
    for param in command.get_params(ctx):
        param.help = in_ukrainian(param.help or "")
        param.rich_help_panel = PANELS[param.param_type_name].uk
    for below in getattr(command, "commands", {}).values():
        below.help = in_ukrainian(below.help or "")
        below.rich_help_panel = PANELS["command"].uk


def in_ukrainian(told: str) -> str:
    """A help text, paragraph by paragraph; what has no translation stays."""
    return "\n\n".join(
        part if part.startswith(EXAMPLE) else say(_key(part)).uk for part in told.split("\n\n")
    )


def sentences(command: Any) -> Iterator[str]:  # noqa: ANN401 - the same
    """What the help of a command and of all below it says, as the catalogue has it."""
    for told in (command.help, *(getattr(param, "help", None) for param in command.params)):
        yield from (
            _key(part) for part in (told or "").split("\n\n") if part and not part.startswith(EXAMPLE)
        )
    for below in getattr(command, "commands", {}).values():
        yield from sentences(below)


def _key(paragraph: str) -> str:
    return " ".join(paragraph.split())
