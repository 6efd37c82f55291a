"""What a frame costs, stage by stage, beside plain decode, MOG2 and the bare detector runtime."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import av
import cv2
import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agent.app.analysis import Analyser
from agent.capture.source import open_source
from agent.config import load
from agent.types import Frame
from agent.vision.detector import PersonDetector
from agent.vision.models import load_card, verify
from agent.vision.runtime import open_model

SAMPLES = Path(__file__).parent.parent.parent / "agent" / "samples"
BARE_RUNS = 50  # inferences behind the bare figure: their median is steady to a few percent

FRESH = """
import sys, time
begun = time.perf_counter()
from agent.app.replay import Outputs, replay_video
from agent.config import load
from pathlib import Path
first = []
def progress(t):
    first.append(time.perf_counter() - begun)
replay_video(Path(sys.argv[1]), load(None), Outputs(), progress=progress)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(first[0], int(peak.split()[1]) * 1024 / 1e6)
"""


def main(
    data: Annotated[Path | None, typer.Option(help="A folder of more clips (*.mp4).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """CPU per analysed frame of each stage on the shipped sample (and --data), with ratios of this run."""
    cv2.setNumThreads(1)
    clips = sorted(SAMPLES.glob("*.mp4")) + (sorted(data.rglob("*.mp4")) if data else [])
    console = Console(stderr=True)
    rows = [_measure(clip) for clip in track(clips, "measuring", console=console, disable=as_json)]
    frames = sum(row["frames"] for row in rows)
    names = [name for name in rows[0] if name != "frames"]
    ms = {name: round(sum(row[name] for row in rows) / frames, 4) for name in names}
    ms["bare inference"] = round(_bare_ms(), 4)
    start_s, rss_mb = _fresh(SAMPLES / "demo_people.mp4")
    result = {
        "ms_per_frame": ms,
        "ratios": _ratios(ms, rows),
        "rss_mb": round(rss_mb, 1),
        "start_s": round(start_s, 2),
    }
    if as_json:
        typer.echo(json.dumps(result))
    else:
        _table(result, frames, len(clips))


def _measure(clip: Path) -> dict[str, Any]:
    """CPU milliseconds per stage summed over the analysed frames of one clip."""
    totals = dict.fromkeys(
        ("decode", "capture", "motion", "scene", "detector", "events", "whole", "mog2"), 0.0
    )
    totals["frames"] = totals["inferences"] = 0
    begun = time.process_time()
    with av.open(str(clip)) as container:
        container.streams.video[0].thread_count = 1
        for _ in container.decode(video=0):
            pass
    totals["decode"] = 1000 * (time.process_time() - begun)
    settings = load(None, {"capture": {"source": str(clip)}})
    analyser = Analyser(settings, PersonDetector(settings.detector), timer=time.process_time)
    mog2 = cv2.createBackgroundSubtractorMOG2()
    source = open_source(settings.capture, pace="max", keep_packets=False)
    outside = 0.0  # what is measured beside the agent and is no part of the whole
    begun = time.process_time()
    for item in source.items():
        if not isinstance(item, Frame):
            continue
        analysis = analyser.step(item)
        totals["frames"] += 1
        for stage, seconds in analysis.seconds.items():
            totals[stage] += 1000 * seconds
        totals["inferences"] += len(analysis.looked)
        mark = time.process_time()
        mog2.apply(item.luma)
        spent = time.process_time() - mark
        totals["mog2"] += 1000 * spent
        outside += spent
    totals["whole"] = 1000 * (time.process_time() - begun - outside)
    stages = sum(totals[stage] for stage in ("motion", "scene", "detector", "events"))
    totals["capture"] = totals["whole"] - stages - totals["decode"]
    return totals


def _bare_ms() -> float:
    """Median CPU of one inference of the default model by its runtime alone."""
    settings = load(None).detector
    card = load_card(settings.model)
    model = open_model(verify(card), card.label, settings.runtime, settings.threads)
    [taken] = model.get_input_details()
    model.tensor(taken["index"])()[:] = np.random.default_rng(1).integers(0, 256, taken["shape"])
    times = []
    for _ in range(BARE_RUNS):
        begun = time.process_time()
        model.invoke()
        times.append(1000 * (time.process_time() - begun))
    return statistics.median(times)


def _fresh(clip: Path) -> tuple[float, float]:
    """Seconds from the start of a new process to its first analysed frame, and its peak memory in MB."""
    output = subprocess.run(
        [sys.executable, "-c", FRESH, str(clip)], check=True, capture_output=True, text=True
    )
    start, peak = output.stdout.split()
    return float(start), float(peak)


def _ratios(ms: dict[str, float], rows: list[dict[str, Any]]) -> dict[str, float]:
    inferences = sum(row["inferences"] for row in rows)
    detector = sum(row["detector"] for row in rows)
    vision = ms["motion"] + ms["scene"] + ms["detector"] + ms["events"]
    return {
        "motion/mog2": round(ms["motion"] / ms["mog2"], 3),
        "motion+scene/decode": round((ms["motion"] + ms["scene"]) / ms["decode"], 3),
        "vision/decode": round(vision / ms["decode"], 3),
        "whole/decode": round(ms["whole"] / ms["decode"], 3),
        "bare inference/detector": round(ms["bare inference"] * inferences / detector, 3)
        if detector
        else 0.0,
    }


def _table(result: dict[str, Any], frames: int, clips: int) -> None:
    console = Console()
    table = Table("stage", "CPU ms per analysed frame", title=f"{clips} clips, {frames} frames")
    for name, value in result["ms_per_frame"].items():
        if name != "inferences":
            table.add_row(name, f"{value:.3f}")
    console.print(table)
    table = Table("ratio of this run", "")
    for name, value in result["ratios"].items():
        table.add_row(name, f"{value:.3f}")
    console.print(table)
    console.print(
        f"peak memory {result['rss_mb']} MB; first frame analysed {result['start_s']} s after start"
    )
