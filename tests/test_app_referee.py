"""The commissioned reference: taken from an empty view alone, and in force again at the next start."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from app_parts import Hands, analysis, frame, settings
from kits import Kit
from test_vision_scene import room

from agent.app import steps
from agent.app.referee import Referee
from agent.app.steps import Step
from agent.picture import Picture
from agent.types import Box, Motion, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.app.analysis import Analysis
    from agent.app.stages import AnalysisStage
    from agent.vision.landmark import Landmark

MASK = {"name": "door", "polygon": [[0.0, 0.0], [0.2, 0.0], [0.2, 0.2]]}


class Stage:
    """What the referee knows of the analysis stage."""

    def __init__(self, latest: Analysis | None = None) -> None:
        self.latest = latest
        self.known: Landmark | None = None
        self.forgot = 0

    def know(self, landmark: Landmark | None) -> None:
        """See AnalysisStage."""
        self.known = landmark

    def forget(self) -> None:
        """See AnalysisStage."""
        self.forgot += 1


def seen(t: float = 1000.0, **found: Any) -> Analysis:  # noqa: ANN401 - any field of an Analysis
    """The analysis of an empty, structured view, but for what is found in it."""
    luma = np.rint(room()).astype(np.uint8)
    neutral = np.full((90, 160), 128, np.uint8)
    return analysis(frame(0, t, Picture(luma, neutral, neutral)), **found)


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    one = Kit(tmp_path, Hands())
    yield one
    one.database.close(10)


def referee(kit: Kit, stage: Stage, **sections: Any) -> Referee:  # noqa: ANN401 - sections of settings
    return Referee(settings(kit.state, **sections), kit.clock, kit.journal, cast("AnalysisStage", stage))


def aim(kit: Kit, state: steps.State) -> None:
    """The camera was aimed just now."""
    kit.clock.t += 1
    entry = steps.Entry(Step.AIM, state, kit.clock.stamp(), "oksana")
    kit.journal.ask(lambda tx: steps.keep(tx, entry))


def asked(one: Referee) -> str | None:
    told: dict[str, str | None] = json.loads(one.refer(os.getuid()))
    return told["refused"]


def test_it_holds_from_now_on_and_after_a_restart(kit: Kit) -> None:
    """What was taken is what a later start judges by."""
    before = Stage(seen())
    assert asked(referee(kit, before)) is None
    assert before.known is not None

    later = Stage()
    referee(kit, later)

    assert later.known is not None
    assert np.array_equal(before.known.blocks, later.known.blocks)
    assert before.known.texture == pytest.approx(later.known.texture, abs=1e-3)


def test_other_masks_put_it_out_of_force(kit: Kit) -> None:
    """The step says so, and so does the audit; once its own masks are back, it holds as it was taken."""
    asked(referee(kit, Stage(seen())))
    taken = kit.journal.ask(steps.entries)[Step.REFERENCE]

    masked = Stage()
    referee(kit, masked, privacy={"masks": [MASK]})
    referee(kit, masked, privacy={"masks": [MASK]})
    assert (None, "failed") == (masked.known, kit.journal.ask(steps.entries)[Step.REFERENCE].state)
    assert Step.REFERENCE in steps.missing(kit.journal.ask(steps.entries))

    back = Stage()
    referee(kit, back)
    assert back.known is not None
    assert taken == kit.journal.ask(steps.entries)[Step.REFERENCE]
    told = kit.journal.ask(lambda tx: tx.execute("SELECT by, status, text FROM audit ORDER BY n").fetchall())
    assert [
        (taken.by, "ok", "reference passed"),
        (None, "failed", "reference failed"),
        (None, "ok", "reference passed"),
    ] == told


@pytest.mark.parametrize(
    ("latest", "refused"),
    [
        (None, "no-picture"),
        (seen(t=900.0), "no-picture"),
        (seen(motion=Motion(regions=(Box(0.1, 0.1, 0.2, 0.2),))), "not-empty"),
        (seen(scene=Scene(10.0, 3.0, 1.0, dark=True)), "dark"),
        (seen(scene=Scene(90.0, 3.0, 1.0, covered=True)), "unfit"),
        (analysis(frame(0, 1000.0)), "bare"),
    ],
)
def test_no_other_moment_will_do(kit: Kit, latest: Analysis | None, refused: str) -> None:
    """And what was in force before stays."""
    stage = Stage(seen())
    one = referee(kit, stage)
    asked(one)
    held = stage.known

    stage.latest = latest

    assert refused == asked(one)
    assert held is stage.known
    assert "passed" == kit.journal.ask(steps.entries)[Step.REFERENCE].state


def test_a_new_aim_drops_it(kit: Kit) -> None:
    """The picture is another one: the next start has no reference, and it is missing for the signature."""
    asked(referee(kit, Stage(seen())))
    aim(kit, "passed")

    later = Stage()
    referee(kit, later)

    assert later.known is None
    assert Step.REFERENCE in steps.missing(kit.journal.ask(steps.entries))


def test_after_an_aim_the_view_before_is_forgotten(kit: Kit) -> None:
    """Once for each that is kept as passed: without one in the audit nobody has a kit forget its view."""
    stage = Stage(seen())
    one = referee(kit, stage)
    asked(one)
    held = stage.known

    assert {"forgot": False} == json.loads(one.aimed(os.getuid()))
    aim(kit, "failed")
    assert {"forgot": False} == json.loads(one.aimed(os.getuid()))
    assert (held, 0) == (stage.known, stage.forgot)

    aim(kit, "passed")
    assert {"forgot": True} == json.loads(one.aimed(os.getuid()))
    assert {"forgot": False} == json.loads(one.aimed(os.getuid()))
    assert (None, 1) == (stage.known, stage.forgot)
