"""`stairwell doctor`: what is wrong with this kit, and what to do about it."""

from __future__ import annotations

import json
from time import sleep
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from agent.app.configured import in_force
from agent.app.examination import examination, without_settings
from agent.app.mending import mend
from agent.cli import findings
from agent.cli.language import Lang
from agent.cli.language import language as spoken_in
from agent.cli.options import ConfigFile, config_path
from agent.config import Settings
from agent.device.clock import SystemClock
from agent.doctor import runner
from agent.doctor.check import Status
from agent.errors import ConfigError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.doctor.check import Check, Result
    from agent.words import Language

WATCH_S = 5.0  # between two rounds: a quick one takes two seconds on a Zero 2 W


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
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on asking, quickly, and show what changes. Ctrl-C ends it.")
    ] = False,
    fix: Annotated[
        str | None,
        typer.Option("--fix", metavar="CODE", help="What would mend this finding; with --yes it is done."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --fix: do it.")] = False,
    lang: Lang = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    lines: Annotated[
        bool, typer.Option("--jsonl", help="A JSON line for each check, as it is answered.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show what is well and what was not asked, too.")
    ] = False,
) -> None:
    """Examine this kit: power, heat, disk, clock, network, keys, camera, detector, agent, ways in.

    Nothing is changed, and nothing here needs root, the network or a running agent: what could not be asked
    is said. Each line that is not well has its fix; failures come first, and the first is the one to mend.
    Exit code 0 all is well, 1 warnings, 2 failures, 3 the doctor could not run, 64 a wrong command line.

    --fix says what it would do. With --yes it does that, notes it in the kit's audit, and asks again.
    """
    language = spoken_in(lang)
    if yes and fix is None:
        raise typer.BadParameter("there is nothing to do without --fix CODE", param_hint="--yes")
    if watch and (as_json or fix is not None):
        raise typer.BadParameter("goes with neither --json nor --fix; --jsonl works", param_hint="--watch")
    clock = SystemClock()
    path = config_path(config)
    if path is not None and not path.exists():
        missing = ConfigError(
            say("{path}: no such file", path=path), fix=say("name the file with --config, or create it")
        )
        typer.echo(f"stairwell: {missing.told(language)}", err=True)
        raise typer.Exit(runner.EXIT_COULD_NOT_RUN)
    try:
        settings = in_force(path)
        known = examination(settings, clock)
    except ConfigError as error:
        settings = Settings()
        known = without_settings(error, path, clock)
    if fix is not None:
        raise typer.Exit(_mend(known, fix, settings, clock, language, do=yes))
    checks = runner.chosen(known, only=only or (), leave=leave or (), quick=quick or watch, offline=offline)
    if not checks:
        raise typer.BadParameter("no check is left to ask", param_hint="--only, --skip, --quick or --offline")
    console = Console(highlight=False)
    if watch:
        _watch(checks, clock, console, language, lines=lines)
    results = _run(checks, console, language, lines=lines, silent=as_json or lines)
    if as_json:
        document = {"v": 1, "checks": [findings.as_dict(result, language) for result in results]}
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
    elif not lines:
        _print(results, console, language, verbose=verbose)
    raise typer.Exit(runner.exit_code(results))


def _run(
    checks: Sequence[Check], console: Console, language: Language, *, lines: bool, silent: bool
) -> list[Result]:
    """Every answer, in the order of the checks; with `lines` each is printed as it comes."""
    results = []
    with console.status("…") if console.is_terminal and not silent else Console(quiet=True).status(""):
        for result in runner.run(checks):
            results.append(result)
            if lines:
                _line(result, language)
    order = {check.code: place for place, check in enumerate(checks)}
    return sorted(results, key=lambda result: order[result.check.code])


def _print(results: Sequence[Result], console: Console, language: Language, *, verbose: bool) -> None:
    console.print(findings.page(results, language, verbose=verbose))
    console.print(findings.summary(results).told(language))


def _line(result: Result, language: Language) -> None:
    typer.echo(json.dumps(findings.as_dict(result, language), ensure_ascii=False))


def _watch(
    checks: Sequence[Check], clock: SystemClock, console: Console, language: Language, *, lines: bool
) -> None:
    """Until Ctrl-C: all of it once, then what has another status than before. What hung is left out."""
    before: dict[str, Status] = {}
    while checks:
        results = _run(checks, console, language, lines=False, silent=lines or bool(before))
        changed = [r for r in results if r.verdict.status is not before.get(r.check.code)]
        if lines:
            for result in changed:
                _line(result, language)
        elif not before:
            _print(results, console, language, verbose=False)
        elif changed:
            console.rule(clock.stamp().ts or "", style="dim", align="left")
            console.print(findings.rows(changed, language))
        before |= {result.check.code: result.verdict.status for result in results}
        hung = {r.check.code for r in results if r.seconds >= r.check.box_s}
        checks = [check for check in checks if check.code not in hung]
        sleep(WATCH_S)


def _mend(
    known: Sequence[Check],
    code: str,
    settings: Settings,
    clock: SystemClock,
    language: Language,
    *,
    do: bool,
) -> int:
    """Mend one finding, or say what would; the exit code."""
    check = next((check for check in known if check.code == code), None)
    if check is None:
        raise typer.BadParameter(f"{code}: no check has this code", param_hint="--fix")
    console = Console(highlight=False)
    done = mend(check, settings, clock, do=do)
    last = done.after or done.before
    console.print(findings.rows([last], language, verbose=True))
    if done.trouble is not None:
        typer.echo(say("It did not work: {why}", why=done.trouble).told(language), err=True)
    elif done.after is not None:
        typer.echo(say("It was done, and asked again.").told(language))
    elif do and last.verdict.status in {Status.WARN, Status.FAIL}:
        typer.echo(say("The doctor does not do that by itself: it is yours to do.").told(language))
    if done.unnoted is not None:
        typer.echo(say("Not noted in the audit: {why}", why=done.unnoted).told(language), err=True)
    return runner.EXIT_COULD_NOT_RUN if done.trouble is not None else runner.exit_code([last])
