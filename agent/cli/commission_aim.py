"""`stairwell commission aim` and `reference`: where the camera looks, and the view while nobody is there."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.app import hatch, viewfinder
from agent.app.asking import asked
from agent.app.steps import Step
from agent.cli.commission_desk import NOT_PASSED, Desk, Json
from agent.cli.language import Lang  # noqa: TC001 - typer reads it
from agent.cli.options import ConfigFile  # noqa: TC001 - the same
from agent.errors import StairwellError
from agent.words import joined, say, verbatim

if TYPE_CHECKING:
    from agent.app.viewfinder import Aim
    from agent.words import Text

NOTE_S = 15.0  # the agent writes before it answers, and a slow card takes its time
EMPTY_S = 60.0  # for everybody to leave the picture
LOOK_S = 1.0

REFUSED = {
    "no-picture": say("the camera gives no pictures"),
    "not-empty": say("somebody is in the picture, or something moves in it"),
    "dark": say("it is dark"),
    "unfit": say("the lens is covered or blinded, or the picture is frozen"),
    "bare": say("there is nothing in the picture to know it by: a bare wall, or nothing but masks"),
}
"""Why the agent takes no reference now, by its word for it."""
FIXES = {
    "no-picture": say("`stairwell doctor --only 'cam.*'` tells why"),
    "not-empty": say(
        "Come again when the stairwell is empty for a minute; what moves by itself (a tree, a flag, "
        "a screen) wants a mask. Where people pass all day: stairwell commission waive reference --why REASON"
    ),
    "dark": say("Switch the light on, and begin again"),
    "unfit": say("Wipe the lens, turn away what blinds it, and aim again: sudo stairwell commission aim"),
    "bare": say("Turn the camera so that steps, doors or rails are in its picture, and aim again"),
}
"""What to do about it."""
VIEWS = {
    "dark": say("it is dark"),
    "covered": say("covered"),
    "blinded": say("blinded"),
    "moved": say("another than before: the camera was turned"),
    "blurred": say("blurred"),
    "frozen": say("frozen"),
}
"""What the agent holds for wrong with the view, by its word for it."""
TURNED = frozenset({"moved"})  # what an aim is for: the view that was before is forgotten with it


def aim(
    config: ConfigFile = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Take it as it is, without asking: the picture was looked at.")
    ] = False,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Aim the camera: light and tilt as the agent sees them; `stairwell look` shows the picture.

    Exit code 2: too dark, too bright, covered, or not taken.
    """
    desk = Desk.open(config, lang, quiet=as_json)
    seen = looked(desk)
    taken = fit(seen) and (yes or (not as_json and _agreed(desk)))
    aimed(desk, seen, taken=taken)
    if as_json:
        typer.echo(json.dumps({"v": 1, "passed": taken, **_figures(seen), "states": list(seen.states)}))
    if not taken:
        raise typer.Exit(NOT_PASSED)


def looked(desk: Desk) -> Aim:
    """Look once, and tell what there is to say about light and tilt.

    Raises:
        StairwellError: no agent answers, or its camera gives no picture.
    """
    answer = asked(lambda: viewfinder.look(desk.settings.state.dir)).aim
    lit, light = viewfinder.light(answer)
    level, tilt = viewfinder.level(answer)
    for good, told in (
        (lit, say("Light: {told}", told=light)),
        (level, say("Tilt: {told}", told=tilt)),
        (None if set(answer.states) == TURNED else not answer.states, _view(answer)),
    ):
        desk.tell(told, "green" if good else "yellow" if good is None else "red")
    return answer


def fit(seen: Aim) -> bool:
    """Whether the kit can work with it: a tilt is ugly, but hides nobody."""
    return viewfinder.light(seen)[0] and TURNED.issuperset(seen.states)


def aimed(desk: Desk, seen: Aim, *, taken: bool) -> None:
    """Keep how the camera was aimed; when it was taken so, the agent forgets the view that was before.

    Raises:
        StairwellError: no agent answers, or it cannot forget.
    """
    desk.note(Step.AIM, "passed" if taken else "failed", _figures(seen))
    if taken and not asked(lambda: hatch.reach(desk.settings.state.dir, "aimed", NOTE_S)):
        raise StairwellError(
            say("the agent still judges by the view that was before"),
            fix=say("sudo systemctl restart stairwell-agent: it learns the view anew with each start"),
        )


def reference(
    config: ConfigFile = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0, max=600, help="How long to wait for an empty picture.")
    ] = EMPTY_S,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Take the reference: the empty view, by which the kit knows later that it was turned or covered.

    It is a grid of 40 by 22 levels, no picture, and holds over every restart until the camera is aimed or
    masks are drawn anew. Nobody may be in the picture. Exit code 2: it was not taken.
    """
    desk = Desk.open(config, lang, quiet=as_json)
    refused = referred(desk, seconds)
    if as_json:
        typer.echo(json.dumps({"v": 1, "passed": refused is None, "refused": refused}))
    if refused is not None:
        raise typer.Exit(NOT_PASSED)


def referred(desk: Desk, seconds: float = EMPTY_S) -> str | None:
    """Have the agent take its reference as soon as the view is fit for it; why not, if it never was.

    Raises:
        StairwellError: no agent answers, or it cannot keep it.
    """
    until = desk.clock.mono() + seconds
    while (refused := _refer(desk)) is not None and desk.clock.mono() < until:
        desk.tell(joined(" ", (REFUSED.get(refused, verbatim(refused)), verbatim("…"))))
        time.sleep(LOOK_S)
    if refused is None:
        desk.tell(say("The reference is taken."), "green")
    else:
        desk.tell(say("Not passed: {what}", what=REFUSED.get(refused, verbatim(refused))), "red")
        if refused in FIXES:
            desk.tell(joined(" ", (verbatim("→"), FIXES[refused])))
    return refused


def _refer(desk: Desk) -> str | None:
    answer = asked(lambda: hatch.reach(desk.settings.state.dir, "refer", NOTE_S))
    if not answer:
        raise StairwellError(
            say("the agent cannot keep the reference"),
            fix=say("journalctl -u stairwell-agent -n 20 tells why"),
        )
    told: dict[str, Any] = json.loads(answer)
    refused = told["refused"]
    return None if refused is None else str(refused)


def _view(seen: Aim) -> Text:
    states = [VIEWS.get(state, verbatim(state)) for state in seen.states]
    return say("View: {told}", told=joined(", ", states or [verbatim("✔")]))


def _figures(seen: Aim) -> dict[str, Any]:
    return {"light": seen.light, "sharpness": seen.sharpness, "tilt": seen.tilt}


def _agreed(desk: Desk) -> bool:
    question = say(
        "Does the camera see stairs, doors and landing? `sudo stairwell look` shows it. y: yes, Enter: no"
    )
    return desk.agreed(str(typer.prompt(question.told(desk.language), default="", show_default=False)))
