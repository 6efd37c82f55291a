"""`stairwell commission walk`: somebody walks through, and the city acknowledges it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from agent.app.chronicle import database_of
from agent.app.steps import Step
from agent.app.walk import WALK_S, Progress, Walk
from agent.cli.commission_desk import NOT_PASSED, Desk, Json
from agent.cli.language import Lang  # noqa: TC001 - typer reads it
from agent.cli.options import ConfigFile  # noqa: TC001 - the same
from agent.words import joined, say, verbatim

if TYPE_CHECKING:
    from agent.app.walk import Outcome, Stage
    from agent.words import Text

ASKED: dict[Stage, Text] = {
    "empty": say("Have everybody step out of the picture …"),
    "motion": say("Walk through the stairwell now …"),
    "person": say("Motion is seen. Go on, in full view of the camera …"),
    "acknowledged": say("The person is seen and published. Waiting for the city's acknowledgement …"),
}
UNLINKED = say("there is no link to the broker now")


def walk(
    config: ConfigFile = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, max=600, help="How long to wait for somebody.")
    ] = WALK_S,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Test the whole way: walk through the stairwell, and see the city acknowledge it within 10 seconds.

    Nobody may be in the picture when it begins. When it fails, it tells where it stopped, and what to do.
    Exit code 2: it did not pass.
    """
    desk = Desk.open(config, lang, quiet=as_json)
    outcome = walked(desk, seconds)
    if as_json:
        typer.echo(json.dumps({"v": 1, "passed": outcome.passed, **outcome.as_dict()}))
    if not outcome.passed:
        raise typer.Exit(NOT_PASSED)


def walked(desk: Desk, seconds: float = WALK_S) -> Outcome:
    """Do the test, tell how it goes and how it ended, and keep that."""
    test = Walk(database_of(desk.settings), desk.clock, desk.status, time.sleep, seconds)
    console = Console(highlight=False, quiet=desk.quiet)
    shown = ""
    with console.status("…") if console.is_terminal else Console(quiet=True).status("") as line:
        for progress in test.run():
            if console.is_terminal:
                line.update(_line(progress).told(desk.language))
            elif progress.awaited != shown:
                shown = progress.awaited
                desk.tell(ASKED[progress.awaited])
    outcome = test.outcome
    if outcome is None:  # `run` ends with one
        raise AssertionError
    desk.note(Step.WALK, "passed" if outcome.passed else "failed", outcome.as_dict())
    if outcome.passed:
        desk.tell(
            say("Person seen, published, the city acknowledged in {seconds:.1f} s.", seconds=outcome.seconds),
            "green",
        )
    elif outcome.detail is not None and outcome.fix is not None:
        desk.tell(say("Not passed: {what}", what=outcome.detail), "red")
        desk.tell(joined(" ", (verbatim("→"), outcome.fix)))
    return outcome


def _line(progress: Progress) -> Text:
    left = say("{asked} {seconds:.0f} s left", asked=ASKED[progress.awaited], seconds=progress.left_s)
    return left if progress.connected else joined("; ", (left, UNLINKED))
