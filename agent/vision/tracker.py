"""Detections become tracks with stable ids, and tracks become persons.

Association in two stages after ByteTrack (Zhang et al. 2022): strong detections first, then weak ones,
which keep a known person alive but never make one. A track is judged only by frames in which the detector
looked at its place. Pure and deterministic: time comes in with the detections.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import TYPE_CHECKING

from agent.types import Box, Track
from agent.vision.kalman import Axis
from agent.vision.still import Signs, StillLife

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.config import TrackerSettings
    from agent.types import Detection

# All noise is in shares of the box, per second where it is a rate.
NOISE = 0.08  # of a detection's centre and size: crops of different scale disagree by about so much
SPEED = 1.0  # of a new track, in boxes per second: a walk across the view
AGILITY = 1.5  # how fast that changes: people turn on a landing
GROWTH = 0.5  # how fast the size changes, as they come nearer

SCORES = 7  # looks that the median is of: 0.7 s of motion, and one bad look in two changes nothing
MIN_IOU = 0.2  # of a detection and a predicted box, to be one
REACH = 1.0  # distance of the centres, in boxes, that still matches when the boxes do not overlap
NESTED = 0.8  # of the smaller of two boxes inside the other opens no second track: a part is no person
ALIKE = 2.0  # ratio of the heights that such a match allows
DOUBTFUL = 0.6  # of person_score opens a track that is no person yet: the detector shall look there again
STAYS = 0.5  # of person_score is enough for who is a person already: turned away, half behind the rail
TINY = 1e-4  # of the picture: no box is smaller
LOOKED = 0.8  # of a track's box that the detector must have seen, for a missing detection to mean anything
COAST_S = 1.0  # time constant at which a track loses its speed while it is looked for in vain: a pillar
REST_S = 0.2  # the same while nobody looks there: nobody looks where nothing moves
FORGET = 5.0  # times lost_s: a track nobody looked at for so long is dropped all the same


class Tracker:
    """Follows what the detector finds."""

    def __init__(self, settings: TrackerSettings) -> None:
        self._settings = settings
        self._tracks: list[_Tracked] = []
        self._last_id = 0
        self._t: float | None = None
        self._still = StillLife(settings.person_score)

    def step(
        self,
        detections: Sequence[Detection],
        t: float,
        looked: Sequence[Box],
        moving: Sequence[Box] | None = None,
    ) -> tuple[Track, ...]:
        """Take the detections of the frame at `t` and the areas the detector looked at; all live tracks.

        `moving` are the areas that move; without it nothing is muted for standing still. Boxes are in
        fractions of the picture; a `t` before the last one counts as the last. The tracks come in the order
        of their ids.
        """
        last = t if self._t is None else self._t
        self._t = t = max(t, last)
        dt = t - last
        for track in self._tracks:
            track.predict(t, dt)
        score = self._settings.person_score
        strong = [d for d in detections if d.score >= score]
        weak = [d for d in detections if d.score < score]
        free, new = _associate(self._tracks, strong, t, score, reach=REACH)
        free, doubtful = _associate(free, weak, t, score, reach=0.0)
        new += [d for d in doubtful if d.score >= DOUBTFUL * score]
        for track in free:
            track.miss(t, looked)
        self._tracks = [track for track in self._tracks if not self._lost(track, t)]
        for detection in new:
            if not any(track.seen_t == t and _nested(track.box, detection.box) for track in self._tracks):
                self._last_id += 1
                self._tracks.append(_Tracked(self._last_id, detection, t))
        self._still.observe(t, moving, [(track.signs, track.box) for track in self._tracks])
        return tuple(track.public(self._settings, self._still, t) for track in self._tracks)

    def _lost(self, track: _Tracked, t: float) -> bool:
        lost_s = self._settings.lost_s
        if track.missed_from is not None and t - track.missed_from >= lost_s:
            return True
        return t - track.seen_t >= FORGET * lost_s


class _Tracked:
    """One track's state."""

    def __init__(self, number: int, detection: Detection, t: float) -> None:
        self.id = number
        self.seen_t = t
        self.missed_from: float | None = None
        self._person = self._muted = self._watched = False
        self._hits = 1
        self.signs = Signs(t, detection.box)
        self._scores = deque([detection.score], SCORES)
        box = detection.box
        w, h = max(box.w, TINY), max(box.h, TINY)
        self._cx, self._w = Axis(box.x + w / 2, NOISE * w, SPEED * h), Axis(w, NOISE * w, GROWTH * w)
        self._cy, self._h = Axis(box.y + h / 2, NOISE * h, SPEED * h), Axis(h, NOISE * h, GROWTH * h)

    @property
    def box(self) -> Box:
        """Where the track is thought to be; may reach out of the picture."""
        w, h = max(self._w.x, TINY), max(self._h.x, TINY)
        return Box(self._cx.x - w / 2, self._cy.x - h / 2, w, h)

    def predict(self, t: float, dt: float) -> None:
        """Go on to `t`."""
        box = self.box
        if self.seen_t < t - dt:
            slower = math.exp(-dt / (COAST_S if self._watched else REST_S))
            self._cx.v *= slower
            self._cy.v *= slower
            self._w.v = self._h.v = 0.0  # a size that goes on shrinking unseen ends as a dot
        self._cx.predict(dt, AGILITY * box.h)
        self._cy.predict(dt, AGILITY * box.h)
        self._w.predict(dt, GROWTH * box.w)
        self._h.predict(dt, GROWTH * box.h)

    def update(self, detection: Detection, t: float, person_score: float) -> None:
        """Take the detection that is this track's."""
        box = detection.box
        w, h = max(box.w, TINY), max(box.h, TINY)
        self._cx.update(box.x + box.w / 2, NOISE * w)
        self._cy.update(box.y + box.h / 2, NOISE * h)
        self._w.update(w, NOISE * w)
        self._h.update(h, NOISE * h)
        if detection.score >= person_score > max(self._scores) and not self._person:
            self._scores.clear()  # it is seen well for the first time: what was seen badly before is no vote
            self._hits = 0
        self._scores.append(detection.score)
        self._hits += 1
        self.seen_t = t
        self.missed_from = None
        self._watched = True

    def miss(self, t: float, looked: Sequence[Box]) -> None:
        """No detection is this track's; it counts when the detector looked here."""
        box = _inside(self.box)
        self._watched = any(box.intersection(area) >= LOOKED * box.area for area in looked)
        if self._watched and self.missed_from is None:
            self.missed_from = t

    def public(self, settings: TrackerSettings, still: StillLife, t: float) -> Track:
        """What other rooms see."""
        box, score, seen = _inside(self.box), median(self._scores), self.seen_t == t
        enough = settings.person_score * (STAYS if self._person or self._muted else 1.0)
        looks_so = self._hits >= settings.min_hits and score >= enough
        if seen:
            self._muted = looks_so and still.mutes(self.signs, box, score, t)
        self._person = looks_so and not self._muted
        return Track(self.id, box, score, self._person, seen, self._muted)


