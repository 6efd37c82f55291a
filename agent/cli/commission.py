"""`stairwell commission`: a kit on its wall, from the aim of its camera to the signature."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from agent.app.steps import Step, missing
from agent.backbone.fields import TEXT_MAX
from agent.cli import commission_guide
from agent.cli.clip_tables import wide
from agent.cli.commission_aim import aim, reference
from agent.cli.commission_desk import NOT_PASSED, Desk, Json, worded
from agent.cli.commission_power import power
from agent.cli.commission_sign import label, sign
from agent.cli.commission_view import view
from agent.cli.commission_walk import walk
from agent.cli.language import Lang  # noqa: TC001 - typer reads it
from agent.cli.options import ConfigFile  # noqa: TC001 - the same
from agent.cli.span import shown
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.app.steps import Entry
    from agent.words import Language

app = typer.Typer(
    help="Commission a kit on its wall: aim, masks, reference, walk test, power cut, signature, label.",
    invoke_without_command=True,
)

STATES = {
    "begun": say("under way"),
    "passed": say("done"),
    "failed": say("not passed"),
    "waived": say("waived"),
}
MISSING = say("to be done")
_STYLES = {"passed": "green", "waived": "yellow", "failed": "red", "begun": "yellow"}


@app.callback()
def commission(context: typer.Context, config: ConfigFile = None, lang: Lang = None) -> None:
    """Commission a kit on its wall: aim, masks, reference, walk test, power cut, signature, label.

    Without a command it leads through all of it, step by step, and goes on where it was left: after a
    power cut, after a broken connection, tomorrow. Run it with sudo:

        sudo stairwell commission
    """
    if context.invoked_subcommand is not None:
        return
    desk = Desk.open(config, lang)
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "it asks questions: give it a terminal, or name a step", param_hint="commission"
        )
    if not commission_guide.guide(desk):
        raise typer.Exit(NOT_PASSED)


@app.command()
def status(config: ConfigFile = None, as_json: Json = False, lang: Lang = None) -> None:
    """Show which steps were taken, how they ended, and by whom. Run it with sudo.

    Exit code 0: all of them are done, or were waived; 2: some are missing.
    """
    desk = Desk.open(config, lang)
    held = desk.steps.entries()
    if as_json:
        document = {
            "v": 1,
            "missing": missing(held),
            "steps": {step: entry.as_dict() for step, entry in held.items()},
        }
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        wide().print(_table(held, desk.language))
    if missing(held):
        raise typer.Exit(NOT_PASSED)


@app.command()
def waive(
    step: Annotated[Step, typer.Argument(metavar="STEP", help="aim, view, reference, walk or power.")],
    why: Annotated[str, typer.Option("--why", metavar="REASON", help="The reason; the record keeps it.")],
    config: ConfigFile = None,
) -> None:
    """Do without a step, for a reason that the audit and the acceptance keep."""
    if step is Step.SIGN:
        raise typer.BadParameter("a kit is in service once somebody signed for it", param_hint="STEP")
    reason = worded(why, TEXT_MAX, "--why", "what reason?")
    Desk.open(config, None).note(step, "waived", {}, reason)


app.command()(aim)
app.command()(view)
app.command()(reference)
app.command()(walk)
app.command()(power)
app.command()(sign)
app.command()(label)


def _table(held: Mapping[Step, Entry], language: Language) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for step in Step:
        entry = held.get(step)
        if entry is None:
            table.add_row(step.heading.told(language), MISSING.told(language), "", "")
            continue
        state = f"[{_STYLES[entry.state]}]{escape(STATES[entry.state].told(language))}[/]"
        about = f"{entry.by}: {entry.why}" if entry.why else entry.by
        table.add_row(step.heading.told(language), state, shown(entry.at, language), escape(about))
    return table
