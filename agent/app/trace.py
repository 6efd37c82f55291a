"""The trace of a replay: a JSON object per analysed frame. Stable: keys are added, never changed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.app.analysis import Analysis

FIGURE_DIGITS = 3  # of scene figures: finer than their noise, short to read


def line(analysis: Analysis) -> str:
    """The trace line of one frame: boxes `[x, y, w, h]` in fractions, `t` in seconds, `frame` from 0."""
    return json.dumps(record(analysis), separators=(",", ":"), ensure_ascii=False)


def record(analysis: Analysis) -> dict[str, Any]:
    """The trace of one frame as JSON types."""
    scene = {
        key: round(value, FIGURE_DIGITS) if isinstance(value, float) else value
        for key, value in asdict(analysis.scene).items()
    }
    return {
        "t": round(analysis.frame.t, 3),
        "frame": analysis.frame.index,
        "motion": [box.as_list() for box in analysis.motion.regions],
        "global_change": analysis.motion.global_change,
        "detections": [
            {"box": found.box.as_list(), "score": round(found.score, 4)} for found in analysis.detections
        ],
        "tracks": [
            {
                "id": track.id,
                "box": track.box.as_list(),
                "score": round(track.score, 4),
                "person": track.person,
                **({"zones": list(track.zones)} if track.zones else {}),
            }
            for track in analysis.tracks
        ],
        "scene": scene,
    }
