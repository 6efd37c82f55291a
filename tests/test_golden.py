"""The shipped clips are seen as they were when somebody last looked."""

from __future__ import annotations

import json

import pytest
from golden import CLIPS, GOLDEN, trace

# Codecs, OpenCV and the runtime differ by a rounding between versions: a frame or two, a level or two.
LEVELS, SHARE, PERSONS, EVENT_S = 2.0, 0.3, 1, 0.5
SECONDS_OFF = 2  # whole seconds of a clip that may be seen otherwise


@pytest.mark.parametrize("clip", CLIPS)
def test_a_clip_is_seen_as_before(clip: str) -> None:
    """Light, motion, persons second by second, and the events, within stated tolerances."""
    golden = json.loads((GOLDEN / f"{clip}.json").read_text())
    now = trace(clip)

    assert [row["t"] for row in golden["seconds"]] == [row["t"] for row in now["seconds"]]
    off = [
        (was, row)
        for was, row in zip(golden["seconds"], now["seconds"], strict=True)
        if abs(was["brightness"] - row["brightness"]) > LEVELS
        or abs(was["motion"] - row["motion"]) > SHARE
        or was["global_change"] != row["global_change"]
        or abs(was["persons"] - row["persons"]) > PERSONS
    ]
    assert len(off) <= SECONDS_OFF, off
    assert [e["phase"] for e in golden["events"]] == [e["phase"] for e in now["events"]]
    for was, event in zip(golden["events"], now["events"], strict=True):
        assert pytest.approx(was["t"], abs=EVENT_S) == event["t"]
        assert pytest.approx(was["count"], abs=PERSONS) == event["count"]
