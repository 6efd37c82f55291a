"""agent.events.rules: each rule opens and ends its events, whatever the tracks do."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import Settings
from agent.events.rules import Rules
from agent.types import Box, EventChange, Phase, Track

if TYPE_CHECKING:
    from agent.events.lines import Crossing

NIGHT = datetime(2026, 11, 23, 23, 30)  # noqa: DTZ001 - local time is what the clock on the wall shows
DAY = datetime(2026, 11, 23, 12, 0)  # noqa: DTZ001
LANDING = {"name": "landing", "polygon": [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]}
DOOR = {"name": "door", "polygon": [[0.8, 0], [1, 0], [1, 1], [0.8, 1]]}
STAIRS = {"name": "stairs", "start": [0, 0.3], "end": [1, 0.3], "left": "up", "right": "down"}

EVERYTHING: dict[str, Any] = {
    "view": {"zones": [LANDING, DOOR], "lines": [STAIRS]},
    "loitering": {"enabled": True, "dwell_s": 4.0},
    "gathering": {"enabled": True, "persons": 2, "hold_s": 3.0},
    "after_hours": {"closed": ["22:00-06:00"]},
}


def rules(**sections: Any) -> Rules:  # noqa: ANN401 - tables of settings
    sections.setdefault("events", {"quiet_s": 3.0, "update_s": 2.0})
    return Rules(Settings(**sections))


def at(x: float = 0.5, y: float = 0.8, number: int = 1, *, person: bool = True, seen: bool = True) -> Track:
    """A person whose foot is at (x, y)."""
    return Track(number, Box(x - 0.05, y - 0.2, 0.1, 0.2), 0.8, person, seen)


class Story:
    """Ten frames a second, and what the rules said of them."""

    def __init__(self, watch: Rules) -> None:
        self.rules = watch
        self.t = 0.0
        self.changes: list[EventChange] = []
        self.crossings: list[Crossing] = []
        self.no_clock: set[bool] = set()

    def go(self, seconds: float, *tracks: Track, local: datetime | None = DAY) -> Story:
        """Let time pass with these tracks in every frame."""
        for _ in range(round(seconds * 10)):
            verdict = self.rules.step(tracks, self.t, local)
            self.changes += verdict.changes
            self.crossings += verdict.crossings
            self.no_clock.add(verdict.no_clock)
            self.t = round(self.t + 0.1, 1)
        return self

    def end(self) -> Story:
        """The source has ended."""
        self.changes += self.rules.finish(self.t)
        return self

    def of(self, kind: str) -> list[tuple[Phase, float]]:
        """When this kind began and ended."""
        return [(c.phase, c.t) for c in self.changes if c.kind == kind and c.phase in {Phase.NEW, Phase.END}]

    @property
    def kinds(self) -> list[str]:
        """Of the events, as they began."""
        return [change.kind for change in self.changes if change.phase is Phase.NEW]


def test_by_default_a_person_is_an_event_and_nothing_else_is() -> None:
    """Presence is on; whoever stays for an hour in company at night is still no more than present."""
    story = Story(rules()).go(300, at(), at(0.3, 0.7, 2), at(0.2, 0.7, 3), at(0.1, 0.7, 4), local=NIGHT)

    assert ["person"] == story.end().kinds
    assert {False} == story.no_clock


def test_who_stays_loiters_from_then_on() -> None:
    """The event begins after dwell_s, and ends when the person has gone."""
    story = Story(rules(loitering={"enabled": True, "dwell_s": 20.0})).go(30, at()).go(5)

    assert [(Phase.NEW, 20.0), (Phase.END, 32.9)] == story.of("loitering")
    [new, end] = [change for change in story.changes if change.kind == "loitering"]
    assert (20.0, 20.0, 29.9) == (new.started, end.started, end.ended)


def test_loitering_survives_a_loss_and_a_new_number() -> None:
    """A turn behind a pillar, and a track that is lost, do not set the watch back."""
    story = Story(rules(loitering={"enabled": True, "dwell_s": 20.0}))
    story.go(8, at()).go(4, at(seen=False)).go(3).go(10, at(0.55, 0.8, 2))

    assert [(Phase.NEW, 20.0)] == story.of("loitering")


def test_loitering_is_of_its_zones() -> None:
    """Who stays elsewhere does not loiter; who leaves the zone for a moment still does."""
    settings = {
        "view": {"zones": [LANDING]},
        "loitering": {"enabled": True, "dwell_s": 20.0, "zones": ["landing"]},
    }
    elsewhere = Story(rules(**settings)).go(60, at(y=0.4))
    about = Story(rules(**settings)).go(10, at()).go(5, at(y=0.4)).go(10, at())

    assert [] == elsewhere.of("loitering")
    assert [Phase.NEW] == [phase for phase, _ in about.of("loitering")]


def test_a_stay_is_not_inherited_from_who_left_the_included_zones() -> None:
    """Somebody who is there still, though not counted, hands nothing to who comes after."""
    include = {"name": "in", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "persons": "include"}
    story = Story(rules(view={"zones": [include]}, loitering={"enabled": True, "dwell_s": 20.0}))
    story.go(15, at(0.45)).go(1, at(0.55)).go(10, at(0.55), at(0.45, 0.8, 2))

    assert [] == story.of("loitering")


def crowd(count: int) -> list[Track]:
    return [at(0.1 * i + 0.1, 0.8, i) for i in range(1, count + 1)]


GATHERING = {"gathering": {"enabled": True, "persons": 3, "hold_s": 20.0}}


def test_a_gathering_is_enough_persons_for_long_enough() -> None:
    """It begins after hold_s, tells how many there are, and ends once they are too few."""
    story = Story(rules(**GATHERING)).go(30, *crowd(3)).go(10, *crowd(2))

    assert [Phase.NEW, Phase.END] == [phase for phase, _ in story.of("gathering")]
    [new, end] = [change for change in story.changes if change.kind == "gathering"]
    assert new.t == pytest.approx(20.0, abs=0.2)
    assert (new.t, 3, 29.9) == (new.started, new.count, end.ended)


def test_too_few_or_too_short_is_no_gathering() -> None:
    """Neither two for long nor three in passing."""
    assert [] == Story(rules(**GATHERING)).go(60, *crowd(2)).of("gathering")
    passing = Story(rules(**GATHERING))
    for _ in range(10):
        passing.go(10, *crowd(3)).go(10, *crowd(2))
    assert [] == passing.of("gathering")


def test_a_gathering_bears_short_losses() -> None:
    """A person hidden for two seconds delays the event, and does not prevent it."""
    story = Story(rules(**GATHERING)).go(10, *crowd(3)).go(2, *crowd(2)).go(20, *crowd(3))

    [(phase, t)] = story.of("gathering")
    assert Phase.NEW is phase
    assert 20.0 < t < 26.0


def test_persons_looked_at_in_turn_gather() -> None:
    """The detector sees one of them in each frame; they are together all the same."""
    story = Story(rules(**GATHERING))
    for i in range(250):
        story.go(0.1, *(at(0.2 * n, 0.8, n, seen=i % 3 == n - 1) for n in (1, 2, 3)))

    assert [Phase.NEW] == [phase for phase, _ in story.of("gathering")]
    assert 3 == next(change.count for change in story.changes if change.kind == "gathering")


def test_a_gathering_is_not_held_by_a_pause() -> None:
    """Nobody knows who was together while there were no pictures."""
    story = Story(rules(**GATHERING)).go(1, *crowd(3))
    story.t += 600.0
    story.go(1, *crowd(3))

    assert [] == story.of("gathering")


def test_a_gathering_is_of_its_zones() -> None:
    """Persons on both sides of a zone's border are no group in it."""
    settings = {
        "view": {"zones": [DOOR]},
        "gathering": {"enabled": True, "persons": 2, "hold_s": 5, "zones": ["door"]},
    }
    apart = Story(rules(**settings)).go(20, at(0.5, 0.8, 1), at(0.9, 0.8, 2))
    together = Story(rules(**settings)).go(20, at(0.85, 0.8, 1), at(0.95, 0.8, 2))

    assert [] == apart.of("gathering")
    assert [Phase.NEW] == [phase for phase, _ in together.of("gathering")]


