"""The screen of `stairwell status`: first what is wrong and what to do, then every part with its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from agent.app.symptoms import judged, no_link
from agent.cli.findings import MARKS
from agent.doctor.check import Status as Outcome
from agent.doctor.check import fail, ok, warn
from agent.doctor.registry import ALARMS
from agent.words import Text, counted, given, joined, say, verbatim

if TYPE_CHECKING:
    from rich.console import RenderableType

    from agent.app.status import Status
    from agent.doctor.check import Verdict
    from agent.words import Language

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
BAD = (Outcome.WARN, Outcome.FAIL)
CLOCKS = {
    "none": say("never set"),
    "saved": say("as it was before the last stop, maybe wrong"),
    "rtc": say("by its battery"),
    "ntp": say("by NTP"),
}


def screen(
    found: Status, language: Language, width: int, before: Status | None = None, silent: Text | None = None
) -> RenderableType:
    """The screen, at most `width` wide.

    `before` is an earlier status of the same run, to measure the pace by. `silent`: what stands in the way of
    a newer one, if this is old.
    """
    verdicts = judged(found) | {"clock": _clock_is(found)}
    rows = [
        (say("Up"), None, _ago(found.up)),
        (say("Clock"), "clock", _clock(found)),
        (say("Camera"), "camera", _camera(found, before)),
        (say("Detector"), "detector", _detector(found)),
        (say("Events"), None, _events(found)),
        (say("Messages"), "messages", _messages(found)),
        (say("Link"), "link", _link(found)),
        (say("Clips"), "clips", _clips(found)),
        (say("Board"), "board", _board(found)),
        (say("Alarms"), "alarms", _alarms(found)),
    ]
    table = Table(box=None, pad_edge=False, show_header=False, width=width, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True, width=1)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    told: set[str] = set()
    for label, part, text in rows:
        verdict = None if part is None else verdicts[part]
        # A part that cannot be judged (no sensor, nothing recorded yet) has its figures all the same.
        bad = verdict is not None and verdict.status in BAD
        mark = MARKS[verdict.status if verdict is not None and bad else Outcome.OK]
        table.add_row(mark, label.told(language), text.told(language))
        fixes = [] if verdict is None else [fix.told(language) for fix in _fixes(part, verdict, found)]
        for fix in fixes:
            if fix not in told:
                told.add(fix)
                table.add_row("", "", f"[dim]→ {escape(fix)}[/]")
    head = f"[bold]{found.kit}[/]  stairwell {found.sw}  {escape(found.machine.model)}"
    return Group(head, _summary(list(verdicts.values()), silent).told(language), "", table)


def _summary(verdicts: list[Verdict], silent: Text | None) -> Text:
    if silent is not None:
        return _red(say("No answer any more: {why}", why=silent))
    bad = sum(verdict.status in BAD for verdict in verdicts)
    if not bad:
        return joined("", (verbatim("[green]"), say("All is well."), verbatim("[/]")))
    return _red(counted("{n} part is not well", "{n} parts are not well", bad))


def _fixes(part: str | None, verdict: Verdict, found: Status) -> list[Text]:
    """What to do; of alarms each its own."""
    if verdict.status not in BAD:
        return []
    if part == "alarms":
        return [ALARMS[code].fix for code in found.alarms if code in ALARMS]
    return [] if verdict.fix is None else [verdict.fix]


def _clock_is(found: Status) -> Verdict:
    fix = ALARMS["rules.no_clock"].fix
    match found.clock.clk:
        case "none":
            return fail(CLOCKS["none"], fix)
        case "saved":
            return warn(CLOCKS["saved"], fix)
    return ok(verbatim(""))


def _clock(found: Status) -> Text:
    how = CLOCKS.get(found.clock.clk, verbatim(found.clock.clk))
    if found.clock.ts is None:
        return _red(how)
    at = found.clock.ts[:19].replace("T", " ")
    return joined("", (verbatim(f"{at} UTC, "), how))


def _camera(found: Status, before: Status | None) -> Text:
    camera = found.camera
    if camera.down is not None:
        why = _escaped(camera.down, camera.down_uk)
        return _red(say("{source}: no pictures: {why}", source=camera.source, why=why))
    pace = _pace(found, before)
    figures = say(
        "{source}, a picture {age} s ago, {skipped}/{frames} skipped",
        source=camera.source,
        age=_figure(camera.age, 1),
        skipped=camera.skipped,
        frames=camera.frames,
    )
    if pace is None:
        return joined(", ", (figures, say("wanted {fps:g}/s", fps=camera.fps)))
    return joined(", ", (figures, say("{pace:.1f} of {fps:g}/s", pace=pace, fps=camera.fps)))


def _pace(found: Status, before: Status | None) -> float | None:
    """Pictures per second since the earlier status, None when nobody can tell."""
    if before is None or before.pid != found.pid or found.clock.mono <= before.clock.mono:
        return None
    return (found.camera.frames - before.camera.frames) / (found.clock.mono - before.clock.mono)


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
        return _red(_escaped(clips.refused, clips.refused_uk))
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
        days = say("{n} d", n=whole // DAY_S)
        hours = whole % DAY_S // HOUR_S
        return joined(" ", (days, say("{n} h", n=hours))) if hours else days
    if whole >= HOUR_S:
        return say("{n} h", n=whole // HOUR_S)
    return say("{n} min", n=whole // MINUTE_S) if whole >= MINUTE_S else say("{n} s", n=whole)


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _escaped(en: str, uk: str | None) -> Text:
    """The agent's words, with brackets that are no markup."""
    return given(escape(en), None if uk is None else escape(uk))


def _red(text: Text) -> Text:
    return joined("", (verbatim("[red]"), text, verbatim("[/]")))
