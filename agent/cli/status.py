"""`stairwell status`: the running agent on one screen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from agent.app import hatch
from agent.app.status import Status
from agent.app.symptoms import no_link
from agent.cli.asking import asked
from agent.cli.language import Lang
from agent.cli.language import language as spoken_in
from agent.cli.options import ConfigFile, config_path
from agent.config import load
from agent.doctor.registry import ALARMS
from agent.words import Language, Text, joined, say, verbatim

if TYPE_CHECKING:
    from pathlib import Path

REFRESH_S = 1.0
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
WIDTH = 80  # of a terminal on a phone, at most


def status(
    config: ConfigFile = None,
    once: Annotated[
        bool, typer.Option("--once", help="Show it once instead of keeping it up to date.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What the agent says, as JSON, once.")] = False,
    lang: Lang = None,
) -> None:
    """Show the running agent on one screen: camera, detector, events, messages, clips, link, clock, alarms.

    It asks the agent on a socket that only root and the group `stairwell` may open. Ctrl-C ends it. When no
    agent runs, `stairwell doctor` tells why.
    """
    language = spoken_in(lang)
    state = load(config_path(config)).state.dir
    if as_json:
        typer.echo(_ask(state).model_dump_json(indent=2))
        return
    console = Console(highlight=False)
    if once or not console.is_terminal:
        console.print(_screen(_ask(state), language))
        return
    with Live(_screen(_ask(state), language), console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(REFRESH_S)
            live.update(_screen(_ask(state), language), refresh=True)


def _ask(state: Path) -> Status:
    return Status.model_validate_json(asked(lambda: hatch.reach(state, "status")))


def _screen(found: Status, language: Language) -> Table:
    """The screen, WIDTH wide."""
    table = Table(box=None, pad_edge=False, show_header=False, width=WIDTH)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for label, text in _rows(found):
        table.add_row(label.told(language), text.told(language))
    return table


def _rows(found: Status) -> list[tuple[Text, Text]]:
    return [
        (say("Kit"), verbatim(f"{found.kit}  {found.sw}  {found.machine.model}")),
        (say("Up"), _ago(found.up)),
        (say("Clock"), verbatim(f"{found.clock.ts or '-'}  ({found.clock.clk})")),
        (say("Camera"), _camera(found)),
        (say("Detector"), _detector(found)),
        (say("Events"), _events(found)),
        (say("Messages"), _messages(found)),
        (say("Link"), _link(found)),
        (say("Clips"), _clips(found)),
        (say("Board"), _board(found)),
        (say("Alarms"), _alarms(found)),
    ]


def _camera(found: Status) -> Text:
    camera = found.camera
    if camera.down is not None:
        return _red(say("{source}: no pictures: {why}", source=camera.source, why=escape(camera.down)))
    return say(
        "{source}, a picture {age} s ago, {fps:g}/s, {skipped}/{frames} skipped",
        source=camera.source,
        age=_figure(camera.age, 1),
        fps=camera.fps,
        skipped=camera.skipped,
        frames=camera.frames,
    )


def _detector(found: Status) -> Text:
    detector = found.detector
    if detector.model is None:
        return _red(say("does not work"))
    if detector.ms is None:
        return say("{model}, has not looked yet", model=detector.model)
    middle, slow = detector.ms
    return say("{model}, {middle:.0f} ms (95 %: {slow:.0f})", model=detector.model, middle=middle, slow=slow)


def _events(found: Status) -> Text:
    if found.last_event is None:
        return say("{n} in 24 h", n=found.events_24h)
    return say("{n} in 24 h, the last {age} ago", n=found.events_24h, age=_ago(found.last_event))


def _messages(found: Status) -> Text:
    box = found.outbox
    if box is None:
        return verbatim("-")
    waiting = say("{n} wait", n=box.waiting)
    if box.waiting:
        waiting = say("{n} wait (the oldest for {age})", n=box.waiting, age=_ago(box.age or 0.0))
    share = box.bytes / box.max_bytes
    return joined(
        ", ", (waiting, say("{share:.0%} full, {dropped} dropped", share=share, dropped=box.dropped))
    )


def _link(found: Status) -> Text:
    link = found.link
    if not link.connected:
        return _red(say("{host}: none ({cause})", host=link.host, cause=no_link(link.cause)))
    return say(
        "{host}, answers in {rtt} ms, {taken} taken, {refused} refused",
        host=link.host,
        rtt=_figure(link.rtt_ms, 0),
        taken=link.taken,
        refused=link.refused,
    )


def _clips(found: Status) -> Text:
    clips = found.clips
    if clips.refused is not None:
        return _red(verbatim(escape(clips.refused)))
    kept = verbatim("-") if clips.kept is None else say("{n}, {mb:.0f} MB", n=clips.kept, mb=clips.mb or 0.0)
    if clips.recording is None:
        return kept
    return joined(", ", (kept, say("[red]●[/] recording {clip}", clip=clips.recording)))


def _board(found: Status) -> Text:
    board = found.machine
    parts = [
        None if board.t is None else verbatim(f"{board.t:.0f} °C"),
        None if board.cpu is None else verbatim(f"CPU {board.cpu:.0f} %"),
        say("{mb:.0f} MB, {free} GiB free", mb=board.mem_mb, free=_figure(board.disk_free_gib, 1)),
    ]
    return joined(", ", (part for part in parts if part is not None))


def _alarms(found: Status) -> Text:
    if not found.alarms:
        return say("[green]none[/]")
    known = [(code, ALARMS[code].text if code in ALARMS else verbatim(code)) for code in found.alarms]
    return joined("\n", (joined(" ", (_red(verbatim(code)), text)) for code, text in known))


def _ago(seconds: float) -> Text:
    whole = round(seconds)
    if whole >= DAY_S:
        return say("{n} d", n=whole // DAY_S)
    if whole >= HOUR_S:
        return say("{n} h", n=whole // HOUR_S)
    return say("{n} min", n=whole // MINUTE_S) if whole >= MINUTE_S else say("{n} s", n=whole)


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _red(text: Text) -> Text:
    return joined("", (verbatim("[red]"), text, verbatim("[/]")))
