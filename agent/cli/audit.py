"""`stairwell audit`: who asked the kit for what, and what came of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from agent.app.chronicle import Chronicle, Wanted
from agent.cli.clip_tables import wide
from agent.cli.language import Lang
from agent.cli.language import language as spoken_in
from agent.cli.options import ConfigFile, config_path
from agent.cli.span import COUNT, POLL_S, Count, Follow, Json, Since, Until, shown, wanted
from agent.config import load
from agent.device.clock import SystemClock
from agent.words import counted, joined, say, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.app.chronicle import Account
    from agent.words import Language, Text

_STYLES = {"rejected": "red", "failed": "red", "ok": "green"}
_STATUSES = {
    "ok": say("ok"),
    "failed": say("failed"),
    "rejected": say("rejected"),
    "accepted": say("accepted"),
    "duplicate": say("duplicate"),
}


def audit(
    config: ConfigFile = None,
    cmd: Annotated[
        str | None,
        typer.Option("--cmd", metavar="NAME", help="Only this command: clip/upload, look, cfg/des …"),
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="WHO", help="Only what this one asked for.")
    ] = None,
    since: Since = None,
    until: Until = None,
    count: Count = COUNT,
    follow: Follow = False,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Show the audit, oldest first: each order, each look, each configuration, by whom, and how it ended.

    A name without a key is what the order said of itself; with **signed** a key of the platform proves it.
    The kit keeps the last 5,000 lines. Works beside a running agent and without one. Example:

        stairwell audit --cmd clip/upload --since 7d
    """
    language = spoken_in(lang)
    chronicle = Chronicle(load(config_path(config)), SystemClock())
    found = chronicle.audit(wanted(count, since, until), cmd, by)
    if as_json and not follow:
        typer.echo(json.dumps([line.as_dict() for line in found], indent=2, ensure_ascii=False))
        return
    _print(found, language, as_json=as_json, heading=True)
    if not follow:
        typer.echo(counted("{n} line", "{n} lines", len(found)).told(language), err=True)
        return
    last = max((line.n for line in chronicle.audit(Wanted(1))), default=0)
    while True:
        time.sleep(POLL_S)
        more = chronicle.audit(Wanted(), cmd, by, after=last)
        _print(more, language, as_json=as_json, heading=False)
        last = max((line.n for line in more), default=last)


def _print(found: Iterable[Account], language: Language, *, as_json: bool, heading: bool) -> None:
    if as_json:
        for line in found:
            typer.echo(json.dumps(line.as_dict(), ensure_ascii=False))
        return
    rows = list(found)
    if rows or heading:
        wide().print(_table(rows, language, heading=heading))


def _table(found: Iterable[Account], language: Language, *, heading: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_header=heading)
    table.add_column(say("at (UTC)").told(language), no_wrap=True, min_width=19)
    table.add_column(say("command").told(language), no_wrap=True, min_width=12)
    table.add_column(say("by").told(language), overflow="fold", min_width=10)
    table.add_column("", no_wrap=True, min_width=8)
    table.add_column("", overflow="fold")
    for line in found:
        style = _STYLES.get(line.status, "default")
        table.add_row(
            shown(line.at, language),
            escape(line.cmd or "?"),
            escape(_who(line).told(language)),
            f"[{style}]{_STATUSES.get(line.status, verbatim(line.status)).told(language)}[/]",
            escape(_detail(line).told(language)),
        )
    return table


def _who(line: Account) -> Text:
    who = line.by or "?"
    return say("{who} (signed)", who=who) if line.key else verbatim(who)


def _detail(line: Account) -> Text:
    """Code and text as they were noted: they are evidence, and are told in no other words."""
    parts = [verbatim(part) for part in (line.code, line.text) if part]
    if line.passed_over:
        parts.append(say("{n} rejected before it are not listed", n=line.passed_over))
    return joined("; ", parts)
