"""`stairwell logs`: what the agent told the journal."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from agent.cli.clip_tables import wide
from agent.cli.language import Lang
from agent.cli.language import language as spoken_in
from agent.cli.span import COUNT, TIME, Count, Follow, Json, Since, Until, wanted
from agent.device import journald
from agent.device.clock import SystemClock
from agent.words import counted

if TYPE_CHECKING:
    from rich.console import Console

    from agent.device.journald import Line

_STYLES = {"error": "bold red", "warning": "yellow", "info": "default", "debug": "dim"}


def logs(
    level: Annotated[
        str,
        typer.Option(
            "--level",
            "-l",
            metavar="debug|info|warning|error",
            help="This and worse.",
        ),
    ] = "debug",
    logger: Annotated[
        str | None,
        typer.Option(
            "--logger", metavar="NAME", help="Only this part of the agent: backbone, clips.store, audit."
        ),
    ] = None,
    grep: Annotated[
        str | None, typer.Option("--grep", "-g", metavar="TEXT", help="Only lines with it, in any case.")
    ] = None,
    since: Since = None,
    until: Until = None,
    count: Count = COUNT,
    follow: Follow = False,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Show what the agent told the journal, oldest first; with what systemd says of its units. Times are UTC.

    A traceback stays with its line, and filters take them as one. The journal keeps what it has room for
    (`/usr/lib/systemd/journald.conf.d`). Reading it needs sudo, or the group systemd-journal. Examples:

        stairwell logs --level warning --since 1d

        stairwell logs --logger backbone --follow
    """
    language = spoken_in(lang)
    if level not in journald.LEVELS:
        raise typer.BadParameter(f"{level}: there are {', '.join(journald.LEVELS)}", param_hint="--level")
    span = wanted(count, since, until)
    bad_enough = journald.LEVELS[journald.LEVELS.index(level) :]

    def fits(line: Line) -> bool:
        name = line.logger.removeprefix("agent.")
        return (
            line.level in bad_enough
            and (logger is None or f"{name}.".startswith(f"{logger.removeprefix('agent.')}."))
            and (grep is None or grep.casefold() in line.text.casefold())
        )

    begun = SystemClock().unix_ms() / 1000
    past = filter(fits, journald.newest(since=span.since, until=begun if follow else span.until))
    found = list(islice(past, span.count))[::-1]
    if as_json and not follow:
        typer.echo(json.dumps([asdict(line) for line in found], indent=2, ensure_ascii=False))
        return
    console = wide()
    for line in found:
        _print(console, line, as_json=as_json)
    if not as_json:
        typer.echo(counted("{n} line", "{n} lines", len(found)).told(language), err=True)
    if follow:
        for line in filter(fits, journald.following(begun)):
            _print(console, line, as_json=as_json)


def _print(console: Console, line: Line, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(line), ensure_ascii=False))
        return
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    at = (line.ts or "?")[:TIME].replace("T", " ")
    name = line.logger.removeprefix("agent.")
    table.add_row(at, Text(f"{name}: {line.text}", style=_STYLES[line.level]))
    console.print(table)
