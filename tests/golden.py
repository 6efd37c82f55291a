"""What the vision makes of the shipped clips, second by second: `python tests/golden.py` writes it anew.

Read the difference before it is committed: a golden trace that changed is a kit that sees differently.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from agent.app.replay import Outputs, replay_video
from agent.config import Settings

ROOT = Path(__file__).parent
SAMPLES = ROOT.parent / "agent" / "samples"
GOLDEN = ROOT / "data" / "golden"
CLIPS = ("demo_people", "demo_light")


def trace(clip: str) -> dict[str, Any]:
    """The clip's trace, condensed to one row a second, and its events."""
    lines, messages = io.StringIO(), io.StringIO()
    replay_video(SAMPLES / f"{clip}.mp4", Settings.model_construct(), Outputs(events=messages, trace=lines))
    frames: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for line in lines.getvalue().splitlines():
        frame = json.loads(line)
        frames[int(frame["t"])].append(frame)
    return {
        "seconds": [
            {
                "t": second,
                "brightness": round(sum(f["scene"]["brightness"] for f in rows) / len(rows), 1),
                "motion": round(sum(bool(f["motion"]) for f in rows) / len(rows), 1),
                "global_change": any(f["global_change"] for f in rows),
                "persons": max(sum(track["person"] for track in f["tracks"]) for f in rows),
            }
            for second, rows in sorted(frames.items())
        ],
        "events": [
            {"t": message["t"], "phase": message["phase"], "count": message["count"]}
            for message in map(json.loads, messages.getvalue().splitlines())
            if message.get("phase") in {"new", "end"}
        ],
    }


if __name__ == "__main__":
    for name in CLIPS:
        text = json.dumps(trace(name), indent=1)
        (GOLDEN / f"{name}.json").write_text(text + "\n", encoding="utf-8")
