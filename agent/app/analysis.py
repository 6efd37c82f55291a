"""One frame through the pure rooms: motion, scene, crops, detector, tracker, rules, figures.

The same object serves the live agent and a replay, so what a replay shows is what the kit does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.errors import ModelError
from agent.events.rules import Rules
from agent.events.usefulness import UsefulnessMeter
from agent.events.zones import MotionMask
from agent.types import Box
from agent.vision.crops import CropPlanner
from agent.vision.detector import PersonDetector
from agent.vision.motion import MotionDetector
from agent.vision.scene import SceneMonitor
from agent.vision.sharpness import sharpness
from agent.vision.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.config import Settings
    from agent.device.clock import Clock
    from agent.events.usefulness import Figures
    from agent.types import BestMoment, Detection, EventChange, Frame, Motion, Scene, Track
    from agent.vision.landmark import Landmark


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """Everything that one frame gave. `seconds` is the wall time of each stage that ran."""

    frame: Frame
    motion: Motion
    scene: Scene
    looked: tuple[Box, ...]
    """What the detector saw of this frame."""
    detections: tuple[Detection, ...]
    tracks: tuple[Track, ...]
    changes: tuple[EventChange, ...]
    best: BestMoment | None
    """Of the person event."""
    seconds: dict[str, float]
    others: tuple[BestMoment, ...] = ()
    """Of the events of other kinds, at most one of each."""
    no_clock: bool = False
    """Whether a rule is silent because the clock was never set."""
    figures: Figures | None = None
    """Of the hour that this frame filled."""


class Analyser:
    """The chain of stages with their state. Without a detector it goes on with motion and scene only.

    `clock` tells rules the time of day; without one they know none.
    """

    def __init__(
        self,
        settings: Settings,
        detector: PersonDetector | None,
        timer: Callable[[], float] = time.perf_counter,
        clock: Clock | None = None,
    ) -> None:
        self._timer = timer
        self._motion = MotionDetector(settings.motion)
        self._scene = SceneMonitor(settings.scene)
        self._planner = CropPlanner(settings.detector)
        self._detector = detector
        self._tracker = Tracker(settings.tracker)
        self._mask = MotionMask(settings.view.zones)
        self._rules = Rules(settings)
        self._meter = UsefulnessMeter()
        self._clock = clock if settings.after_hours.closed else None
        self._timezone = ZoneInfo(settings.after_hours.timezone)
        self._tracks: tuple[Track, ...] = ()

    def know(self, landmark: Landmark | None) -> None:
        """Judge the view by this landmark from now on; any thread may say so."""
        self._scene.landmark = landmark

    def forget(self) -> None:
        """The camera was turned on purpose: learn its view anew; any thread may say so."""
        self._scene.forget()

    def step(self, frame: Frame) -> Analysis:
        """Take one frame; frames come in the order of their `t`."""
        lap = _laps(self._timer)
        next(lap)
        seconds: dict[str, float] = {}
        motion = self._motion.step(frame.luma, frame.t)
        seconds["motion"] = next(lap)
        scene = self._scene.step(frame.luma, frame.t, motion)
        seconds["scene"] = next(lap)
        detections: tuple[Detection, ...] = ()
        looked: tuple[Box, ...] = ()
        if self._detector is not None:
            size = (frame.picture.width, frame.picture.height)
            regions = self._mask.apply(motion.regions)
            stirred = motion.global_change or bool(motion.blocks)
            squares = self._planner.plan(frame.t, regions, self._tracks, size, stirred=stirred)
            looked = tuple(
                Box(s.x / size[0], s.y / size[1], s.side / size[0], s.side / size[1]) for s in squares
            )
            if squares:
                next(lap)
                detections = self._detector.detect(frame.picture, squares)
                seconds["detector"] = next(lap)
        self._tracks = self._tracker.step(detections, frame.t, looked, motion.regions)
        sharp = {t.id: sharpness(frame.picture.y, t.box) for t in self._tracks if t.person and t.seen}
        verdict = self._rules.step(self._tracks, frame.t, self._local(frame.t), sharp)
        figures = self._meter.step(frame.t, motion, scene, verdict.tracks, verdict.changes, verdict.crossings)
        seconds["events"] = next(lap)
        return Analysis(
            frame=frame,
            motion=motion,
            scene=scene,
            looked=looked,
            detections=detections,
            tracks=verdict.tracks,
            changes=verdict.changes,
            best=verdict.best,
            seconds=seconds,
            others=verdict.others,
            no_clock=verdict.no_clock,
            figures=figures,
        )

    def finish(self, t: float) -> tuple[EventChange, ...]:
        """End what is open: the source is down or has ended, or the agent stops."""
        return self._rules.finish(t)

    def last_figures(self) -> Figures | None:
        """What there was of the last hour, once one was full; nothing comes after it."""
        return self._meter.finish()

    def _local(self, t: float) -> datetime | None:
        """The time of day at `t`, when a rule asks for it and it is known."""
        ts = None if self._clock is None else self._clock.stamp(t).ts
        return None if ts is None else datetime.fromisoformat(ts).astimezone(self._timezone)


def _laps(timer: Callable[[], float]) -> Iterator[float]:
    """Seconds of `timer` since the last lap."""
    last = timer()
    while True:
        now = timer()
        yield now - last
        last = now


def open_detector(settings: Settings) -> tuple[PersonDetector | None, ModelError | None]:
    """The detector, or why there is none."""
    try:
        return PersonDetector(settings.detector), None
    except ModelError as error:
        return None, error