AFTER_HOURS = {"after_hours": {"closed": ["22:00-06:00"]}}


def test_after_hours_goes_by_the_local_time() -> None:
    """At night anybody is an event; by day nobody; it ends when the place opens."""
    story = Story(rules(**AFTER_HOURS)).go(5, at()).go(5, at(), local=NIGHT).go(5, at())

    assert [(Phase.NEW, 5.0), (Phase.END, 12.9)] == story.of("after-hours")
    assert [(Phase.NEW, 0.0)] == story.of("person")


def test_without_a_clock_after_hours_is_silent_and_says_so() -> None:
    """Nobody knows whether it is night: no event, but the fact."""
    story = Story(rules(**AFTER_HOURS)).go(60, at(), local=None)

    assert ([], {True}) == (story.of("after-hours"), story.no_clock)
    assert {True, False} == story.go(1, at()).no_clock


def test_nobody_outside_the_included_zones_is_an_event() -> None:
    """With an included zone only who is in it counts, for every rule."""
    watch = {**EVERYTHING, "view": {"zones": [{**LANDING, "persons": "include"}, DOOR]}}
    outside = Story(rules(**watch)).go(20, at(0.2, 0.4), at(0.4, 0.4, 2), local=NIGHT)
    inside = Story(rules(**watch)).go(20, at(0.2), at(0.4, 0.8, 2), local=NIGHT)

    assert [] == outside.kinds
    assert {"person", "loitering", "gathering", "after-hours"} == set(inside.kinds)


