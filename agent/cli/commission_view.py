"""`stairwell commission view`: masks and zones, drawn on the picture in a browser, from a file, or none."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from agent.app import board, drawing
from agent.app.asking import asked
from agent.app.steps import Step
from agent.cli.commission_desk import NOT_PASSED, Desk, Json
from agent.cli.language import Lang  # noqa: TC001 - typer reads it
from agent.cli.options import ConfigFile  # noqa: TC001 - the same
from agent.device.account import asker
from agent.errors import ConfigError, StairwellError
from agent.reasons import reason
from agent.words import say, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.config import Mask
    from agent.config_rules import Zone
    from agent.words import Language, Text

FORCE_S = 60.0  # an agent that begins anew has its first picture within ten; a busy Zero takes longer
LOOK_S = 0.5


def view(
    config: ConfigFile = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="FILE", help="Take [[masks]] and [[zones]] of this TOML."),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Nothing is to be masked here.")] = False,
    port: Annotated[
        int,
        typer.Option(
            "--port", min=0, max=65535, help="Of the page; a kit's sshd lets through the usual one only."
        ),
    ] = board.PORT,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Draw privacy masks and zones on the camera's picture, in a browser; they come into force at once.

    The page is on the kit's loopback interface, so ssh carries it: a line to copy and a one-time code are
    printed. It shows the live picture, masked, and how to turn the camera. What is saved makes the agent end
    what is under way in order, and start anew. The page ends by Finish, when nobody touches it for a quarter
    of an hour, or by Ctrl-C. Exit code 2: nothing was saved, and nothing said to be right.

    Without a page a FILE has tables [[masks]] and [[zones]], each with name and polygon, for all that is
    drawn here. Examples:

        sudo stairwell commission view

        sudo stairwell commission view --file door.toml

        sudo stairwell commission view --none
    """
    if file is not None and none:
        raise typer.BadParameter("one of the two: FILE, or --none", param_hint="--file/--none")
    desk = Desk.open(config, lang, quiet=as_json)
    if file is None and not none:
        found = drawn(desk, port)
    else:
        found = put(desk, drawing.Draft() if file is None else read(file))
    if as_json:
        typer.echo(json.dumps({"v": 1, "passed": found is not None, **(found or {})}))
    if found is None:
        raise typer.Exit(NOT_PASSED)


def drawn(desk: Desk, port: int = board.PORT) -> dict[str, Any] | None:
    """Serve the page until it is over, and keep what came of it; None: nothing did.

    Raises:
        ConfigError: nothing can listen at the port.
        StairwellError: no agent answers, or it is not back with the drawing in time.
    """
    with _interrupted(signal.SIGHUP, signal.SIGTERM):
        saved = asked(
            lambda: board.serve(
                desk.settings, desk.clock, desk.language, port, lambda opened: _invite(opened, desk.language)
            )
        )
    if saved is None:
        desk.tell(say("Nothing was saved."), "red")
        return None
    _await(desk, saved.digest)
    return kept(desk, in_force(desk))


@contextmanager
def _interrupted(*numbers: signal.Signals) -> Iterator[None]:
    """These signals are a Ctrl-C: a session that breaks off in a stairwell ends the page in order, too."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def put(desk: Desk, draft: drawing.Draft) -> dict[str, Any]:
    """Have the agent put this drawing into force, wait until it is, and keep that; what is kept of it.

    Raises:
        ConfigError: the agent refuses the drawing.
        StairwellError: none answers, or it is not back with the drawing in time.
    """
    verdict = asked(lambda: drawing.redraw(desk.settings.state.dir, draft))
    digest = verdict.upheld()
    if verdict.changed:
        desk.tell(say("Saved. The agent starts anew with it …"))
        _await(desk, digest)
    return kept(desk, draft)


def kept(desk: Desk, draft: drawing.Draft) -> dict[str, Any]:
    """Keep that this drawing, which is in force, is the one that is wanted.

    Raises:
        StairwellError: nobody drew it.
    """
    draft.drawn_by_somebody()
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
        return drawing.SKETCH.validate_python(tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        why = drawing.wrong(error)
    except (OSError, UnicodeDecodeError) as error:
        why = reason(error)
    except ValueError as error:
        why = verbatim(str(error))
    raise ConfigError(say("{path}: cannot be used ({reason})", path=file, reason=why), fix=fix)


def _invite(opened: board.Board, language: Language) -> None:
    """Tell where the page is, and its code; not among what is JSON."""
    login = asker()
    reached = os.environ.get("SSH_CONNECTION", "").split()
    host = reached[2] if reached else socket.gethostname()
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for text, line in (
        (
            say("1. In a second terminal of the laptop or telephone:"),
            f"ssh -L {opened.port}:127.0.0.1:{opened.port} {login}@{host}",
        ),
        (say("2. In its browser:"), f"http://localhost:{opened.port}/"),
        (say("3. One-time code, good for ten minutes:"), opened.door.code),
    ):
        console.print(text.told(language), markup=False)
        console.print(f"   {line}", style="bold", markup=False)
    console.print(say("The page ends when you press Finish in it, or Ctrl-C here.").told(language))


def _await(desk: Desk, digest: str) -> None:
    """Return once the agent works with this drawing."""
    until = desk.clock.mono() + FORCE_S
    while desk.clock.mono() < until:
        try:
            if in_force(desk).digest == digest:
                return
        except StairwellError:
            pass  # it begins anew
        time.sleep(LOOK_S)
    raise StairwellError(
        say("saved, but the agent is not back with it after {seconds:.0f} s", seconds=FORCE_S),
        fix=say("`stairwell doctor` tells what is wrong"),
    )


def _names(areas: Iterable[Mask | Zone]) -> str:
    return ", ".join(area.name for area in areas) or "–"
