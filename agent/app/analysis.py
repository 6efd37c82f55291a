"""One frame through the pure rooms: motion, scene, crops, detector, tracker, life cycle.

The same object serves the live agent and a replay, so what a replay shows is what the kit does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.events.lifecycle import Lifecycle
from agent.types import Box
from agent.vision.crops import CropPlanner
from agent.vision.motion import MotionDetector
from agent.vision.scene import SceneMonitor
from agent.vision.sharpness import sharpness
from agent.vision.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.config import Settings
    from agent.types import BestMoment, Detection, EventChange, Frame, Motion, Scene, Track
    from agent.vision.detector import PersonDetector


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
    seconds: dict[str, float]


class Analyser:
    """The chain of stages with their state. Without a detector it goes on with motion and scene only."""

    def __init__(
        self,
        settings: Settings,
        detector: PersonDetector | None,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._timer = timer
        self._motion = MotionDetector(settings.motion)
        self._scene = SceneMonitor(settings.scene)
        self._planner = CropPlanner(settings.detector)
        self._detector = detector
        self._tracker = Tracker(settings.tracker)
        self._lifecycle = Lifecycle(settings.events)
        self._tracks: tuple[Track, ...] = ()

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
            squares = self._planner.plan(frame.t, motion.regions, self._tracks, size)
            looked = tuple(
                Box(s.x / size[0], s.y / size[1], s.side / size[0], s.side / size[1]) for s in squares
            )
            if squares:
                next(lap)
                detections = self._detector.detect(frame.picture, squares)
                seconds["detector"] = next(lap)
        self._tracks = self._tracker.step(detections, frame.t, looked)
        sharp = {t.id: sharpness(frame.picture.y, t.box) for t in self._tracks if t.person and t.seen}
        changes, best = self._lifecycle.step(self._tracks, frame.t, sharp)
        seconds["events"] = next(lap)
        return Analysis(frame, motion, scene, looked, detections, self._tracks, tuple(changes), best, seconds)

    def finish(self, t: float) -> tuple[EventChange, ...]:
        """End what is open: the source has ended or the agent stops."""
        return tuple(self._lifecycle.finish(t))


def _laps(timer: Callable[[], float]) -> Iterator[float]:
    """Seconds of `timer` since the last lap."""
    last = timer()
    while True:
        now = timer()
        yield now - last
        last = now