def test_an_excluded_zone_wins() -> None:
    """Who is in both counts for nothing; who goes there ends the event."""
    watch = {"view": {"zones": [{**LANDING, "persons": "include"}, {**DOOR, "persons": "exclude"}]}}
    story = Story(rules(**watch)).go(5, at(0.9)).go(5, at(0.5)).go(5, at(0.9))

    [(new, began), (end, ended)] = story.of("person")
    assert (Phase.NEW, Phase.END) == (new, end)
    assert 5.0 < began < 6.0
    assert 13.0 < ended < 14.0


def test_an_event_tells_the_zones_entered() -> None:
    """In the order in which they were entered, each once, to the end."""
    story = Story(rules(view={"zones": [LANDING, DOOR]})).go(3, at(0.9, 0.4)).go(3, at(0.5, 0.8)).go(5)
    new, *updates, end = story.changes

    assert () == new.zones
    assert ("door", "landing") == end.zones
    assert ("door",) in {change.zones for change in updates}
    assert {0.5} == {change.box.x + 0.05 for change in story.changes[-1:]}


def test_a_line_gives_the_event_its_direction() -> None:
    """The last way across; every crossing is told for the figures; other kinds have no direction."""
    story = Story(rules(view={"lines": [STAIRS]}, loitering={"enabled": True, "dwell_s": 1.0}))
    story.go(3, at(0.5, 0.5)).go(3, at(0.5, 0.2)).go(3, at(0.5, 0.5)).go(5)
    ways = [change.dir for change in story.changes if change.kind == "person"]

    assert (None, "down") == (ways[0], ways[-1])
    assert "up" in ways
    assert ["up", "down"] == [crossing.dir for crossing in story.crossings]
    assert {None} == {change.dir for change in story.changes if change.kind == "loitering"}


def test_who_does_not_count_crosses_no_line() -> None:
    """An excluded person gives no event a direction."""
    story = Story(rules(view={"zones": [{**DOOR, "persons": "exclude"}], "lines": [STAIRS]}))
    story.go(2, at(0.9, 0.8)).go(2, at(0.9, 0.1)).go(2, at(0.9, 0.8))

    assert [] == story.crossings


