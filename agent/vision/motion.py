"""Motion: where something moves that is not light, noise or shake.

A window is evidence when it differs in structure (`structure.py`) both from a moment ago (it moves) and from
the background (it does not belong there), by more than the noise does (`noise.py`). Evidence must hold for
longer than the look back, since one single step, whatever its cause, looks like motion for exactly that
long. A change of light of the whole view (`illumination.py`) blocks the decision only while it disturbs the
structure in much of the view; the background is taken anew when it settles. Before the first region of an
alarm the camera's own shake is ruled out (`shake.py`).

Pure: state and input in, Motion out. All times are seconds of the caller's `t`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.types import Motion
from agent.vision.background import Background
from agent.vision.illumination import Illumination
from agent.vision.noise import NoiseFloor
from agent.vision.occlusion import lost_share
from agent.vision.regions import crop, groups
from agent.vision.shake import is_shake
from agent.vision.structure import difference, distance, view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.config import MotionSettings
    from agent.types import Luma
    from agent.vision.regions import Group
    from agent.vision.structure import Plane, View

SMALLEST = 32  # pixels a side: one coarse window
GAP_S = 2.0  # after a longer pause, or a step back in time, the past says nothing about now
WARM_UP_S = 1.0  # noise and background must have been seen once
LAG_S = 0.2  # a walker moves a block in it, the sun does not
HOLD_S = 0.25  # evidence in a row that makes an alarm; more than LAG_S
FRAMES = 1.5  # of full evidence, at least: at low rates two doubtful frames make no alarm
LIGHT = 0.2  # share of contours lost below which it is light that moves
PERSON = 0.38  # above which somebody stands there
NEW = 0.5  # share of windows that must differ from every memory of the view
DOUBT_S = 0.6  # evidence in a row where neither is known, or the light changes: lamps ramp for less
MEMORY_S = 1.0  # evidence is remembered for so long at most: an alarm ends when its cause does
NEEDED = 2.0  # e-folds over the noise; still scenes stay below 1.7, persons give 3 to 5
STRICT = 1.0  # more of it while the light changes and just after: exposure and coder still follow
CALM_S = 2.0  # until they have settled
WIDE = 0.15  # share of windows disturbed that blocks the decision while the light changes

_NEIGHBOURS = np.ones((3, 3), np.uint8)


class MotionDetector:
    """Finds what moves, frame by frame."""

    def __init__(self, settings: MotionSettings) -> None:
        self._least = settings.min_area
        self._needed = np.float32(NEEDED - np.log(settings.sensitivity))
        self._factor = np.exp(self._needed)
        self._shape: tuple[int, ...] = ()
        self._t = 0.0

    def step(self, luma: Luma, t: float) -> Motion:
        """What moved up to this frame.

        `luma` has shape (height, width), each at least 32. A new shape, a pause of more than two seconds or
        a step back in time starts learning anew.

        Raises:
            ValueError: the plane is smaller than 32 x 32.
        """
        if min(luma.shape) < SMALLEST:
            raise ValueError(f"luma is {luma.shape[1]}x{luma.shape[0]}, less than {SMALLEST} pixels a side")
        now = view(luma[crop(luma.shape)], t)
        dt, self._t = t - self._t, t
        if luma.shape != self._shape or not 0 <= dt <= GAP_S:
            self._begin(now, luma.shape)
            return Motion()
        while len(self._past) > 1 and self._past[1].t <= t - LAG_S + 0.01:  # 0.01: time stamps jitter
            self._past.popleft()
        then = self._past[0]
        self._past.append(now)
        changing = self._light.changing(now.blocks, t)
        self._owed += dt
        if not changing and self._calm(now, then):
            return Motion()
        evidence = self._evidence(now, then, dt, changing=changing)
        if t - self._since < WARM_UP_S:
            self._support[:] = 0
            evidence[:] = False
        if not evidence.any():
            self._known[:] = False
            return Motion((), changing)
        least = max(HOLD_S, t - then.t + 0.04, FRAMES * dt)  # 0.04: half a frame
        found = self._held(evidence, now, least, changing=changing)
        if found and not self._known.any() and is_shake(now, then, found):
            self._support[:] = 0
            found = []
        self._known[:] = False
        for group in found:
            self._known[group.span] |= group.marked
        regions, raw = (tuple(g.box(luma.shape) for g in of) for of in (found, groups(evidence)))
        return Motion(regions, changing, raw)

    def _calm(self, now: View, then: View) -> bool:
        """Whether nothing is under way and the plain difference is too small for any evidence."""
        return (
            now.t - self._changed >= CALM_S
            and not self._background.due(now.t, calm=True)
            and not self._support.any()
            and bool((difference(now, then) <= self._pair_noise.level * self._factor).all())
        )

    def _held(self, evidence: NDArray[np.bool_], now: View, least: float, *, changing: bool) -> list[Group]:
        """Groups of windows whose evidence has lasted for `least` seconds, or as long as they need."""
        candidates = groups(evidence & (self._support >= least))
        candidates = [group for group in candidates if group.area(self._shape) >= self._least]
        known = cv2.dilate(self._known.astype(np.uint8), _NEIGHBOURS) > 0
        held = [g for g in candidates if known[g.span][g.marked].any()]
        if len(held) == len(candidates):
            return held
        back, noise = self._background, self._pair_noise.fine
        new = self._fold(self._back_noise.over(back.remembered(now))) > self._needed
        for group in candidates:
            if known[group.span][group.marked].any():
                continue
            support = self._support[group.span]
            share = min(lost_share(group, now, look, noise, back.noise) for look in back.looks)
            if share < LIGHT or new[group.span][group.marked].mean() < NEW:
                support[group.marked] = 0
            elif (share >= PERSON and not changing) or float(support[group.marked].max()) >= DOUBT_S:
                held.append(group)
        return held

    def _begin(self, now: View, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._since = now.t
        self._past: deque[View] = deque([now])
        self._light = Illumination(now.blocks, now.t)
        self._pair_noise = NoiseFloor(now.fine_windows, now.mean.size)
        self._back_noise = NoiseFloor(now.fine_windows, now.mean.size)
        self._background = Background(now)
        self._asked = now.t
        self._owed = 0.0
        self._support = np.zeros((now.blocks.shape[0] - 1, now.blocks.shape[1] - 1), np.float32)
        self._known = np.zeros(self._support.shape, np.bool_)
        self._settling, self._changed = False, now.t - CALM_S

    def _evidence(self, now: View, then: View, dt: float, *, changing: bool) -> NDArray[np.bool_]:
        """Which windows are evidence now; keeps the account of how long they have been."""
        due = self._background.due(now.t)
        # The noise learns at its own pace, which must not depend on how often something stirs.
        learn, self._owed = (self._owed, 0.0) if due else (dt, self._owed - dt)
        score = self._fold(self._pair_noise.excess(distance(now, then), learn))
        score -= self._needed + np.float32(STRICT * max(0.0, 1 - (now.t - self._changed) / CALM_S))
        if changing:
            self._settling, self._changed = True, now.t
            if np.count_nonzero(score > 0) > WIDE * score.size:
                return np.zeros(score.shape, np.bool_)
        else:
            if self._settling:
                self._settling = False
                self._background.restart(now, self._pair_noise.fine)
            if due or (score > 0).any():
                foreign = self._foreign(now)
                np.minimum(score, foreign, out=score)
                if due:
                    self._background.learn(now, foreign > 0)
        # Evidence walks on to its neighbours, and counts in full only when it is strong.
        self._support = np.asarray(cv2.dilate(self._support, _NEIGHBOURS), np.float32)
        self._support += np.clip(score, -1, 1) * np.float32(dt)
        np.clip(self._support, 0, MEMORY_S, out=self._support)
        return np.asarray(score > 0)

    def _foreign(self, now: View) -> Plane:
        dt, self._asked = now.t - self._asked, now.t
        foreign = self._fold(self._back_noise.excess(distance(now, self._background.view), dt))
        foreign -= self._needed
        return foreign

    def _fold(self, excess: Plane) -> Plane:
        """Both scales on the grid of fine windows: whichever sees more."""
        rows, cols = self._support.shape
        fine = excess[: rows * cols].reshape(rows, cols)
        inner = fine[1:-1, 1:-1]
        np.maximum(inner, excess[rows * cols :].reshape(rows - 2, cols - 2), out=inner)
        return fine
