"""The chain of stages: the same object on a kit and in a replay."""

from __future__ import annotations

from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING

import pytest
from app_parts import NOBODY_S, frame, picture, settings, visit

from agent.app.analysis import Analyser
from agent.capture.source import open_source
from agent.config import Capture
from agent.types import Frame, Phase
from agent.vision.detector import PersonDetector

if TYPE_CHECKING:
    from pathlib import Path

    from agent.app.analysis import Analysis
    from agent.types import EventChange


def analyse(video: Path, analyser: Analyser) -> list[Analysis]:
    """Every analysis of the video; those that refer to decoder memory are read at once."""
    capture = Capture(source=str(video))
    with closing(open_source(capture, pace="max", keep_packets=False)) as source:
        return [analyser.step(item) for item in source.items() if isinstance(item, Frame)]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Analysis], tuple[EventChange, ...]]:
    """Three seconds of the visit, and what was still open then."""
    directory = tmp_path_factory.mktemp("analysis")
    chosen = settings(directory)
    analyser = Analyser(chosen, PersonDetector(chosen.detector), timer=count().__next__)
    analyses = analyse(visit(directory / "visit.mp4", 3.0), analyser)
    return analyses, analyser.finish(analyses[-1].frame.t)


def test_somebody_who_comes_in_opens_one_event(
    seen: tuple[list[Analysis], tuple[EventChange, ...]],
) -> None:
    """Motion, a look, a detection, a track and one NEW; what is open at the end ends with `finish`."""
    analyses, ended = seen
    changes = [change for one in analyses for change in one.changes]

    assert [(Phase.NEW, 1)] == [(change.phase, change.rev) for change in changes]
    assert NOBODY_S - 0.5 < changes[0].t < NOBODY_S + 1.0
    assert [(Phase.END, 1, 2)] == [(change.phase, change.event, change.rev) for change in ended]
    assert any(one.motion.regions for one in analyses)
    assert any(one.best for one in analyses)


def test_what_the_detector_saw_is_told_in_fractions(
    seen: tuple[list[Analysis], tuple[EventChange, ...]],
) -> None:
    """`looked` holds squares inside the picture, and detections lie in what was looked at."""
    analyses, _ = seen
    looked = [box for one in analyses for box in one.looked]

    assert looked
    assert all(-1e-9 <= v <= 1 + 1e-9 for box in looked for v in (box.x, box.y, box.x2, box.y2))
    assert all(pytest.approx(box.w * 640) == box.h * 480 for box in looked)
    assert all(one.looked for one in analyses if one.detections)


def test_each_stage_that_ran_has_its_time(
    seen: tuple[list[Analysis], tuple[EventChange, ...]],
) -> None:
    """The detector's time is there exactly when it ran; the clock's laps are not mixed up."""
    analyses, _ = seen

    for one in analyses:
        stages = {"motion", "scene", "events"} | ({"detector"} if one.looked else set())
        assert stages == one.seconds.keys()
        assert {1} == set(one.seconds.values())


def test_without_a_detector_motion_and_scene_go_on(tmp_path: Path) -> None:
    """A kit whose model is broken still sees whether its lens is covered."""
    analyser = Analyser(settings(tmp_path, scene={"hold_s": 1.0}), None)

    analyses = [analyser.step(frame(i, i / 10, picture(320, 240, 16))) for i in range(30)]

    assert analyses[-1].scene.dark
    assert {"motion", "scene", "events"} == analyses[-1].seconds.keys()
    assert [] == [one for one in analyses if one.looked or one.tracks or one.changes]
    assert () == analyser.finish(3.0)
