"""How well the agent sees: alarms of lamps, visits found, time to the first word, tampering, cost."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import cv2
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

import cost
import groundtruth
import plots
import tradeoff
from agent.app.analysis import Analyser, Analysis
from agent.capture.source import open_source
from agent.config import load
from agent.types import Frame, Phase
from agent.vision.detector import PersonDetector
from groundtruth import Truth

SPLIT = Path(__file__).with_name("split.json")
"""Which clips the constants were tuned on; the others only check them."""

SWITCH_S = 10.0  # an alarm so long after a switch is the switch's, if nobody is there
SHAKE_S = 2.0
LAG_S = 0.5  # ground truth is told by eye
EVENT_LAG_S = 1.0  # an event may begin so much before the truth says that the first foot is in view
SHORT_S = 1.0  # a shorter visit is not judged
TOGGLE_S = 2.0  # a switch so near to an entry is the visitor's own
DARK_LEVEL = 40.0  # mean luma below which an entry is one near dark
TAMPER_S = 10.0
STATES = ("covered", "moved", "blurred", "frozen")
SENSITIVITIES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)  # the whole range of the setting
BASE_AREA = 0.005  # of the picture: what the plain detectors beside ours take for motion
MOG2_FOREGROUND = 255  # shadows are 127
DIFFERENCE_LEVEL = 25  # grey levels, as surveillance software has it by default


@dataclass(slots=True)
class Seen:
    """What each stage said of one clip, by frame."""

    t: list[float] = field(default_factory=list)
    motion: list[bool] = field(default_factory=list)
    brightness: list[float] = field(default_factory=list)
    states: dict[str, list[bool]] = field(default_factory=lambda: {name: [] for name in STATES})
    events: list[tuple[float, float, float]] = field(default_factory=list)
    """When the NEW came, from when it says, until when."""
    others: dict[str, list[bool]] = field(default_factory=lambda: {"mog2": [], "difference": []})

    def during(self, flags: list[bool], start: float, end: float) -> bool:
        """Whether a flag was up between."""
        return any(flag for t, flag in zip(self.t, flags, strict=True) if start <= t <= end)

    def runs(self, flags: list[bool], truth: Truth) -> int:
        """How often a flag went up while nobody was there."""
        count, up = 0, False
        for t, flag in zip(self.t, flags, strict=True):
            if flag and not up and truth.empty(t - LAG_S, t + LAG_S):
                count += 1
            up = flag
        return count


@dataclass(slots=True)
class Score:
    """Counts of one clip, or of several added up."""

    lamps: int = 0
    lamp_alarms: int = 0
    infrared: int = 0
    infrared_alarms: int = 0
    shakes: int = 0
    shake_alarms: int = 0
    visits: int = 0
    motion_found: int = 0
    event_found: int = 0
    events: int = 0
    false_events: int = 0
    tamperings: int = 0
    tamper_found: int = 0
    false_states: int = 0
    mog2_alarms: int = 0
    difference_alarms: int = 0
    latency: dict[str, list[float]] = field(
        default_factory=lambda: {"steady": [], "toggling": [], "dark": []}
    )

    def add(self, other: Score) -> None:
        """Add another's counts."""
        for name, value in asdict(other).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
        for kind, values in other.latency.items():
            self.latency[kind] += values


