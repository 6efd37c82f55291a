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
from agent.cli.language import Lang
from agent.cli.language import language as spoken_in
from agent.cli.options import ConfigFile, config_path
from agent.cli.span import COUNT, Count, Json, Since, Until, shown, wanted
from agent.config import load
from agent.device.clock import SystemClock
from agent.words import joined, say, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.app.chronicle import Letter
    from agent.backbone.outbox import Numbers
    from agent.config import Settings
    from agent.words import Language, Text

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
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Show the messages that wait for delivery, oldest first, and how full the outbox is.

    Works beside a running agent and without one. A picture is told by its header: its bytes lie encrypted.
    Marks: **first** goes before all others (alarms, tamper, gaps), **sent** was delivered, and **DAMAGED**
    was altered by the card and will be given up with a gap. Examples:

        stairwell outbox --kind alm --all

        stairwell outbox 4711
    """
    language = spoken_in(lang)
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
        wide().print(_table(found, language))
    typer.echo(_summary(numbers, settings).told(language), err=True)


def _summary(numbers: Numbers | None, settings: Settings) -> Text:
    if numbers is None:
        return say("nothing was ever said")
    waiting = (
        say("{n} wait", n=numbers.waiting)
        if numbers.age_s is None
        else say("{n} wait, the oldest for {age:.0f} s", n=numbers.waiting, age=numbers.age_s)
    )
    rest = say(
        "{share:.1%} full; {dropped} dropped since stream {stream} began; next is {following}",
        share=numbers.bytes / (settings.outbox.max_mb * MIB),
        dropped=numbers.dropped,
        stream=numbers.stream,
        following=numbers.seq_next,
    )
    return joined("; ", (waiting, rest))


def _table(found: Iterable[Letter], language: Language) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(say("seq").told(language), justify="right", no_wrap=True)
    table.add_column(say("said (UTC)").told(language), no_wrap=True)
    table.add_column(say("kind").told(language), overflow="fold")
    table.add_column(say("step").told(language), no_wrap=True)
    table.add_column(say("KiB").told(language), justify="right", no_wrap=True)
    table.add_column("")
    for letter in found:
        table.add_row(
            str(letter.seq),
            shown(letter.said, language),
            escape(letter.kind),
            letter.step,
            f"{letter.bytes / KIB:.1f}",
            _marks(letter, language),
        )
    return table


def _marks(letter: Letter, language: Language) -> str:
    if not letter.sound:
        mark = say("[bold red]DAMAGED[/]")
    elif letter.delivered:
        mark = say("[green]sent[/]")
    else:
        mark = say("first") if letter.urgent else verbatim("")
    return mark.told(language)
