"""The trace: one stable JSON line per analysed frame."""

from __future__ import annotations

import json

from app_parts import analysis, frame

from agent.app import trace
from agent.types import Box, Detection, Motion, Scene, Track

FOUND = analysis(
    frame(7, 0.70001),
    motion=Motion((Box(0.123456, 0.2, 0.3, 0.4),), global_change=True, blocks=(Box(0, 0, 1, 1),)),
    scene=Scene(100.12345, 20.0, 5.5555, dark=True),
    looked=(Box(0, 0, 1, 1),),
    detections=(Detection(Box(0.1, 0.2, 0.3, 0.4), 0.87654321),),
    tracks=(Track(3, Box(0.1, 0.2, 0.3, 0.4), 0.5, person=True, seen=False),),
)


def test_the_whole_line() -> None:
    """Every key, its rounding and its order are promised."""
    expected = (
        '{"t":0.7,"frame":7,"motion":[[0.1235,0.2,0.3,0.4]],"global_change":true,'
        '"detections":[{"box":[0.1,0.2,0.3,0.4],"score":0.8765}],'
        '"tracks":[{"id":3,"box":[0.1,0.2,0.3,0.4],"score":0.5,"person":true}],'
        '"scene":{"brightness":100.123,"contrast":20.0,"sharpness":5.556,"dark":true,"covered":false,'
        '"blinded":false,"moved":false,"blurred":false,"frozen":false}}'
    )

    assert expected == trace.line(FOUND)


def test_an_empty_frame_has_every_key() -> None:
    """Nothing found is empty lists, not missing keys."""
    record = json.loads(trace.line(analysis(frame(0, 0.0))))

    assert ["t", "frame", "motion", "global_change", "detections", "tracks", "scene"] == list(record)
    assert [[], [], []] == [record[key] for key in ("motion", "detections", "tracks")]
