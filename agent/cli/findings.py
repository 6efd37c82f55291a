"""What the doctor found, as a technician reads it and as a program does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from agent.doctor.check import Status
from agent.words import counted, joined, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.doctor.check import Result
    from agent.words import Language, Text

MARKS = {
    Status.OK: "[green]✓[/]",
    Status.WARN: "[yellow]![/]",
    Status.FAIL: "[red]✗[/]",
    Status.SKIP: "[dim]–[/]",
}
WORST_FIRST = (Status.FAIL, Status.WARN)
SLOW_S = 0.5  # what took longer says so with -v: that is where the technician's minute went


def as_dict(result: Result, language: Language) -> dict[str, Any]:
    """As JSON types."""
    verdict = result.verdict
    return {
        "code": result.check.code,
        "status": verdict.status.value,
        "title": result.check.title.told(language),
        "text": verdict.text.told(language),
        "fix": None if verdict.fix is None else verdict.fix.told(language),
        "fixable": bool(verdict.remedy),
        "seconds": round(result.seconds, 3),
    }


def page(results: Sequence[Result], language: Language, *, verbose: bool) -> Table:
    """What is not well, failures first; with `verbose` everything, in the order of the checks."""
    if verbose:
        shown = list(results)
    else:
        shown = [r for status in WORST_FIRST for r in results if r.verdict.status is status]
    return rows(shown, language, verbose=verbose)


def rows(results: Iterable[Result], language: Language, *, verbose: bool = False) -> Table:
    """Each finding with its fix below it; what is longer than the screen is wide goes on under its words."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for result in results:
        verdict, code = result.verdict, result.check.code
        took = f" {result.seconds:.1f} s" if verbose and result.seconds >= SLOW_S else ""
        title, text = (escape(said.told(language)) for said in (result.check.title, verdict.text))
        table.add_row(MARKS[verdict.status], f"{title}: {text} [dim]({code}){took}[/]")
        if verdict.fix is not None:
            table.add_row("", f"[bold]→[/] {escape(verdict.fix.told(language))}")
        if verdict.remedy:
            table.add_row("", f"[dim]{escape(by_itself(code).told(language))}[/]")
    return table


def by_itself(code: str) -> Text:
    """How to let the doctor do it."""
    return say("or: sudo stairwell doctor --fix {code} --yes", code=code)


def summary(results: Sequence[Result]) -> Text:
    """One line for all of it. Who may not ask everything, or asked nothing, is not told that all is well."""
    n = {status: sum(result.verdict.status is status for result in results) for status in Status}
    denied = sum(result.verdict.denied for result in results)
    well = n[Status.OK] and not (n[Status.FAIL] or n[Status.WARN] or denied)
    parts = []
    if n[Status.FAIL]:
        parts.append(counted("{n} failure", "{n} failures", n[Status.FAIL]))
    if n[Status.WARN]:
        parts.append(counted("{n} warning", "{n} warnings", n[Status.WARN]))
    parts.append(say("{n} well", n=n[Status.OK]))
    if n[Status.SKIP]:
        parts.append(say("{n} not asked (-v tells why)", n=n[Status.SKIP]))
    line = joined(", ", parts)
    said = [joined(" ", (say("All is well:"), line)) if well else line]
    if denied:
        said.append(counted("{n} needs more rights: use sudo", "{n} need more rights: use sudo", denied))
    return joined("; ", said)