def main(
    data: Annotated[
        Path, typer.Argument(help="A folder of clips with ground truth (NAME.mp4, NAME.gt.json).")
    ],
    only: Annotated[str, typer.Option(help="Clips whose name contains this.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    plots_dir: Annotated[
        Path | None, typer.Option("--plots", metavar="DIR", help="Write time lines and trade-offs as PNG.")
    ] = None,
) -> None:
    """Judge the vision on footage with ground truth, beside MOG2 and frame differencing on the same frames.

    Clips that the constants were tuned on and clips that only check them are summed apart.
    """
    cv2.setNumThreads(1)
    truths = [truth for truth in groundtruth.read(data) if only in truth.clip]
    tuned = set(json.loads(SPLIT.read_text())["tune"])
    console = Console(stderr=True)
    detector = PersonDetector(load(None).detector)
    clips: dict[str, Score] = {}
    sums = {"tune": Score(), "check": Score(), "all": Score()}
    for truth in track(truths, "judging", console=console, disable=as_json):
        seen = _watch(truth, detector)
        score = clips[truth.clip] = _judge(truth, seen)
        sums["tune" if truth.clip in tuned else "check"].add(score)
        sums["all"].add(score)
        if plots_dir is not None:
            plots.timeline(plots_dir, truth, seen)
            plots.trade_off(plots_dir, truth.clip, tradeoff.curves(truth, SENSITIVITIES))
    figures = cost.measure()
    targets = _targets(sums["all"], figures)
    if as_json:
        result = {
            "targets": targets,
            "sums": {name: _plain(score) for name, score in sums.items()},
            "cost": figures,
            "clips": {name: _plain(score) for name, score in clips.items()},
        }
        typer.echo(json.dumps(result))
    else:
        _print(targets, sums, clips)


def _watch(truth: Truth, detector: PersonDetector) -> Seen:
    """One clip through the agent's vision, and through the plain detectors beside it."""
    settings = load(None, {"capture": {"source": str(truth.video)}})
    analyser = Analyser(settings, detector)
    seen = Seen()
    mog2 = cv2.createBackgroundSubtractorMOG2()
    before = None
    started: dict[int, tuple[float, float]] = {}
    for item in open_source(settings.capture, pace="max", keep_packets=False).items():
        if not isinstance(item, Frame):
            continue
        analysis = analyser.step(item)
        _note(seen, analysis)
        small = cv2.resize(item.luma, (320, 240), interpolation=cv2.INTER_AREA)
        foreground = mog2.apply(small) == MOG2_FOREGROUND
        seen.others["mog2"].append(bool(foreground.mean() > BASE_AREA))
        changed = 0.0 if before is None else float((cv2.absdiff(small, before) > DIFFERENCE_LEVEL).mean())
        seen.others["difference"].append(changed > BASE_AREA)
        before = small
        _follow(started, seen, analysis.changes)
    _follow(started, seen, analyser.finish(seen.t[-1]))
    return seen


def _note(seen: Seen, analysis: Analysis) -> None:
    seen.t.append(analysis.frame.t)
    seen.motion.append(bool(analysis.motion.regions))
    seen.brightness.append(analysis.scene.brightness)
    for name in STATES:
        seen.states[name].append(getattr(analysis.scene, name))


def _follow(started: dict[int, tuple[float, float]], seen: Seen, changes: Any) -> None:  # noqa: ANN401
    for change in changes:
        if change.kind != "person":
            continue
        if change.phase is Phase.NEW:
            started[change.event] = (change.t, change.started)
        elif change.phase is Phase.END:
            seen.events.append((*started.pop(change.event), change.ended))


def _judge(truth: Truth, seen: Seen) -> Score:
    score = Score()
    for kind, moments, window in (
        ("lamp", truth.lamps, SWITCH_S),
        ("infrared", truth.infrared, SWITCH_S),
        ("shake", truth.shakes, SHAKE_S),
    ):
        for moment, end in _windows(truth, moments, window):
            plural = {"lamp": "lamps", "infrared": "infrared", "shake": "shakes"}[kind]
            setattr(score, plural, getattr(score, plural) + 1)
            alarmed = seen.during(seen.motion, moment, end)
            setattr(score, f"{kind}_alarms", getattr(score, f"{kind}_alarms") + alarmed)
            if kind == "lamp":
                score.mog2_alarms += seen.during(seen.others["mog2"], moment, end)
                score.difference_alarms += seen.during(seen.others["difference"], moment, end)
    score.events = len(seen.events)
    for _, start, end in seen.events:
        score.false_events += truth.empty(start - EVENT_LAG_S, end)
    before = -1e9
    for visit in truth.visits:
        if visit.end - visit.start >= SHORT_S:
            score.visits += 1
            score.motion_found += seen.during(seen.motion, visit.start - LAG_S, visit.end)
            _judge_visit(score, truth, seen, visit, before)
        before = visit.end
    for tampering in truth.tamperings:
        if tampering.span.end - tampering.span.start >= TAMPER_S:
            score.tamperings += 1
            span = (tampering.span.start, tampering.span.start + TAMPER_S)
            score.tamper_found += any(seen.during(seen.states[name], *span) for name in tampering.states)
    if not truth.tamperings:
        score.false_states = sum(any(flags) for flags in seen.states.values())
    return score


def _windows(truth: Truth, moments: tuple[float, ...], window: float) -> list[tuple[float, float]]:
    """From each moment to the next one, the window's end or a visit; none while somebody is there."""
    found = []
    for number, moment in enumerate(moments):
        following = moments[number + 1] if number + 1 < len(moments) else truth.duration
        end = min(moment + window, following)
        end = min([end, *(visit.start - LAG_S for visit in truth.visits if visit.start > moment)])
        if end > moment and truth.empty(moment - LAG_S, moment):
            found.append((moment, end))
    return found


def _judge_visit(score: Score, truth: Truth, seen: Seen, visit: groundtruth.Span, before: float) -> None:
    mine = [event for event in seen.events if visit.meets(event[1] - EVENT_LAG_S, event[2])]
    score.event_found += bool(mine)
    if not mine or mine[0][1] <= before:
        return  # not found, or one event with the visit before it
    if visit.start <= seen.t[0] + LAG_S:
        return  # there from the first frame on: nobody entered
    level = seen.brightness[min(range(len(seen.t)), key=lambda i: abs(seen.t[i] - visit.start))]
    toggling = any(abs(t - visit.start) <= TOGGLE_S for t in truth.lamps)
    kind = "toggling" if toggling else "dark" if level < DARK_LEVEL else "steady"
    score.latency[kind].append(round(max(0.0, mine[0][0] - visit.start), 2))


def _targets(score: Score, figures: dict[str, float]) -> list[dict[str, Any]]:
    def share(part: int, whole: int) -> float | None:
        return round(part / whole, 4) if whole else None

    def median(kind: str) -> float | None:
        return round(statistics.median(score.latency[kind]), 2) if score.latency[kind] else None

    rows: list[tuple[str, float | None, float, bool]] = [
        ("motion alarms per light switch", share(score.lamp_alarms, score.lamps), 0.05, True),
        ("motion alarms per infrared flip", share(score.infrared_alarms, score.infrared), 0.10, True),
        ("motion alarms per shake", share(score.shake_alarms, score.shakes), 0.10, True),
        ("false person events", score.false_events, 0, True),
        ("visits found as motion", share(score.motion_found, score.visits), 1.0, False),
        ("visits found as a person event", share(score.event_found, score.visits), 0.95, False),
        ("events per visit found", share(score.events - score.false_events, score.event_found), 1.05, True),
        ("first word, steady light, median s", median("steady"), 1.0, True),
        ("first word, lamp toggling, median s", median("toggling"), 2.0, True),
        ("first word, near dark, median s", median("dark"), 2.5, True),
        ("tamperings found within 10 s", share(score.tamper_found, score.tamperings), 1.0, False),
        ("false tampering states", score.false_states, 0, True),
        *((name, figures[name], limit, upper) for name, limit, upper in cost.TARGETS),
    ]
    return [
        {
            "name": name,
            "value": value,
            "target": limit,
            "holds": None if value is None else value <= limit if upper else value >= limit,
        }
        for name, value, limit, upper in rows
    ]


def _plain(score: Score) -> dict[str, Any]:
    return asdict(score)


def _print(targets: list[dict[str, Any]], sums: dict[str, Score], clips: dict[str, Score]) -> None:
    console = Console()
    table = Table("what", "value", "target", "holds")
    for row in targets:
        holds = "–" if row["holds"] is None else "yes" if row["holds"] else "NO"
        table.add_row(row["name"], str(row["value"]), str(row["target"]), holds)
    console.print(table)
    table = Table("clip", "lamps", "IR", "shakes", "visits", "events", "tamper", "latency s", box=None)
    for name, score in {**clips, **{f"sum: {key}": value for key, value in sums.items()}}.items():
        latency = " ".join(f"{kind[0]}{value}" for kind, values in score.latency.items() for value in values)
        table.add_row(
            name,
            f"{score.lamp_alarms}·{score.mog2_alarms}·{score.difference_alarms}/{score.lamps}",
            f"{score.infrared_alarms}/{score.infrared}",
            f"{score.shake_alarms}/{score.shakes}",
            f"{score.motion_found}·{score.event_found}/{score.visits}",
            f"{score.events}, {score.false_events} false",
            f"{score.tamper_found}/{score.tamperings}, {score.false_states} false",
            latency if name in clips else "",
        )
    console.print(table)
    console.print(
        "lamps: alarmed by ours·MOG2·difference/all; visits: found as motion·as event/all; "
        "latency to the first word: s steady, t lamp toggling, d near dark"
    )
