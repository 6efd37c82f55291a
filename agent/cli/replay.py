"""`stairwell replay`: the agent's vision and events on a video file, without a broker."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agent.app.replay import Outputs, Summary, length_s, replay_video
from agent.cli.options import ConfigFile, config_path
from agent.config import load
from agent.errors import StorageError
from agent.reasons import reason
from agent.words import say

STDOUT = Path("-")


def replay(
    video: Annotated[Path, typer.Argument(help="A video file.", metavar="VIDEO")],
    config: ConfigFile = None,
    events: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Messages as they would be published, JSON lines plus `t`; - prints them."
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="One JSON line per analysed frame: motion, detections, tracks, scene."
        ),
    ] = None,
    annotate: Annotated[
        Path | None, typer.Option(metavar="OUT.mp4", help="A video with all of it drawn on the picture.")
    ] = None,
    speed: Annotated[
        Literal["max", "real"], typer.Option(help="As fast as it goes, or at its own pace.")
    ] = "max",
) -> None:
    """Analyse a video file exactly as the kit would, and show what it would say.

    No broker and no state are touched, and the same file gives the same output, byte for byte. Without any
    output option the messages are printed. Example:

        stairwell replay night.mp4 --events - --annotate seen.mp4
    """
    settings = load(config_path(config))
    if events is None and trace is None and annotate is None:
        events = STDOUT
    _keep_apart(video, (events, trace, annotate))
    total = length_s(video)  # a video that cannot be played must not cost what the outputs held
    quiet = not sys.stderr.isatty()
    with ExitStack() as stack:
        outputs = Outputs(events=_writer(stack, events), trace=_writer(stack, trace), annotate=annotate)
        progress = stack.enter_context(
            Progress(
                TextColumn("[progress.description]{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                disable=quiet,
            )
        )
        task = progress.add_task(video.name, total=total)
        summary = replay_video(
            video, settings, outputs, speed=speed, progress=lambda t: progress.update(task, completed=t)
        )
    _say(video, summary)


def _keep_apart(video: Path, outputs: tuple[Path | None, ...]) -> None:
    """Refuse an output that would overwrite the video or another output, by whatever name."""
    taken = {_identity(video): say("the video itself")}
    for path in outputs:
        if path is None or path == STDOUT or path.is_char_device():
            continue
        identity = _identity(path)
        if identity in taken:
            raise StorageError(
                say("{path}: is {what}", path=path, what=taken[identity]),
                fix=say("name another file for the output"),
            )
        taken[identity] = say("another output already")


def _identity(path: Path) -> tuple[int, int] | Path:
    """What two names of one file have in common."""
    try:
        found = path.stat()
    except OSError:
        return path.resolve()
    return (found.st_dev, found.st_ino)


def _say(video: Path, summary: Summary) -> None:
    person = "event" if summary.events == 1 else "events"
    typer.echo(
        f"{video.name}: {summary.seconds:.1f} s of video, {summary.frames} frames analysed, "
        f"{summary.motion_s:.1f} s with motion, {summary.events} person {person}",
        err=True,
    )


def _writer(stack: ExitStack, path: Path | None) -> IO[str] | None:
    if path is None:
        return None
    if path == STDOUT:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # who reads along sees each line as it is said
        return sys.stdout
    try:
        return stack.enter_context(path.open("w", encoding="utf-8"))
    except OSError as error:
        raise StorageError(
            say("{path}: cannot be written ({reason})", path=path, reason=reason(error)),
            fix=say("name a writable file"),
        ) from None
