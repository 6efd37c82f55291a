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
from agent.cli.asking import asked
from agent.cli.language import Lang, Language, spoken
from agent.cli.language import language as spoken_in
from agent.cli.options import ConfigFile, config_path
from agent.config import load
from agent.doctor.registry import ALARMS, Text

if TYPE_CHECKING:
    from pathlib import Path

REFRESH_S = 1.0
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
        table.add_row(spoken(label, language), spoken(text, language))
    return table


def _rows(found: Status) -> list[tuple[Text, Text]]:
    return [
        (Text("Комплект", "Kit"), _same(f"{found.kit}  {found.sw}  {found.machine.model}")),
        (Text("Працює", "Up"), _ago(found.up)),
        (Text("Годинник", "Clock"), _same(f"{found.clock.ts or '-'}  ({found.clock.clk})")),
        (Text("Камера", "Camera"), _camera(found)),
        (Text("Детектор", "Detector"), _detector(found)),
        (Text("Події", "Events"), _events(found)),
        (Text("Повідомлення", "Messages"), _messages(found)),
        (Text("Зв'язок", "Link"), _link(found)),
        (Text("Кліпи", "Clips"), _clips(found)),
        (Text("Плата", "Board"), _board(found)),
        (Text("Тривоги", "Alarms"), _alarms(found)),
    ]


def _camera(found: Status) -> Text:
    camera = found.camera
    if camera.down is not None:
        why = escape(camera.down)
        return Text(
            f"[red]{camera.source}: немає зображення: {why}[/]",
            f"[red]{camera.source}: no pictures: {why}[/]",
        )
    age = "-" if camera.age is None else f"{camera.age:.1f}"
    return Text(
        f"{camera.source}, кадр {age} с тому, {camera.fps:g}/с, пропущено {camera.skipped}/{camera.frames}",
        f"{camera.source}, a picture {age} s ago, {camera.fps:g}/s, {camera.skipped}/{camera.frames} skipped",
    )


def _detector(found: Status) -> Text:
    detector = found.detector
    if detector.model is None:
        return Text("[red]не працює[/]", "[red]does not work[/]")
    if detector.ms is None:
        return Text(f"{detector.model}, ще не дивився", f"{detector.model}, has not looked yet")
    middle, slow = detector.ms
    return Text(
        f"{detector.model}, {middle:.0f} мс (95 %: {slow:.0f})",
        f"{detector.model}, {middle:.0f} ms (95 %: {slow:.0f})",
    )


def _events(found: Status) -> Text:
    last = found.last_event
    since = Text("", "") if last is None else _ago(last)
    return Text(
        f"{found.events_24h} за 24 год" + (f", остання {since.uk} тому" if last is not None else ""),
        f"{found.events_24h} in 24 h" + (f", the last {since.en} ago" if last is not None else ""),
    )


def _messages(found: Status) -> Text:
    box = found.outbox
    if box is None:
        return _same("-")
    age = _ago(box.age or 0.0)
    full = f"{100 * box.bytes / box.max_bytes:.0f} %"
    return Text(
        f"{box.waiting} чекають"
        + (f" (найстаріше {age.uk})" if box.waiting else "")
        + f", зайнято {full}, втрачено {box.dropped}",
        f"{box.waiting} wait"
        + (f" (the oldest for {age.en})" if box.waiting else "")
        + f", {full} full, {box.dropped} dropped",
    )


def _link(found: Status) -> Text:
    link = found.link
    if not link.connected:
        cause = link.cause or "…"
        return Text(f"[red]{link.host}: немає ({cause})[/]", f"[red]{link.host}: none ({cause})[/]")
    rtt = "-" if link.rtt_ms is None else f"{link.rtt_ms:.0f}"
    return Text(
        f"{link.host}, відповідь за {rtt} мс, прийнято {link.taken}, відмов {link.refused}",
        f"{link.host}, answers in {rtt} ms, {link.taken} taken, {link.refused} refused",
    )


def _clips(found: Status) -> Text:
    clips = found.clips
    if clips.refused is not None:
        return _same(f"[red]{escape(clips.refused)}[/]")
    kept = Text(
        "-" if clips.kept is None else f"{clips.kept}, {clips.mb or 0:.0f} МБ",
        "-" if clips.kept is None else f"{clips.kept}, {clips.mb or 0:.0f} MB",
    )
    if clips.recording is None:
        return kept
    return Text(
        f"{kept.uk}, [red]●[/] пишеться {clips.recording}",
        f"{kept.en}, [red]●[/] recording {clips.recording}",
    )


def _board(found: Status) -> Text:
    board = found.machine
    heat = "" if board.t is None else f"{board.t:.0f} °C, "
    cpu = "" if board.cpu is None else f"CPU {board.cpu:.0f} %, "
    free = "-" if board.disk_free_gib is None else f"{board.disk_free_gib:.1f}"
    return Text(
        f"{heat}{cpu}{board.mem_mb:.0f} МБ, вільно {free} ГіБ",
        f"{heat}{cpu}{board.mem_mb:.0f} MB, {free} GiB free",
    )


def _alarms(found: Status) -> Text:
    if not found.alarms:
        return Text("[green]жодної[/]", "[green]none[/]")
    kinds = [(code, ALARMS[code].text if code in ALARMS else Text(code, code)) for code in found.alarms]
    return Text(
        "\n".join(f"[red]{code}[/] {text.uk}" for code, text in kinds),
        "\n".join(f"[red]{code}[/] {text.en}" for code, text in kinds),
    )


def _ago(seconds: float) -> Text:
    whole = round(seconds)
    for size, uk, en in ((86_400, "дн", "d"), (3600, "год", "h"), (60, "хв", "min")):
        if whole >= size:
            return Text(f"{whole // size} {uk}", f"{whole // size} {en}")
    return Text(f"{whole} с", f"{whole} s")


def _same(text: str) -> Text:
    return Text(text, text)
