"""`stairwell outbox`: the messages on their way to the city."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from agent.app.chronicle import Chronicle
from agent.cli.clip_tables import wide
from agent.cli.options import ConfigFile, config_path
from agent.cli.span import COUNT, Count, Json, Since, Until, shown, wanted
from agent.config import load
from agent.device.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.app.chronicle import Letter
    from agent.backbone.outbox import Numbers
    from agent.config import Settings

KIB, MIB = 1 << 10, 1 << 20


def outbox(
    seq: Annotated[
        int | None, typer.Argument(metavar="[SEQ]", help="Show this message whole, as JSON.")
    ] = None,
    config: ConfigFile = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind", "-k", metavar="KIND", help="Only evt, snap, clip, stat, alm, gap; or evt/person."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Delivered ones too, as long as they are kept for a resend.")
    ] = False,
    since: Since = None,
    until: Until = None,
    count: Count = COUNT,
    as_json: Json = False,
) -> None:
    """Show the messages that wait for delivery, oldest first, and how full the outbox is.

    Works beside a running agent and without one. A picture is told by its header: its bytes lie encrypted.
    Marks: **first** goes before all others (alarms, tamper, gaps), **sent** was delivered, and **DAMAGED**
    was altered by the card and will be given up with a gap. Examples:

        stairwell outbox --kind alm --all

        stairwell outbox 4711
    """
    settings = load(config_path(config))
    chronicle = Chronicle(settings, SystemClock())
    if seq is not None:
        typer.echo(json.dumps(chronicle.letter(seq).as_dict(), indent=2, ensure_ascii=False))
        return
    numbers = chronicle.numbers()
    found = chronicle.letters(wanted(count, since, until), kind, delivered=everything)
    if as_json:
        document = {
            "numbers": None if numbers is None else asdict(numbers),
            "messages": [letter.as_dict() for letter in found],
        }
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    if found:
        wide().print(_table(found))
    typer.echo(_summary(numbers, settings), err=True)


def _summary(numbers: Numbers | None, settings: Settings) -> str:
    if numbers is None:
        return "nothing was ever said"
    oldest = "" if numbers.age_s is None else f", the oldest for {numbers.age_s:.0f} s"
    full = 100 * numbers.bytes / (settings.outbox.max_mb * MIB)
    return (
        f"{numbers.waiting} wait{oldest}; {full:.1f} % full; {numbers.dropped} dropped since stream "
        f"{numbers.stream} began; next is {numbers.seq_next}"
    )


def _table(found: Iterable[Letter]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("seq", justify="right", no_wrap=True)
    table.add_column("said (UTC)", no_wrap=True)
    table.add_column("kind", overflow="fold")
    table.add_column("step", no_wrap=True)
    table.add_column("KiB", justify="right", no_wrap=True)
    table.add_column("")
    for letter in found:
        table.add_row(
            str(letter.seq),
            shown(letter.said),
            escape(letter.kind),
            letter.step,
            f"{letter.bytes / KIB:.1f}",
            _marks(letter),
        )
    return table


def _marks(letter: Letter) -> str:
    if not letter.sound:
        return "[bold red]DAMAGED[/]"
    if letter.delivered:
        return "[green]sent[/]"
    return "first" if letter.urgent else ""
