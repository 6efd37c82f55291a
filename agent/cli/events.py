"""`stairwell events`: what happened, as far as the kit still knows."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from rich.table import Table

from agent.app.chronicle import Chronicle, Wanted
from agent.cli.clip_tables import wide
from agent.cli.language import Lang
from agent.cli.language import language as spoken_in
from agent.cli.options import ConfigFile, config_path
from agent.cli.span import COUNT, POLL_S, Count, Follow, Json, Since, Until, shown, wanted
from agent.config import load
from agent.device.clock import SystemClock
from agent.types import EventKind
from agent.words import counted, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.app.chronicle import Happening, Letter
    from agent.words import Language

NOW, WAITING = say("now"), say("waiting")


def events(
    config: ConfigFile = None,
    kind: Annotated[
        str | None,
        typer.Option("--type", "-t", metavar="TYPE", help=f"Only {', '.join(get_args(EventKind))}."),
    ] = None,
    since: Since = None,
    until: Until = None,
    count: Count = COUNT,
    follow: Follow = False,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Show the events, oldest first: when each began (UTC), how long it took, how many persons, its clips.

    Works beside a running agent and without one; it reads what the database still has. An event's messages
    go once the platform has them, or after `outbox.keep_h`: what then is left of it are its clips. Marks:
    **now** is under way, **waiting** was not delivered yet. Examples:

        stairwell events --since 12h --type person

        stairwell events --follow
    """
    language = spoken_in(lang)
    if kind not in {None, *get_args(EventKind)}:
        raise typer.BadParameter(f"{kind}: there are {', '.join(get_args(EventKind))}", param_hint="--type")
    chronicle = Chronicle(load(config_path(config)), SystemClock())
    last = chronicle.letters(Wanted(1), delivered=True) if follow else []
    found = chronicle.events(wanted(count, since, until), kind)
    if as_json and not follow:
        typer.echo(json.dumps([event.as_dict() for event in found], indent=2, ensure_ascii=False))
        return
    if as_json:
        for event in found:
            typer.echo(json.dumps(event.as_dict(), ensure_ascii=False))
    else:
        wide().print(_table(found, language))
        typer.echo(counted("{n} event", "{n} events", len(found)).told(language), err=True)
    if follow:
        _follow(chronicle, kind, last[0].seq if last else 0, language, as_json=as_json)


def _follow(chronicle: Chronicle, kind: str | None, last: int, language: Language, *, as_json: bool) -> None:
    """Each step of an event as it comes, until Ctrl-C."""
    which = "evt" if kind is None else f"evt/{kind}"
    while True:
        time.sleep(POLL_S)
        for step in chronicle.letters(Wanted(), which, delivered=True, after=last):
            last = step.seq
            told = json.dumps(step.as_dict(), ensure_ascii=False) if as_json else _step(step, language)
            typer.echo(told)


def _step(step: Letter, language: Language) -> str:
    told = step.message or {}
    what = f"{told.get('type', '?')} {step.step}"
    took = say("{seconds:.0f} s", seconds=told["dur"]).told(language) if "dur" in told else ""
    at = shown(step.said, language)
    return f"{at}  {what:<18} {told.get('count', ''):>2} {took:>6}  {told.get('id', '')}".rstrip()


def _table(found: Iterable[Happening], language: Language) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in (say("event"), say("begins (UTC)"), say("type")):
        table.add_column(heading.told(language), no_wrap=True)
    for heading in (say("s"), say("persons"), say("clips")):
        table.add_column(heading.told(language), justify="right", no_wrap=True)
    table.add_column("", min_width=max(len(mark.told(language)) for mark in (NOW, WAITING)))
    for event in found:
        table.add_row(
            event.id,
            shown(event.began, language),
            event.kind or "?",
            "" if event.seconds is None else f"{event.seconds:.0f}",
            "" if event.persons is None else str(event.persons),
            str(len(event.clips) or ""),
            _marks(event, language),
        )
    return table


def _marks(event: Happening, language: Language) -> str:
    if event.phase not in {None, "end"}:
        return f"[green]{NOW.told(language)}[/]"
    return "" if event.delivered else f"[yellow]{WAITING.told(language)}[/]"
