"""The commissioned view: taken when a technician says so, kept with the steps, used by every later start.

It holds for the masks with which it was taken: others change what is seen, and so do a new aim and a new
drawing, which drop it (`agent.app.steps`). Under other masks, the city's for one, the step is not passed, and
is again once its own are back: nobody takes a kit for one that knows its view when it does not. With a new
aim goes all that was learned of the view before.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.app import steps
from agent.app.steps import Step
from agent.device.account import name_of
from agent.vision.landmark import Landmark

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.app.analysis import Analysis
    from agent.app.journal import Journal
    from agent.app.stages import AnalysisStage
    from agent.app.steps import Entry, State
    from agent.config import Settings
    from agent.device.clock import Clock, Stamp

FRESH_S = 5.0  # an older picture shows what was

log = logging.getLogger(__name__)


class Referee:
    """Takes and keeps the landmark of one kit, and has the analysis judge by it. One thread asks it.

    Raises:
        StorageError: the disk refuses to tell what is kept.
    """

    def __init__(self, settings: Settings, clock: Clock, journal: Journal, analysis: AnalysisStage) -> None:
        self._masks = masks(settings)
        self._clock = clock
        self._journal = journal
        self._analysis = analysis
        held = journal.ask(steps.entries)
        self._aim = _aim(held)
        analysis.know(self._kept(held))

    @property
    def answers(self) -> dict[str, Callable[[int], bytes]]:
        """What the hatch may be asked of it."""
        return {"refer": self.refer, "aimed": self.aimed}

    def aimed(self, user: int) -> bytes:
        """Forget the view that was before the aim that is kept; as JSON whether that is a new one (`forgot`).

        It has to be kept first: then it stands in the audit, and nobody has a kit forget a view unnoticed.

        Raises:
            StorageError: the disk refuses to tell what is kept; nothing is forgotten.
        """
        held = self._journal.ask(steps.entries)
        aim = _aim(held)
        new = aim is not None and aim != self._aim
        if new:
            log.info("the camera was aimed, says %s: its view is learned anew", name_of(user))
            self._aim = aim
            self._analysis.know(self._kept(held))
            self._analysis.forget()
        return json.dumps({"forgot": new}).encode()

    def refer(self, user: int) -> bytes:
        """Take the view of this moment as the commissioned one; as JSON why not (`refused`), or its figures.

        Raises:
            StorageError: the disk refuses to keep it; the one before stays in force.
        """
        analysis = self._analysis.latest
        refused = self._refused(analysis)
        if analysis is None or refused is not None:
            return json.dumps({"refused": refused}).encode()
        landmark = Landmark.of(analysis.frame.luma)
        if not landmark.tells:
            return json.dumps({"refused": "bare"}).encode()
        found = {**_told(landmark), "masks": self._masks, "brightness": analysis.scene.brightness}
        entry = steps.Entry(Step.REFERENCE, "passed", self._clock.stamp(), name_of(user), found)
        self._journal.ask(lambda tx: steps.keep(tx, entry))
        self._analysis.know(landmark)
        return json.dumps({"refused": None, "brightness": analysis.scene.brightness}).encode()

    def _kept(self, held: Mapping[Step, Entry]) -> Landmark | None:
        """The landmark that holds, by the steps that are kept."""
        entry = held.get(Step.REFERENCE)
        if entry is None or "blocks" not in entry.found:  # a waived one has none
            return None
        landmark = understood(entry.found, self._masks)
        state: State = "failed" if landmark is None else "passed"
        if state != entry.state:
            turned = replace(entry, state=state)
            self._journal.submit(lambda tx: steps.turn(tx, turned, self._clock.stamp()))
        if landmark is None:
            log.warning("the commissioned reference is of other masks: take it anew (commission reference)")
        return landmark

    def _refused(self, analysis: Analysis | None) -> str | None:
        """Why this is no moment for it."""
        if analysis is None or self._clock.mono() - analysis.frame.t > FRESH_S:
            return "no-picture"
        scene, motion = analysis.scene, analysis.motion
        if analysis.tracks or analysis.detections or motion.regions or motion.global_change:
            return "not-empty"
        return "dark" if scene.dark else "unfit" if scene.covered or scene.blinded or scene.frozen else None


def masks(settings: Settings) -> str:
    """What tells masks from other masks."""
    told = json.dumps([mask.polygon for mask in settings.privacy.masks])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def understood(found: dict[str, Any], expected: str) -> Landmark | None:
    """The landmark that was kept; None when it was taken with other masks than `expected`."""
    if found.get("masks") != expected:
        return None
    blocks = np.frombuffer(base64.b64decode(found["blocks"]), np.uint8).reshape(found["shape"])
    return Landmark(blocks, float(found["texture"]))


def _aim(held: Mapping[Step, Entry]) -> Stamp | None:
    """When the camera was aimed; None: it was not, or not to be taken so."""
    entry = held.get(Step.AIM)
    return None if entry is None or entry.state != "passed" else entry.at


def _told(landmark: Landmark) -> dict[str, Any]:
    return {
        "shape": list(landmark.blocks.shape),
        "blocks": base64.b64encode(landmark.blocks.tobytes()).decode("ascii"),
        "texture": round(landmark.texture, 4),
    }
