"""The guided commissioning: one step after the other, each explained, until somebody has signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from agent.app import signoff
from agent.app.steps import Step, missing
from agent.backbone.fields import NAME_MAX, TEXT_MAX
from agent.cli import commission_view, look
from agent.cli.commission_aim import aimed, fit, looked, referred
from agent.cli.commission_power import begun, judged
from agent.cli.commission_sign import awaited
from agent.cli.commission_walk import walked
from agent.device.account import asker
from agent.errors import StairwellError
from agent.words import joined, say, verbatim

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.cli.commission_desk import Desk
    from agent.words import Text

DRAW = say("d")
ANEW = say("b")
LABEL = say("Print the label: sudo stairwell commission label -o label.pdf")


def guide(desk: Desk) -> bool:
    """Lead through what is missing; whether all of it is done. What was done before is not asked again."""
    while left := missing(desk.steps.entries()):
        step = left[0]
        desk.tell(
            say(
                "Step {n} of {all}: {title}",
                n=list(Step).index(step) + 1,
                all=len(Step),
                title=step.heading,
            ),
            "bold",
        )
        try:
            going = STEPS[step](desk)
        except StairwellError as error:
            problem, fix = error.words
            desk.tell(problem, "red")
            desk.tell(joined(" ", (verbatim("→"), fix)))
            going = True
        if not going:
            return False
        if step in missing(desk.steps.entries()) and not _next(desk, step):
            return False
    signed = signoff.signed(desk.steps.entries())
    done = signed is not None and awaited(desk, signed)
    desk.tell(LABEL)
    return done


def _next(desk: Desk, step: Step) -> bool:
    """What to do about a step that did not pass; whether to go on."""
    asked = say("Enter: again. w: do without it, for a reason. q: stop here")
    answer = typer.prompt(asked.told(desk.language), default="", show_default=False).strip().lower()
    if answer == "w" and step is not Step.SIGN:
        why = desk.reply(say("Why is it done without?"), TEXT_MAX)
        if why:
            desk.note(step, "waived", {}, why)
    return bool(answer != "q")


def _aim(desk: Desk) -> bool:
    """Look, turn the camera, look again, until it is right."""
    while True:
        look.look(desk.path, lang=desk.language)
        seen = looked(desk)
        answer = _enter(desk, say("Turn the camera. Enter: look again. y: it is right"))
        if desk.agreed(answer):
            aimed(desk, seen, taken=fit(seen))
            return True


def _view(desk: Desk) -> bool:
    """Those in force are right, or others are drawn, or taken from a file."""
    there = commission_view.in_force(desk)
    desk.tell(say("In force: {drawn}", drawn=commission_view.told(there)))
    answer = _enter(
        desk, say("Enter: they are right. d: draw on the picture. Or the name of a TOML file")
    ).strip()
    if answer.lower() in {DRAW.en, DRAW.told(desk.language)}:
        commission_view.drawn(desk)
    elif answer:
        commission_view.put(desk, commission_view.read(Path(answer)))
    else:
        commission_view.kept(desk, there)
    return True


def _reference(desk: Desk) -> bool:
    _enter(desk, say("Nobody may be in the picture now. Step out of it, then press Enter."))
    referred(desk)
    return True


def _walk(desk: Desk) -> bool:
    _enter(desk, say("Step out of the picture, press Enter, then walk through."))
    walked(desk)
    return True


def _power(desk: Desk) -> bool:
    """The session ends with the plug: what is begun is left until the next time."""
    entry = desk.steps.entries().get(Step.POWER)
    if entry is not None and entry.state == "begun":
        if entry.found["boot"] != desk.clock.boot:
            judged(desk, entry)
            return True
        asked = say(
            "The test has begun, and the plug was not pulled. Enter: stop here, and pull it while the kit "
            "records. b: begin anew"
        )
        if _enter(desk, asked).strip().lower() not in {ANEW.en, ANEW.told(desk.language)}:
            return False
    _enter(
        desk, say("The kit has to record when its plug is pulled. Press Enter, then step into the picture.")
    )
    return begun(desk) is None


def _sign(desk: Desk) -> bool:
    name = desk.reply(say("Your first name and surname, to sign for this kit"), NAME_MAX)
    if name:
        signoff.sign(desk.settings, desk.clock, name, asker())
    return True


def _enter(desk: Desk, text: Text) -> str:
    return str(typer.prompt(text.told(desk.language), default="", show_default=False))


STEPS: dict[Step, Callable[[Desk], bool]] = {
    Step.AIM: _aim,
    Step.VIEW: _view,
    Step.REFERENCE: _reference,
    Step.WALK: _walk,
    Step.POWER: _power,
    Step.SIGN: _sign,
}
