"""`stairwell commission view`: masks and zones, from a file, or none."""

from __future__ import annotations

import json
import time
import tomllib
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from agent.app import drawing
from agent.app.asking import asked
from agent.app.steps import Step
from agent.cli.commission_desk import Desk, Json
from agent.cli.language import Lang  # noqa: TC001 - typer reads it
from agent.cli.options import ConfigFile  # noqa: TC001 - the same
from agent.errors import ConfigError, StairwellError
from agent.reasons import reason
from agent.words import say, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.config import Mask
    from agent.config_rules import Zone
    from agent.words import Text

FORCE_S = 60.0  # an agent that begins anew has its first picture within ten; a busy Zero takes longer
LOOK_S = 0.5


def view(
    config: ConfigFile = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="FILE", help="Take [[masks]] and [[zones]] of this TOML."),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Nothing is to be masked here.")] = False,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Set privacy masks and zones in the camera's picture; they come into force at once.

    A FILE has tables [[masks]] and [[zones]], each with name and polygon, for all that is drawn here. The
    agent ends what is under way in order, and starts anew. Examples:

        sudo stairwell commission view --file door.toml

        sudo stairwell commission view --none
    """
    if (file is None) is not none:
        raise typer.BadParameter("one of the two: FILE, or --none", param_hint="--file/--none")
    desk = Desk.open(config, lang, quiet=as_json)
    found = put(desk, drawing.Draft() if file is None else read(file))
    if as_json:
        typer.echo(json.dumps({"v": 1, "passed": True, **found}))


def put(desk: Desk, draft: drawing.Draft) -> dict[str, Any]:
    """Have the agent put this drawing into force, wait until it is, and keep that; what is kept of it.

    Raises:
        ConfigError: the agent refuses the drawing.
        StairwellError: none answers, or it is not back with the drawing in time.
    """
    verdict = asked(lambda: drawing.redraw(desk.settings.state.dir, draft))
    if verdict.digest is None:
        raise ConfigError(verdict.why[desk.language], fix=say("correct what is named"))
    if verdict.changed:
        desk.tell(say("Saved. The agent starts anew with it …"))
        _await(desk, verdict.digest)
    return kept(desk, draft)


def kept(desk: Desk, draft: drawing.Draft) -> dict[str, Any]:
    """Keep that this drawing, which is in force, is the one that is wanted."""
    found = {"masks": len(draft.masks), "zones": len(draft.zones), "digest": draft.digest}
    desk.note(Step.VIEW, "passed", found)
    desk.tell(say("In force: {drawn}", drawn=told(draft)), "green")
    return found


def in_force(desk: Desk) -> drawing.Draft:
    """What the agent works with.

    Raises:
        StairwellError: none answers.
    """
    return asked(lambda: drawing.drawn(desk.settings.state.dir)).draft


def told(draft: drawing.Draft) -> Text:
    """Which masks and zones those are."""
    return say("masks: {masks}; zones: {zones}", masks=_names(draft.masks), zones=_names(draft.zones))


def read(file: Path) -> drawing.Draft:
    """The drawing that a file describes.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    fix = say("name a TOML file with [[masks]] and [[zones]]")
    try:
        return drawing.Draft.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        why: Text = verbatim(found)
    except (OSError, UnicodeDecodeError) as error:
        why = reason(error)
    except ValueError as error:
        why = verbatim(str(error))
    raise ConfigError(say("{path}: cannot be used ({reason})", path=file, reason=why), fix=fix)


def _await(desk: Desk, digest: str) -> None:
    """Return once the agent works with this drawing."""
    until = desk.clock.mono() + FORCE_S
    while desk.clock.mono() < until:
        time.sleep(LOOK_S)
        try:
            if in_force(desk).digest == digest:
                return
        except StairwellError:
            continue  # it begins anew
    raise StairwellError(
        say("saved, but the agent is not back with it after {seconds:.0f} s", seconds=FORCE_S),
        fix=say("`stairwell doctor` tells what is wrong"),
    )


def _names(areas: Iterable[Mask | Zone]) -> str:
    return ", ".join(area.name for area in areas) or "–"
