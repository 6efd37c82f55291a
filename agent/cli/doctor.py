"""`stairwell doctor`: what is wrong with this kit, and what to do about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from agent.app.configured import in_force
from agent.app.examination import examination
from agent.cli.language import Lang
from agent.cli.language import language as spoken_in
from agent.cli.options import ConfigFile, config_path
from agent.device.clock import SystemClock
from agent.doctor import runner
from agent.doctor.check import Status
from agent.errors import StairwellError
from agent.words import counted, joined, say

if TYPE_CHECKING:
    from agent.doctor.check import Result
    from agent.words import Language, Text

_MARKS = {
    Status.OK: "[green]✓[/]",
    Status.WARN: "[yellow]![/]",
    Status.FAIL: "[red]✗[/]",
    Status.SKIP: "[dim]–[/]",
}
_WELL = say("All is well.")


def doctor(
    config: ConfigFile = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only what is answered within five seconds.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CODE", help="Only these; `net.*` works.")
    ] = None,
    leave: Annotated[list[str] | None, typer.Option("--skip", metavar="CODE", help="All but these.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Send nothing to other machines.")] = False,
    lang: Lang = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    lines: Annotated[
        bool, typer.Option("--jsonl", help="A JSON line for each check, as it is answered.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what is well, too.")] = False,
) -> None:
    """Examine this kit: power, heat, disk, clock, network, keys, camera, detector, agent.

    Nothing is changed, and nothing here needs root, the network or a running agent: what could not be asked
    is said. Each line that is not well has its fix. Exit code 0 all is well, 1 warnings, 2 failures, 3 the
    doctor could not run.
    """
    language = spoken_in(lang)
    try:
        checks = runner.chosen(
            examination(in_force(config_path(config)), SystemClock()),
            only=only or (),
            leave=leave or (),
            quick=quick,
            offline=offline,
        )
    except StairwellError as error:
        typer.echo(f"stairwell: {error.told(language)}", err=True)
        raise typer.Exit(runner.EXIT_COULD_NOT_RUN) from None
    console = Console(highlight=False)
    results = []
    with (
        console.status("…")
        if console.is_terminal and not (as_json or lines)
        else Console(quiet=True).status("")
    ):
        for result in runner.run(checks):
            results.append(result)
            if lines:
                typer.echo(json.dumps(_as_dict(result, language), ensure_ascii=False))
    order = {check.code: place for place, check in enumerate(checks)}
    results.sort(key=lambda result: order[result.check.code])
    if as_json:
        document = {"v": 1, "checks": [_as_dict(result, language) for result in results]}
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
    elif not lines:
        _print(console, results, language, verbose=verbose)
    raise typer.Exit(runner.exit_code(results))


def _as_dict(result: Result, language: Language) -> dict[str, Any]:
    verdict = result.verdict
    return {
        "code": result.check.code,
        "status": verdict.status.value,
        "title": result.check.title.told(language),
        "text": verdict.text.told(language),
        "fix": None if verdict.fix is None else verdict.fix.told(language),
        "seconds": round(result.seconds, 3),
    }


def _print(console: Console, results: list[Result], language: Language, *, verbose: bool) -> None:
    counts = {status: sum(r.verdict.status is status for r in results) for status in Status}
    for result in results:
        verdict = result.verdict
        if verdict.status in {Status.OK, Status.SKIP} and not verbose:
            continue
        title, text = result.check.title.told(language), verdict.text.told(language)
        console.print(
            f"{_MARKS[verdict.status]} {escape(title)}: {escape(text)} [dim]({result.check.code})[/]"
        )
        if verdict.fix is not None:
            console.print(f"  → {escape(verdict.fix.told(language))}")
    well = not (counts[Status.FAIL] or counts[Status.WARN] or verbose)
    console.print((_WELL if well else _summary(counts)).told(language))


def _summary(counts: dict[Status, int]) -> Text:
    return joined(
        ", ",
        (
            counted("{n} failure", "{n} failures", counts[Status.FAIL]),
            counted("{n} warning", "{n} warnings", counts[Status.WARN]),
            say("{n} not asked.", n=counts[Status.SKIP]),
        ),
    )
