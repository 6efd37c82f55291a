"""`stairwell status`: the running agent on one screen."""

from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live

from agent.app import hatch
from agent.app.asking import asked
from agent.app.status import understood
from agent.cli.language import Lang
from agent.cli.language import language as spoken_in
from agent.cli.options import ConfigFile, config_path
from agent.cli.status_screen import screen
from agent.config import load
from agent.errors import StairwellError

if TYPE_CHECKING:
    from pathlib import Path

    from agent.app.status import Status
    from agent.words import Language

REFRESH_S = 1.0
PACE_S = 5  # seconds over which the camera's pace is measured: long enough not to flicker
WIDTH = 80  # more makes lines that nobody follows


def status(
    config: ConfigFile = None,
    once: Annotated[
        bool, typer.Option("--once", help="Show it once instead of keeping it up to date.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What the agent says, as JSON, once.")] = False,
    lang: Lang = None,
) -> None:
    """Show the running agent on one screen: camera, detector, events, messages, clips, link, clock, alarms.

    What is not well is marked, with what to do below it. It asks the agent on a socket that only root and the
    group `stairwell` may open. Ctrl-C ends it. When no agent runs, `stairwell doctor` tells why. Examples:

        sudo stairwell status

        sudo stairwell status --json | jq .camera
    """
    language = spoken_in(lang)
    state = load(config_path(config)).state.dir
    if as_json:
        typer.echo(_ask(state).model_dump_json(indent=2))
        return
    console = Console(highlight=False)
    width = min(WIDTH, console.width)
    first = _ask(state)
    if once or not console.is_terminal:
        console.print(screen(first, language, width))
        return
    with Live(screen(first, language, width), console=console, screen=True, auto_refresh=False) as live:
        _keep_up(live, state, first, language)


def _keep_up(live: Live, state: Path, first: Status, language: Language) -> None:
    """Show the newest, until Ctrl-C; an agent that falls silent, or begins anew, is waited for."""
    past, silent = [first], None
    while True:
        sleep(REFRESH_S)
        try:
            past = [*past[-PACE_S:], _ask(state)]
            silent = None
        except StairwellError as error:
            silent = error.words[0]
        width = min(WIDTH, live.console.width)
        live.update(screen(past[-1], language, width, past[0], silent), refresh=True)


def _ask(state: Path) -> Status:
    return understood(asked(lambda: hatch.reach(state, "status")))
