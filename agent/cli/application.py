"""The command tree. Each command is a module, which is read when that command is asked for.

All of them together are seconds of imports on a kit, and no command needs another's.
"""

from __future__ import annotations

import os
from collections import UserDict
from contextlib import contextmanager
from copy import copy
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

import agent
from agent.cli.help import DEPOT, speaking, translate
from agent.words import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

USAGE = 64
"""Exit code of a wrong command line: EX_USAGE of sysexits.h. click's own, 2, is the doctor's for failures."""
UsageError: Any = typer.BadParameter.__base__  # of Typer's own click, which has no public name
MARKUP: Literal["markdown"] = "markdown"
TABLE = {
    "run": "Watch, record and report until stopped (Ctrl-C, SIGTERM) or until a video file ends.",
    "replay": "Analyse a video file exactly as the kit would, and show what it would say.",
    "demo": "Run the agent on the shipped sample against a private broker, and print what a subscriber "
    "receives.",
    "doctor": "Examine this kit: power, heat, disk, clock, network, keys, camera, detector, agent, ways in.",
    "logs": "Show what the agent told the journal, oldest first; with what systemd says of its units. Times "
    "are UTC.",
    "events": "Show the events, oldest first: when each began (UTC), how long it took, how many persons, its "
    "clips.",
    "outbox": "Show the messages that wait for delivery, oldest first, and how full the outbox is.",
    "audit": "Show the audit, oldest first: each order, each look, each configuration, by whom, and how it "
    "ended.",
    "bundle": "Pack what support needs to know into one file of at most 5 MB, and print its id.",
    "passport": "Make the camera's passport: one page, as PDF and as HTML, for the papers that a "
    "municipality keeps.",
    "look": "Show what the camera sees now, masked, with zones, motion, tracks and persons drawn on it.",
    "status": "Show the running agent on one screen: camera, detector, events, messages, clips, link, clock, "
    "alarms.",
    "firstboot": "Make a kit of a machine that was started from a new card: settings, name, burn-in, "
    "enrolment, services.",
    "burnin": "Prove this kit: camera, card, power, heat, watchdog, detector. It takes two minutes, and the "
    "camera.",
    "commission": "Commission a kit on its wall: aim, masks, reference, walk test, power cut, signature, "
    "label.",
    "erase": "Destroy all that a kit keeps, for good: keys, clips, messages, audit, settings; with a signed "
    "receipt.",
    "update": "Install a release beside the one that runs, and let it run on trial. Without a file: how "
    "things stand.",
    "seal": "Seal a private key or a password to this board's TPM, for a kit whose papers were issued by "
    "hand.",
    "root": "The read-only root of this kit: how it stands, open it for a repair, close it.",
    "ca": "The city's certificate authority: who is let in, and who no more. Run it at the depot.",
    "card": "Prepare the cards of new kits.",
    "clips": "The clips: look, hand out, prove, hold, erase. Works beside a running agent; run it as its "
    "user.",
    "enrol": "Enrolment: a claim becomes a certificate, and that the next one.",
    "fleet": "The register of kits: where each hangs, what it was given, who is locked out. Run it at the "
    "depot.",
    "config": "Look at and check the settings.",
    "contract": "The contract with the platform: what is said where, and how it looks.",
    "models": "Detector models.",
}
"""Each command, and the first paragraph of its help: what the list of all shows."""
HOUSEMATES = {"burnin": "firstboot"}
"""The commands whose module has another name than theirs."""


class Modules(UserDict[str, Any]):
    """The commands by name, as click's objects; each is made when it is first looked up."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(dict.fromkeys(names))

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - Typer's own click, which has no public name
        if self.data[name] is None:
            self.data[name] = _made(name)
        return self.data[name]


class Tree(TyperGroup):
    """The root: it knows its commands' names and first lines without reading their modules."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - whatever Typer gives
        super().__init__(**attributes)
        self.commands = Modules(TABLE)

    def make_context(self, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - the same
        """Typer's own; what is wrong in the line's first words ends with our exit code.

        The language that the line asks for is the help's, too, wherever it stands there.
        """
        line = more.get("args", arguments[-1])
        with _line():
            _prefer(line)
            return super().make_context(*arguments, **more)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - the same
        """Typer's own; what is wrong in a command's words ends with our exit code."""
        with _line():
            return super().invoke(ctx)

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # Typer's name for it
        """In the order of the table."""
        del ctx
        return list(self.commands)

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # noqa: ANN401 - the same
        """The list is made of the table."""
        listing = copy(self)
        listing.commands = {name: TyperCommand(name, help=told) for name, told in TABLE.items()}
        translate(listing, ctx)
        TyperGroup.format_help(listing, ctx, formatter)


@contextmanager
def _line() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        error.exit_code = USAGE
        raise


def _prefer(line: Sequence[str]) -> None:
    """Let the help be told in the language that the line names; a wrong one is refused by its command."""
    words = " ".join(line).replace("--lang=", "--lang ").split()
    for before, word in pairwise(words):
        if before == "--lang" and word in LANGUAGES:
            os.environ["LANGUAGE"] = word


def _made(name: str) -> Any:  # noqa: ANN401 - as above
    module = import_module(f"agent.cli.{HOUSEMATES.get(name, name)}")
    around = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=MARKUP)
    if hasattr(module, "app"):
        around.add_typer(module.app, name=name)
    else:
        around.command(name)(getattr(module, name))
    made = typer.main.get_group(around).commands[name]
    return made if name in DEPOT else speaking(made)


app = typer.Typer(
    name="stairwell",
    cls=Tree,
    help="Watches a stairwell: motion, persons, clips, and events over MQTT.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=MARKUP,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(agent.__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version
