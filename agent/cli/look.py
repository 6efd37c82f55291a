"""`stairwell look`: what the camera sees, over SSH."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cv2
import numpy as np
import typer
from rich.color import Color
from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style

from agent.app import hatch
from agent.cli.asking import asked
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
UPPER = "\N{UPPER HALF BLOCK}"


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
        int | None, typer.Option("--width", min=16, max=400, help="Columns; by default the terminal's.")
    ] = None,
) -> None:
    """Show what the camera sees now, masked, with zones, motion, tracks and persons drawn on it.

    In the terminal it is drawn with coloured half blocks, two pixels a character; with --output it is written
    whole. Every look is noted in the kit's audit with the user's name.
    """
    if output is not None and output != STDOUT and output.suffix.lower() not in FORMATS:
        raise typer.BadParameter(f"{output}: .jpg and .png are known", param_hint="--output")
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
    console = Console()
    console.print(_drawn(jpeg, width or console.width), end="")


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


def _drawn(jpeg: bytes, columns: int) -> Segments:
    """The picture, `columns` wide, two rows of pixels in each line."""
    image = cv2.cvtColor(_decoded(jpeg), cv2.COLOR_BGR2RGB)
    rows = max(2, round(columns * image.shape[0] / image.shape[1])) & ~1
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    segments = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            style = Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
            segments.append(Segment(UPPER, style))
        segments.append(Segment.line())
    return Segments(segments)


def _decoded(jpeg: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)
