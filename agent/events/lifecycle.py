"""Person tracks become events: one NEW, at most an UPDATE each few seconds, exactly one END.

One event of a kind is open while any person gives evidence for it, and for `quiet_s` after the last
evidence: visits that follow so closely are one event. Pure; events of one kind never overlap.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.types import BestMoment, EventChange, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agent.config import EventSettings
    from agent.types import Box, EventKind, Track

REACH_BACK_S = 10.0
"""How far before NEW an event may have started: a track may be doubtful for a while before it is a person,
but one that was for an hour, and is taken over by a passer-by, did not arrive an hour ago."""

TOGETHER_S = 1.0  # persons seen within this time were there together: the detector looks at them in turn
HELD_S = 0.5  # a count must hold for so long: one person in two tracks for a moment is one person
SCORE_STEP = 0.1  # of the top score: a better look that a reader would call better
MOVED_IOU = 0.5  # a box that overlaps the last told one less has moved
BETTER = 1.2  # a moment replaces the best one when it is better by this factor: each costs a picture
BORDER = 0.01  # of the picture: a box that ends so near to its border is cut
CUT = 0.5  # what a cut person is worth against a whole one
SMEAR = 0.1  # what is worth the least against what is wholly sharp: a bad picture is better than none


@dataclass(slots=True)
class _Event:
    """The open event."""

    number: int
    kind: EventKind
    started: float
    evidence: float
    box: Box
    score: float
    top_score: float
    count: int
    told: tuple[float, Box, object]
    """Top score, box, and whatever is news as soon as it differs, as the last change gave them."""
    zones: tuple[str, ...] = ()
    direction: str | None = None
    told_t: float = 0.0
    rev: int = 0
    quality: float = 0.0
    """Of the best moment so far."""

    def news(self) -> bool:
        """Whether a reader would learn something."""
        score, box, exact = self.told
        better = self.top_score >= score + SCORE_STEP
        return better or self.box.iou(box) < MOVED_IOU or self._exact() != exact

    def change(self, phase: Phase, t: float) -> EventChange:
        """The next revision."""
        self.rev += 1
        self.told_t, self.told = t, (self.top_score, self.box, self._exact())
        return EventChange(
            event=self.number,
            kind=self.kind,
            phase=phase,
            rev=self.rev,
            t=t,
            started=self.started,
            ended=self.evidence if phase is Phase.END else None,
            score=self.score,
            top_score=self.top_score,
            count=self.count,
            box=self.box,
            zones=self.zones,
            dir=self.direction,
        )

    def _exact(self) -> tuple[int, tuple[str, ...], str | None]:
        return self.count, self.zones, self.direction


@dataclass(slots=True)
class _Visit:
    """When a track was first seen, and when it was seen as a person."""

    first: float
    person_from: float | None = None
    person_last: float | None = None


class Lifecycle:
    """Opens, updates and ends the events of one kind.

    `numbers` gives each event its number: kinds that are announced together share it. `reach_back_s` is how
    far before NEW an event may have started.
    """

    def __init__(
        self,
        settings: EventSettings,
        kind: EventKind = "person",
        numbers: Iterator[int] | None = None,
        reach_back_s: float = REACH_BACK_S,
    ) -> None:
        self._settings = settings
        self._kind: EventKind = kind
        self._numbers = itertools.count(1) if numbers is None else numbers
        self._reach_back_s = reach_back_s
        self._t: float | None = None
        self._event: _Event | None = None
        self._last_ended: float | None = None
        self._visits: dict[int, _Visit] = {}

    def step(
        self,
        tracks: Sequence[Track],
        t: float,
        sharpness: Mapping[int, float] | None = None,
        *,
        holds: bool = True,
        direction: str | None = None,
    ) -> tuple[list[EventChange], BestMoment | None]:
        """Take the tracks of the frame at `t` seconds; a `t` before the last one counts as the last.

        `sharpness` (0..1, by track id) is how sharp each person is in this frame; 1 for those not named.
        Persons are evidence only while `holds`, and known all the same otherwise. `direction` is how one of
        them crossed a line in this frame.
        """
        t = self._advance(t)
        persons = [track for track in tracks if track.person and track.seen]
        self._visits = {track.id: self._visits.get(track.id) or _Visit(t) for track in tracks}
        for track in persons:
            visit = self._visits[track.id]
            visit.person_from = t if visit.person_from is None else visit.person_from
            visit.person_last = t
        changes: list[EventChange] = []
        if self._event is not None and t - self._event.evidence >= self._settings.quiet_s:
            changes.append(self._end(self._event, t))
        if not persons or not holds:
            return changes, None
        event = self._event or self._begin(persons, t)
        leading = max(persons, key=lambda track: (track.score * track.box.area, -track.id))
        event.evidence, event.box, event.score = t, leading.box, leading.score
        event.top_score = max(event.top_score, *(track.score for track in persons))
        event.count = max(event.count, self._together(t))
        event.zones = tuple(dict.fromkeys(itertools.chain(event.zones, *(track.zones for track in persons))))
        event.direction = direction or event.direction
        if event.rev == 0:
            changes.append(event.change(Phase.NEW, t))
        elif t - event.told_t >= self._settings.update_s and event.news():
            changes.append(event.change(Phase.UPDATE, t))
        return changes, _best(event, persons, t, sharpness or {})

    def finish(self, t: float) -> list[EventChange]:
        """End what is open: the source has ended or the agent stops."""
        t = self._advance(t)
        return [self._end(self._event, t)] if self._event is not None else []

    def _advance(self, t: float) -> float:
        self._t = t if self._t is None else max(t, self._t)
        return self._t

    def _begin(self, persons: list[Track], t: float) -> _Event:
        first = min(self._visits[track.id].first for track in persons)
        started = max(first, t - self._reach_back_s)
        if self._last_ended is not None:
            started = max(started, self._last_ended)
        box, score, number = persons[0].box, persons[0].score, next(self._numbers)
        told = (score, box, None)
        self._event = _Event(number, self._kind, started, t, box, score, score, len(persons), told)
        return self._event

    def _end(self, event: _Event, t: float) -> EventChange:
        self._event = None
        self._last_ended = event.evidence
        return event.change(Phase.END, t)

    def _together(self, t: float) -> int:
        """How many persons were seen side by side just now, each for HELD_S at least.

        A track that ends where another begins is one person, so spans of time are compared.
        """
        spans = [
            (visit.person_from + HELD_S, visit.person_last)
            for visit in self._visits.values()
            if visit.person_from is not None
            and visit.person_last is not None
            and t - visit.person_last <= TOGETHER_S
        ]
        return max((sum(a <= start <= b for a, b in spans) for start, _ in spans), default=0)


def _best(event: _Event, persons: list[Track], t: float, sharpness: Mapping[int, float]) -> BestMoment | None:
    """This frame, when it shows somebody better than any frame of the event before."""
    looks = ((_quality(track, sharpness.get(track.id, 1.0)), track) for track in persons)
    quality, best = max(looks, key=lambda look: look[0])
    if quality <= event.quality * BETTER:
        return None
    event.quality = quality
    return BestMoment(event.number, t, best.box, quality)


def _quality(track: Track, sharp: float) -> float:
    """Large, sure, whole and sharp."""
    box = track.box
    cut = box.x < BORDER or box.y < BORDER or box.x2 > 1 - BORDER or box.y2 > 1 - BORDER
    return box.area * track.score * (CUT if cut else 1.0) * max(SMEAR, sharp)
