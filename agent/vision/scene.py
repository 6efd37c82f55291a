"""The state of the view: dark, covered, blinded, moved, blurred, frozen.

The view is compared with a reference learned from its first good seconds, window by window and after gain
and offset: light alone moves neither `kept` (share of the reference's structured windows that still
correlate) nor `texture` (fine contrast against the reference, per unit of gain). So a lamp that goes out
dims all figures and changes none of these two, until so little is left that only `dark` may be said.

    texture lost, coarse contrast kept       blurred
    texture and structure lost               covered (blinded when it is burnt out)
    texture there, structure elsewhere       moved
    less contrast, structure intact          nothing: infrared, glare, haze

That reference is learned anew at each start and after each new aim, and goes with the view: who turns or
covers a camera without power, or a little every hour, teaches it his own. So there is a second one, the
landmark that an installer commissioned (`agent.vision.landmark`): a view that has lost most of it for a
minute is moved, or covered when its texture went too.

Every state must last `hold_s` before it is believed, and be gone for a second before it clears.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from agent.types import Scene
from agent.vision.landmark import fine_energy, upper
from agent.vision.structure import BLOCK, View, correlation, view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.config import SceneSettings
    from agent.types import Luma, Motion
    from agent.vision.landmark import Landmark
    from agent.vision.structure import Plane

EVERY_S = 1.0  # states last for seconds: looking more often only costs
GAP_S = 5.0  # a pause this long says nothing about what happened in it
DARK_LEVEL = 32.0  # mean; video black is 16, a lit stairwell 60 to 150, an infrared lamp gives 80 and more
LEARN_S = 3.0  # of good pictures make the reference
PATIENCE_S = 30.0  # somebody who never leaves must not keep the kit without a reference
ADAPT_EVERY_S = 10.0  # ten minutes do not care
ADAPT_S = 600.0  # the reference follows the seasons of a stairwell, not an hour of tampering
CLEAR_S = 1.0
FROZEN_S = 8.0  # byte-equal pictures: a still scene in H.264 repeats itself for a key frame interval or two
STRUCTURED = 9.0  # levels² of variance that make a window worth comparing
CORRELATED = 0.5
LOST = 0.6  # share of windows kept; a person in the middle of the view leaves 0.75
ELSEWHERE = 0.4
FLAT = 0.25  # texture left; defocus and spray leave 0.1, a lamp that goes out 0.9, infrared 0.2
SOFT = 0.35  # texture over coarse contrast: defocus 0.1; haze and infrared dim both alike, 0.7 and more
INTACT = 0.75  # share of windows kept that speaks against any cover; infrared keeps 0.95, spray 0.6
BURNT_LEVEL = 235  # video white
BURNT_SHARE = 0.5
ASTRAY_S = 60.0  # as long must a view be unlike its landmark: light that changes for good is judged by people
_STATES = ("dark", "covered", "blinded", "moved", "blurred", "frozen")


class SceneMonitor:
    """Watches the view, frame by frame. Pure: times are the caller's `t`."""

    def __init__(self, settings: SceneSettings) -> None:
        self.landmark: Landmark | None = None
        """What the commissioned view is known by; any thread may set it, the next look takes it up."""
        self._hold = dict.fromkeys(_STATES, settings.hold_s) | {"frozen": max(FROZEN_S, settings.hold_s)}
        self._shape: tuple[int, ...] = ()
        self._forgotten = False
        self._begin(0.0)

    def forget(self) -> None:
        """Learn the view anew from the next frame on; any thread may ask for it."""
        self._forgotten = True

    def _begin(self, t: float) -> None:
        self._reference: View | None = None
        self._texture = 0.0
        self._sum: NDArray[np.float64] | None = None
        self._summed = 0
        self._began = t
        self._looked = -np.inf
        self._last_t = t
        self._last = b""
        self._same_since = t
        self._astray_since: float | None = None
        self._true_since: dict[str, float] = {}
        self._false_since: dict[str, float] = {}
        self._held: frozenset[str] = frozenset()
        self._scene = Scene(0.0, 0.0, 0.0)

    def step(self, luma: Luma, t: float, motion: Motion) -> Scene:
        """The state of the view after this frame; `luma` has shape (height, width)."""
        if self._forgotten or luma.shape != self._shape or not 0 <= t - self._last_t <= GAP_S:
            self._forgotten = False
            self._shape = luma.shape
            self._begin(t)
        self._last_t = t
        picture = luma.tobytes()
        if picture != self._last:
            self._same_since, self._last = t, picture
        if t - self._looked >= EVERY_S:
            self._looked = t
            self._look(luma, t, motion)
        return self._scene

    def _look(self, luma: Luma, t: float, motion: Motion) -> None:
        rows, cols = luma.shape[0] // BLOCK, luma.shape[1] // BLOCK
        now = view(luma[: rows * BLOCK, : cols * BLOCK], t)
        fine = fine_energy(now)
        brightness, contrast = (float(v[0, 0]) for v in cv2.meanStdDev(luma))
        true = set()
        if brightness < DARK_LEVEL:
            true.add("dark")
        elif t - self._same_since >= EVERY_S:
            true.add("frozen")
        if "dark" in true:
            self._astray_since = None
        else:
            true |= self._strayed(now, fine, t)
            if self._reference is None:
                self._learn(now, t, motion)
            else:
                true |= self._compare(now, self._reference, luma, fine)
                calm = not (true or motion.regions or motion.global_change)
                if calm and t - self._reference.t >= ADAPT_EVERY_S:
                    self._adapt(now, self._reference)
        self._hold_states(true, t)
        self._scene = Scene(
            round(brightness, 2),
            round(contrast, 2),
            round(float(np.sqrt(fine.mean())), 3),
            **{name: name in self._held for name in _STATES},
        )

    def _learn(self, now: View, t: float, motion: Motion) -> None:
        if (motion.regions or motion.global_change) and t - self._began < PATIENCE_S:
            return
        if self._sum is None:
            self._sum = np.zeros(now.fine.shape, np.float64)
        self._sum += now.fine
        self._summed += 1
        if self._summed * EVERY_S >= LEARN_S:
            self._refer(View(t, (self._sum / self._summed).astype(np.float32)))

    def _refer(self, reference: View) -> None:
        self._reference, self._texture = reference, upper(fine_energy(reference))

    def _compare(self, now: View, reference: View, luma: Luma, fine: Plane) -> set[str]:
        structured = reference.variance > STRUCTURED
        split = now.fine_windows
        inner, wide = structured[:split], structured[split:]
        if not inner.any() or not wide.any():
            return set()
        alike = correlation(now, reference)
        kept, coarse = _share(alike[:split][inner]), _share(alike[split:][wide])
        gain = (float(now.blocks.mean()) + 8) / (float(reference.blocks.mean()) + 8)
        texture = upper(fine) / (self._texture * gain * gain + 0.05)
        form = float(np.median(now.variance[split:][wide] / reference.variance[split:][wide])) / (gain * gain)
        if max(kept, coarse) >= LOST and texture >= FLAT:
            return set()
        if float(np.count_nonzero(luma >= BURNT_LEVEL)) / luma.size > BURNT_SHARE:
            return {"blinded"}
        if texture < FLAT and texture < SOFT * form and coarse >= LOST:
            return {"blurred"}
        if texture < FLAT and kept < INTACT:
            return {"covered"}
        return {"moved"} if texture >= FLAT and max(kept, coarse) < ELSEWHERE else set()

    def _strayed(self, now: View, fine: Plane, t: float) -> set[str]:
        """What is wrong with the view by its landmark."""
        landmark = self.landmark
        kept = None if landmark is None else landmark.kept(now)
        if landmark is None or kept is None or kept >= ELSEWHERE:
            self._astray_since = None
            return set()
        self._astray_since = t if self._astray_since is None else self._astray_since
        if t - self._astray_since < ASTRAY_S:
            return set()
        gain = (float(now.blocks.mean()) + 8) / (float(landmark.blocks.mean()) + 8)
        textured = upper(fine) >= FLAT * (landmark.texture * gain * gain + 0.05)
        return {"moved"} if textured else {"covered"}

    def _adapt(self, now: View, reference: View) -> None:
        share = np.float32(ADAPT_EVERY_S / ADAPT_S)
        self._refer(View(now.t, reference.fine + share * (now.fine - reference.fine)))

    def _hold_states(self, true: set[str], t: float) -> None:
        held = set(self._held)
        for name in _STATES:
            if name in true:
                self._false_since.pop(name, None)
                since = self._true_since.setdefault(name, t)
                if name == "frozen":
                    since = self._same_since
                if t - since >= self._hold[name]:
                    held.add(name)
            else:
                since = self._false_since.setdefault(name, t)
                if t - since >= CLEAR_S:
                    self._true_since.pop(name, None)
                    held.discard(name)
        self._held = frozenset(held)


def _share(correlation: Plane) -> float:
    return float(np.count_nonzero(correlation > CORRELATED)) / correlation.size
