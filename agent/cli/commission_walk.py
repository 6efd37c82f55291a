"""`stairwell commission walk`: somebody walks through, and the city acknowledges it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

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
    from agent.config_fields import Receipt
    from agent.words import Text

ASKED: dict[Stage, Text] = {
    "empty": say("Have everybody step out of the picture …"),
    "motion": say("Walk through the stairwell now …"),
    "person": say("Motion is seen. Go on, in full view of the camera …"),
    "acknowledged": say("The person is seen and published. Waiting for the city's acknowledgement …"),
}
FOR_BROKER = say("The person is seen and published. Waiting for the broker to take it …")
"""In place of the last one, where `backbone.delivery` asks no platform."""
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
    With `backbone.delivery = "puback"` the broker's word stands for the city's, and is called so. Exit code
    2: it did not pass.
    """
    desk = Desk.open(config, lang, quiet=as_json)
    outcome = walked(desk, seconds)
    if as_json:
        typer.echo(json.dumps({"v": 1, "passed": outcome.passed, **_found(desk, outcome)}))
    if not outcome.passed:
        raise typer.Exit(NOT_PASSED)


def walked(desk: Desk, seconds: float = WALK_S) -> Outcome:
    """Do the test, tell how it goes and how it ended, and keep that."""
    receipt = desk.settings.backbone.delivery
    asked = ASKED if receipt == "watermark" else {**ASKED, "acknowledged": FOR_BROKER}
    test = Walk(database_of(desk.settings), desk.clock, desk.status, time.sleep, receipt, seconds)
    console = Console(highlight=False, quiet=desk.quiet)
    shown = ""
    with console.status("…") if console.is_terminal else Console(quiet=True).status("") as line:
        for progress in test.run():
            if console.is_terminal:
                line.update(_line(asked[progress.awaited], progress).told(desk.language))
            elif progress.awaited != shown:
                shown = progress.awaited
                desk.tell(asked[progress.awaited])
    outcome = test.outcome
    if outcome is None:  # `run` ends with one
        raise AssertionError
    desk.note(Step.WALK, "passed" if outcome.passed else "failed", _found(desk, outcome))
    if outcome.passed:
        desk.tell(_passed(outcome, receipt), "green")
    elif outcome.detail is not None and outcome.fix is not None:
        desk.tell(say("Not passed: {what}", what=outcome.detail), "red")
        desk.tell(joined(" ", (verbatim("→"), outcome.fix)))
    return outcome


def _passed(outcome: Outcome, receipt: Receipt) -> Text:
    if receipt == "puback":
        return say(
            "Person seen, published, taken by the broker in {seconds:.1f} s. Whether the platform has it is "
            "not known (backbone.delivery).",
            seconds=outcome.seconds,
        )
    return say("Person seen, published, the city acknowledged in {seconds:.1f} s.", seconds=outcome.seconds)


def _found(desk: Desk, outcome: Outcome) -> dict[str, Any]:
    """What is kept and told of it: how it ended, and whose word that is."""
    return {**outcome.as_dict(), "delivery": desk.settings.backbone.delivery}


def _line(asked: Text, progress: Progress) -> Text:
    left = say("{asked} {seconds:.0f} s left", asked=asked, seconds=progress.left_s)
    return left if progress.connected else joined("; ", (left, UNLINKED))