def test_each_event_has_its_own_number_and_moments() -> None:
    """Events of several kinds are open at once and are never mixed up."""
    watch = rules(**EVERYTHING)
    moments: dict[int, int] = {}
    kinds: dict[int, str] = {}
    for i in range(100):
        verdict = watch.step([at(0.5, 0.8, 1), at(0.3, 0.8, 2)], i / 10, NIGHT)
        for change in verdict.changes:
            assert change.kind == kinds.setdefault(change.event, change.kind)
        for moment in verdict.others:
            moments[moment.event] = moments.get(moment.event, 0) + 1
        assert verdict.best is None or kinds[verdict.best.event] == "person"

    assert {1: "person", 2: "after-hours", 3: "gathering", 4: "loitering"} == kinds
    assert {2: 1, 3: 1, 4: 1} == moments


def test_a_visit_within_the_quiet_time_is_the_same_event() -> None:
    """Each kind merges what follows closely."""
    story = (
        Story(rules(**AFTER_HOURS))
        .go(3, at(), local=NIGHT)
        .go(2, local=NIGHT)
        .go(3, at(number=2), local=NIGHT)
    )

    assert ["person", "after-hours"] == story.end().kinds


unit = st.floats(0, 1)
boxes = st.builds(Box, unit, unit, unit, unit)
tracks = st.lists(
    st.builds(Track, st.integers(1, 5), boxes, unit, st.booleans(), st.booleans()),
    max_size=4,
    unique_by=lambda one: one.id,
)
stories = st.lists(st.tuples(st.floats(-2, 8), tracks, st.sampled_from([None, DAY, NIGHT])), max_size=60)


def play(story: list[tuple[float, list[Track], datetime | None]], **sections: Any) -> list[EventChange]:  # noqa: ANN401
    watch, t, changes = rules(**sections), 100.0, []
    for step, seen, local in story:
        t += step  # may go back: a looped file does
        changes += watch.step(seen, t, local).changes
    changes += watch.finish(t)
    assert () == watch.finish(t)
    return changes


@given(
    stories,
    st.floats(0.5, 10),
    st.floats(0, 10),
    st.integers(2, 3),
    st.sampled_from(["include", "exclude", None]),
)
def test_any_story_gives_whole_events(
    story: list[tuple[float, list[Track], datetime | None]],
    dwell_s: float,
    hold_s: float,
    persons: int,
    zone: str | None,
) -> None:
    """Each NEW has exactly one END; kinds do not share numbers; events of one kind never overlap."""
    sections = {
        **EVERYTHING,
        "view": {"zones": [{**LANDING, "persons": zone}, DOOR], "lines": [STAIRS]},
        "loitering": {"enabled": True, "dwell_s": dwell_s, "zones": ["landing"]},
        "gathering": {"enabled": True, "persons": persons, "hold_s": hold_s},
    }
    events: dict[int, list[EventChange]] = {}
    for change in play(story, **sections):
        events.setdefault(change.event, []).append(change)

    assert list(range(1, len(events) + 1)) == sorted(events)
    for steps in events.values():
        phases = [change.phase for change in steps]
        assert [Phase.NEW, *[Phase.UPDATE] * (len(steps) - 2), Phase.END] == phases
        assert list(range(1, len(steps) + 1)) == [change.rev for change in steps]
        assert 1 == len({change.kind for change in steps})
        assert all(set(a.zones) <= set(b.zones) for a, b in pairwise(steps))
        assert all(len(set(change.zones)) == len(change.zones) for change in steps)
        assert steps[0].started <= (steps[-1].ended or 0) <= steps[-1].t
    for kind in ("person", "loitering", "gathering", "after-hours"):
        of_kind = [steps for steps in events.values() if steps[0].kind == kind]
        assert all((a[-1].ended or 0) <= b[0].started for a, b in pairwise(of_kind))


@given(stories)
def test_the_same_story_gives_the_same_events(
    story: list[tuple[float, list[Track], datetime | None]],
) -> None:
    """A replay repeats itself."""
    assert play(story, **EVERYTHING) == play(story, **EVERYTHING)
