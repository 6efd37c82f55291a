"""Pictures of the vision bench: time lines of events against the truth, and error trade-offs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from pathlib import Path

    from groundtruth import Truth
    from vision import Seen

INK = {"visit": "tab:green", "event": "tab:blue", "motion": "tab:orange", "state": "tab:red"}


def timeline(folder: Path, truth: Truth, seen: Seen) -> None:
    """One PNG: who was there, what was said, over the brightness of the picture."""
    folder.mkdir(parents=True, exist_ok=True)
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(12, 4), sharex=True, height_ratios=[3, 1], layout="constrained"
    )
    rows: list[tuple[str, list[tuple[float, float]], str]] = [
        ("visits (truth)", [(v.start, v.end) for v in truth.visits], INK["visit"]),
        ("person events", [(start, end) for _, start, end in seen.events], INK["event"]),
        ("motion", _spans(seen.t, seen.motion), INK["motion"]),
        *((name, _spans(seen.t, flags), INK["state"]) for name, flags in seen.states.items() if any(flags)),
    ]
    for number, (_, spans, colour) in enumerate(rows):
        upper.broken_barh([(a, max(b - a, 0.05)) for a, b in spans], (-number - 0.4, 0.8), color=colour)
    upper.set_yticks([-number for number in range(len(rows))], [name for name, _, _ in rows])
    for told, _, _ in seen.events:
        upper.axvline(told, color=INK["event"], linewidth=0.8)
    for axis in (upper, lower):
        for moment in (*truth.lamps, *truth.infrared):
            axis.axvline(moment, color="tab:gray", linestyle="--", linewidth=0.8)
        for tampering in truth.tamperings:
            axis.axvspan(tampering.span.start, tampering.span.end, color=INK["state"], alpha=0.1)
    lower.plot(seen.t, seen.brightness, color="black", linewidth=0.8)
    lower.set_ylabel("luma")
    lower.set_xlabel("seconds of video")
    lower.set_xlim(0, truth.duration)
    figure.suptitle(f"{truth.clip}: solid line = NEW published, dashed = light switched")
    figure.savefig(folder / f"{truth.clip}.timeline.png", dpi=110)
    plt.close(figure)


def trade_off(folder: Path, clip: str, curves: dict[str, list[tuple[float, float]]]) -> None:
    """One PNG: share of visit time missed against share of empty time alarmed, a curve per detector."""
    folder.mkdir(parents=True, exist_ok=True)
    figure, axis = plt.subplots(figsize=(6, 5), layout="constrained")
    for name, points in curves.items():
        ordered = sorted(points)
        axis.plot([x for x, _ in ordered], [y for _, y in ordered], marker=".", label=name)
    axis.set_xlabel("empty time with an alarm (share)")
    axis.set_ylabel("visit time without one (share)")
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.02, 1.02)
    axis.grid(visible=True, alpha=0.3)
    axis.legend()
    axis.set_title(clip)
    figure.savefig(folder / f"{clip}.tradeoff.png", dpi=110)
    plt.close(figure)


def _spans(times: list[float], flags: list[bool]) -> list[tuple[float, float]]:
    """Where a flag was up, from its first to its last frame."""
    spans: list[tuple[float, float]] = []
    up = False
    for t, flag in zip(times, flags, strict=True):
        if flag and not up:
            spans.append((t, t))
        elif flag:
            spans[-1] = (spans[-1][0], t)
        up = flag
    return spans
