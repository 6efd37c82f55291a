"""`stairwell look`: what the camera sees, over SSH."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cv2
import numpy as np
import typer
from rich.console import Console

from agent.app import hatch
from agent.app.asking import asked
from agent.cli import drawing
from agent.cli.language import Lang
from agent.cli.language import language as spoken_in
from agent.cli.options import ConfigFile, config_path
from agent.config import load
from agent.durable import write_whole
from agent.errors import SourceError, StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from numpy.typing import NDArray

STILL_S = 15.0  # the agent notes who looks before it answers, and a slow card takes its time
FORMATS = {".jpg", ".jpeg", ".png"}
PRIVATE = 0o600  # what shows people is for who asked
STDOUT = Path("-")
BELOW = 2  # lines under a picture: its legend, and the shell's prompt
WIDE, HIGH = 80, 400  # of what is no terminal: as many columns as fit anywhere, and lines without end
DRAWN = ("auto", "blocks", "sixel")
LEGEND = say("persons green, followed blue, motion yellow, zones teal; masks are black")


def look(
    config: ConfigFile = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|-",
            help="Write it there (.jpg or .png); - is the standard output (JPEG).",
        ),
    ] = None,
    width: Annotated[
        int | None, typer.Option("--width", min=16, max=400, help="Columns; by default what fits.")
    ] = None,
    draw: Annotated[
        str, typer.Option("--draw", metavar="|".join(DRAWN), help="How; auto asks the terminal for sixels.")
    ] = "auto",
    lang: Lang = None,
) -> None:
    """Show what the camera sees now, masked, with zones, motion, tracks and persons drawn on it.

    In the terminal it is drawn with its pixels where the terminal can (sixels), else with coloured half
    blocks, two pixels a character; it fits the screen. With --output it is written whole. Every look is noted
    in the kit's audit with the user's name. Examples:

        sudo stairwell look

        sudo stairwell look --output /tmp/still.jpg
    """
    if output is not None and output != STDOUT and output.suffix.lower() not in FORMATS:
        raise typer.BadParameter(f"{output}: .jpg and .png are known", param_hint="--output")
    if draw not in DRAWN:
        raise typer.BadParameter(f"{draw}: there are {', '.join(DRAWN)}", param_hint="--draw")
    language = spoken_in(lang)
    state = load(config_path(config)).state.dir
    jpeg = asked(lambda: hatch.reach(state, "still", STILL_S))
    if not jpeg:
        raise SourceError(
            say("the camera gives no picture now"), fix=say("`stairwell doctor --only 'cam.*'` tells why")
        )
    if output == STDOUT:
        sys.stdout.buffer.write(jpeg)
        sys.stdout.buffer.flush()
        return
    if output is not None:
        _write(output, jpeg)
        typer.echo(f"{output}: {len(jpeg)} bytes")
        return
    _show(jpeg, width, sixel=draw == "sixel" or (draw == "auto" and drawing.has_sixels()))
    typer.echo(LEGEND.told(language), err=True)


def _show(jpeg: bytes, width: int | None, *, sixel: bool) -> None:
    """Draw the picture, as large as the terminal has room, or as wide as was asked."""
    image = np.asarray(cv2.cvtColor(_decoded(jpeg), cv2.COLOR_BGR2RGB), np.uint8)
    console = Console()
    room = (console.width, console.height - BELOW) if console.is_terminal else (WIDE, HIGH)
    size = (image.shape[1], image.shape[0])
    columns, lines = drawing.fitted(size, width or room[0], HIGH if width else room[1])
    if not sixel:
        console.print(drawing.blocks(image, columns, lines), end="")
        return
    across, down = drawing.cell()
    share = min(columns * across / size[0], lines * down / size[1])
    sides = (max(1, int(size[0] * share)), max(1, int(size[1] * share)))
    small = cv2.resize(image, sides, interpolation=cv2.INTER_AREA)
    typer.echo(drawing.sixels(np.asarray(small, np.uint8)))


def _write(output: Path, jpeg: bytes) -> None:
    data = jpeg
    if output.suffix.lower() == ".png":
        data = cv2.imencode(".png", _decoded(jpeg))[1].tobytes()
    try:
        write_whole(output, data, PRIVATE)
    except OSError as error:
        raise StorageError(
            say("{path}: cannot be written ({reason})", path=output, reason=reason(error)),
            fix=say("name a place that may be written"),
        ) from None


def _decoded(jpeg: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)