def _associate(
    tracks: list[_Tracked], detections: list[Detection], t: float, person_score: float, *, reach: float
) -> tuple[list[_Tracked], list[Detection]]:
    """Give each detection to the track that fits best; the tracks and the detections left over."""
    pairs = []
    for i, track in enumerate(tracks):
        for j, detection in enumerate(detections):
            fit = _fit(track.box, detection.box, reach)
            if fit > 0:
                pairs.append((-fit, i, j))
    free_tracks, free_detections = dict(enumerate(tracks)), dict(enumerate(detections))
    for _, i, j in sorted(pairs):
        if i in free_tracks and j in free_detections:
            free_tracks.pop(i).update(free_detections.pop(j), t, person_score)
    return list(free_tracks.values()), list(free_detections.values())


def _fit(a: Box, b: Box, reach: float) -> float:
    """How well two boxes are one: 1..2 by their overlap, below 1 by their distance, 0 not at all."""
    iou = a.iou(b)
    if iou >= MIN_IOU:
        return 1 + iou
    if max(a.h, b.h) > ALIKE * min(a.h, b.h):
        return 0.0
    dx = (a.x + a.w / 2 - b.x - b.w / 2) / max((a.w + b.w) / 2, TINY)
    dy = (a.y + a.h / 2 - b.y - b.h / 2) / max((a.h + b.h) / 2, TINY)
    distance = math.hypot(dx, dy)
    return 1 - distance / reach if distance < reach else 0.0


def _nested(a: Box, b: Box) -> bool:
    """Whether one box lies in the other: head and shoulders of a person who is followed whole."""
    return a.intersection(b) >= NESTED * min(a.area, b.area)


def _inside(box: Box) -> Box:
    x, y = min(max(box.x, 0.0), 1.0), min(max(box.y, 0.0), 1.0)
    return Box(x, y, max(0.0, min(box.x2, 1.0) - x), max(0.0, min(box.y2, 1.0) - y))
