"""Rules: what tracks mean here. Each opens, updates and ends events of its kind by the one life cycle.

    presence      a person is there                                          person
    loitering     a person has stayed                                        loitering
    gathering     several persons have been together                         gathering
    after-hours   a person is there while the place is closed                after-hours

A line that is crossed gives the person event its direction. Zones decide first who counts at all. Pure: the
local time comes in with each step, and is None while nobody knows it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agent.config_rules import Hours
from agent.events.lifecycle import Lifecycle
from agent.events.lines import LineKeeper
from agent.events.schedule import closed
from agent.events.stays import Stays
from agent.events.zones import ZoneKeeper

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from agent.config import EventSettings, Settings
    from agent.config_rules import AfterHours, Gathering, Loitering
    from agent.events.lines import Crossing
    from agent.types import BestMoment, EventChange, Track

TOGETHER_S = 2.0  # persons seen within this time are together: who stands still is looked at once a second
STEP_S = 2.0  # a longer pause in the pictures says nothing about who was together in it

Steps = tuple[list["EventChange"], "BestMoment | None"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules made of one frame. `tracks` are those that came in, with their zones."""

    tracks: tuple[Track, ...]
    changes: tuple[EventChange, ...]
    best: BestMoment | None
    """Of the person event."""
    others: tuple[BestMoment, ...]
    """Of the other open events, at most one of each."""
    crossings: tuple[Crossing, ...]
    no_clock: bool
    """Whether a rule says nothing because nobody knows the time."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a rule is shown: the tracks that count, the ids of all there are, and the time."""

    tracks: list[Track]
    alive: set[int]
    t: float
    local: datetime | None


class _Rule(Protocol):
    life: Lifecycle

    def step(self, frame: _Frame) -> Steps: ...


class Rules:
    """All rules of one kit."""

    def __init__(self, settings: Settings) -> None:
        events, numbers = settings.events, itertools.count(1)
        self._t: float | None = None
        self._zones = ZoneKeeper(settings.view.zones)
        self._lines = LineKeeper(settings.view.lines)
        self._presence = Lifecycle(events, "person", numbers)
        self._timed = bool(settings.after_hours.closed)
        self._rules: list[_Rule] = []
        if settings.loitering.enabled:
            self._rules.append(_Loitering(settings.loitering, events, numbers))
        if settings.gathering.enabled:
            self._rules.append(_Gathering(settings.gathering, events, numbers))
        if self._timed:
            self._rules.append(_AfterHours(settings.after_hours, events, numbers))

    def step(
        self,
        tracks: Sequence[Track],
        t: float,
        local: datetime | None,
        sharpness: Mapping[int, float] | None = None,
    ) -> Verdict:
        """Judge the tracks of the frame at `t` seconds; a `t` before the last one counts as the last.

        `sharpness` as Lifecycle.step takes it.
        """
        t = self._advance(t)
        placed = self._zones.step(tracks, t)
        counted = [track for track in placed if self._zones.counts(track)]
        crossings = self._lines.step(counted)
        direction = crossings[-1].dir if crossings else None
        frame = _Frame(counted, {track.id for track in placed}, t, local)
        presence = self._presence.step(counted, t, sharpness, direction=direction)
        steps = [rule.step(frame) for rule in self._rules]
        return Verdict(
            tracks=placed,
            changes=tuple(change for changes, _ in (presence, *steps) for change in changes),
            best=presence[1],
            others=tuple(best for _, best in steps if best is not None),
            crossings=crossings,
            no_clock=self._timed and local is None,
        )

    def finish(self, t: float) -> tuple[EventChange, ...]:
        """End what is open: the source has ended or the agent stops."""
        t = self._advance(t)
        lives = [self._presence, *(rule.life for rule in self._rules)]
        return tuple(change for life in lives for change in life.finish(t))

    def _advance(self, t: float) -> float:
        self._t = t if self._t is None else max(t, self._t)
        return self._t


class _Loitering:
    """Somebody has stayed for `dwell_s`; the event begins then."""

    def __init__(self, settings: Loitering, events: EventSettings, numbers: Iterator[int]) -> None:
        self.life = Lifecycle(events, "loitering", numbers, reach_back_s=0.0)
        self._zones = settings.zones
        self._stays = Stays(settings.dwell_s)

    def step(self, frame: _Frame) -> Steps:
        here = _within(frame.tracks, self._zones)
        return self.life.step(self._stays.step(here, frame.alive, frame.t), frame.t)


class _Gathering:
    """`persons` have been together for `hold_s`; the event begins then.

    Time together fills a bucket and time apart empties it: a person lost for a moment costs that moment, and
    one who is only counted double now and then never fills it.
    """

    def __init__(self, settings: Gathering, events: EventSettings, numbers: Iterator[int]) -> None:
        self.life = Lifecycle(events, "gathering", numbers, reach_back_s=0.0)
        self._settings = settings
        self._seen: dict[int, float] = {}
        self._together = False
        self._held = 0.0
        self._t: float | None = None

    def step(self, frame: _Frame) -> Steps:
        here, t = _within(frame.tracks, self._settings.zones), frame.t
        passed = 0.0 if self._t is None else min(t - self._t, STEP_S)
        self._t = t
        self._held = min(
            self._settings.hold_s, max(0.0, self._held + (passed if self._together else -passed))
        )
        persons = {track.id for track in here if track.person}
        self._seen = {number: at for number, at in self._seen.items() if number in persons}
        self._seen |= {track.id: t for track in here if track.person and track.seen}
        count = sum(t - at <= TOGETHER_S for at in self._seen.values())
        self._together = count >= self._settings.persons
        return self.life.step(here, t, holds=self._together and self._held >= self._settings.hold_s)


class _AfterHours:
    """Anybody, while the place is closed; without the time of day it is silent."""

    def __init__(self, settings: AfterHours, events: EventSettings, numbers: Iterator[int]) -> None:
        self.life = Lifecycle(events, "after-hours", numbers, reach_back_s=0.0)
        self._zones = settings.zones
        self._hours = [Hours.of(text) for text in settings.closed]

    def step(self, frame: _Frame) -> Steps:
        holds = frame.local is not None and closed(self._hours, frame.local)
        return self.life.step(_within(frame.tracks, self._zones), frame.t, holds=holds)


def _within(tracks: list[Track], zones: tuple[str, ...]) -> list[Track]:
    """The tracks in any of the zones; all when none is named."""
    return [track for track in tracks if not zones or set(zones) & set(track.zones)]
