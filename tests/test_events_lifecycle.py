"""agent.events.lifecycle: exactly one NEW and one END, whatever the tracks do."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.config import EventSettings
from agent.events.lifecycle import REACH_BACK_S, Lifecycle
from agent.types import BestMoment, Box, EventChange, Phase, Track

SETTINGS = EventSettings(quiet_s=6.0, update_s=5.0)
BOX = Box(0.4, 0.3, 0.2, 0.4)


def track(
    number: int = 1, box: Box = BOX, score: float = 0.8, *, person: bool = True, seen: bool = True
) -> Track:
    return Track(number, box, score, person, seen)


def play(lifecycle: Lifecycle, frames: list[tuple[float, list[Track]]]) -> list[EventChange]:
    return [change for t, tracks in frames for change in lifecycle.step(tracks, t)[0]]


def seconds(start: float, end: float, *tracks: Track) -> list[tuple[float, list[Track]]]:
    """Ten frames per second of the same tracks."""
    return [(round(start + i / 10, 1), list(tracks)) for i in range(round((end - start) * 10))]


def test_a_visit_is_one_event() -> None:
    """NEW when the person is known, END after the quiet time with the last evidence as its end."""
    changes = play(Lifecycle(SETTINGS), [*seconds(1, 3, track()), *seconds(3, 12)])

    assert [Phase.NEW, Phase.END] == [change.phase for change in changes]
    new, end = changes
    assert (1.0, 1.0, None) == (new.t, new.started, new.ended)
    assert (8.9, 1.0, 2.9) == (end.t, end.started, end.ended)
    assert [("person", 1, 1), ("person", 1, 2)] == [(c.kind, c.event, c.rev) for c in changes]


def test_an_event_starts_with_the_first_evidence() -> None:
    """A track that becomes a person was there before that."""
    doubtful = seconds(2, 3, track(person=False))
    [new] = play(Lifecycle(SETTINGS), [*doubtful, (3.0, [track()])])

    assert (3.0, 2.0) == (new.t, new.started)


def test_an_old_doubtful_track_does_not_start_an_event_long_ago() -> None:
    """A coat that was followed for an hour, and then hides a person, did not arrive an hour ago."""
    coat = [(float(t), [track(person=False)]) for t in range(3600)]
    [new] = play(Lifecycle(SETTINGS), [*coat, (3600.0, [track()])])

    assert 3600.0 - REACH_BACK_S == new.started


def test_close_visits_are_one_event() -> None:
    """Who comes back within the quiet time is the same visit; who comes later is the next."""
    close = play(Lifecycle(SETTINGS), [*seconds(0, 2, track()), *seconds(2, 7), *seconds(7, 9, track(2))])
    apart = play(Lifecycle(SETTINGS), [*seconds(0, 2, track()), *seconds(2, 9), *seconds(9, 11, track(2))])

    assert [Phase.NEW] == [change.phase for change in close]
    assert [(1, Phase.NEW), (1, Phase.END), (2, Phase.NEW)] == [(c.event, c.phase) for c in apart]


def test_an_event_ends_before_the_next_begins_even_in_one_frame() -> None:
    """After a gap in the pictures the first frame may hold the end and the next beginning."""
    lifecycle = Lifecycle(SETTINGS)
    play(lifecycle, seconds(0, 2, track()))
    changes, _ = lifecycle.step([track()], 60.0)

    assert [Phase.END, Phase.NEW] == [change.phase for change in changes]
    assert changes[0].ended == 1.9
    assert changes[1].started >= 50.0


def test_a_track_without_support_is_no_evidence() -> None:
    """A track that coasts keeps nothing open."""
    changes = play(Lifecycle(SETTINGS), [*seconds(0, 1, track()), *seconds(1, 9, track(seen=False))])

    assert [Phase.NEW, Phase.END] == [change.phase for change in changes]
    assert 0.9 == changes[1].ended


def test_who_is_no_person_opens_nothing() -> None:
    """Neither doubtful nor unseen tracks open an event."""
    frames = [*seconds(0, 5, track(person=False)), *seconds(5, 9, track(seen=False))]

    assert [] == play(Lifecycle(SETTINGS), frames)


def test_updates_are_rare_and_tell_something() -> None:
    """A better score or a moved box is told, once in update_s; standing still is not."""
    still = play(Lifecycle(SETTINGS), seconds(0, 30, track()))
    restless = play(
        Lifecycle(SETTINGS),
        [(i / 10, [track(box=Box((i % 50) / 100, 0.3, 0.1, 0.3))]) for i in range(300)],
    )
    better = play(Lifecycle(SETTINGS), [*seconds(0, 7, track(score=0.6)), *seconds(7, 9, track(score=0.8))])

    assert [Phase.NEW] == [change.phase for change in still]
    assert all(b.t - a.t >= 5.0 for a, b in pairwise(restless))
    assert 5 <= len(restless)
    assert [(1, 0.6), (2, 0.8)] == [(change.rev, change.top_score) for change in better]


def test_count_is_the_most_persons_seen_together() -> None:
    """Two at once are two; they are told when the update is due; one who leaves changes nothing."""
    frames = [
        *seconds(0, 2, track(1)),
        *seconds(2, 4, track(1), track(2, Box(0.7, 0.3, 0.2, 0.4))),
        *seconds(4, 8, track(1)),
        *seconds(8, 20),
    ]
    changes = play(Lifecycle(SETTINGS), frames)

    assert [1, 2, 2] == [change.count for change in changes]
    assert [1, 1, 1] == [change.event for change in changes]


def test_one_person_in_two_tracks_is_one() -> None:
    """A lost and found id, or a double box for a moment, is no second person."""
    frames = [
        *seconds(0, 3, track(1)),
        *seconds(3, 6, track(1, seen=False), track(2)),
        *seconds(6, 6.3, track(2), track(3, Box(0.41, 0.3, 0.2, 0.4))),
        *seconds(6.3, 9, track(2)),
        *seconds(9, 16),
    ]

    assert 1 == play(Lifecycle(SETTINGS), frames)[-1].count


def test_persons_looked_at_in_turn_are_together() -> None:
    """With a small budget the detector sees one person per frame; they are two all the same."""
    other = Box(0.7, 0.3, 0.2, 0.4)
    frames: list[tuple[float, list[Track]]] = [
        (i / 10, [track(1, seen=i % 2 == 0), track(2, other, seen=i % 2 == 1)]) for i in range(60)
    ]

    assert 2 == play(Lifecycle(SETTINGS), frames)[-1].count


def test_finish_ends_what_is_open_once() -> None:
    """At shut-down nothing stays open; a second call has nothing to end."""
    lifecycle = Lifecycle(SETTINGS)
    play(lifecycle, seconds(0, 2, track()))
    [end] = lifecycle.finish(2.5)

    assert (Phase.END, 2.5, 1.9) == (end.phase, end.t, end.ended)
    assert [] == lifecycle.finish(3.0)


def test_the_best_moment_is_large_sure_and_whole() -> None:
    """The first look counts, then only clearly better ones; a person cut by the border is worth half."""
    lifecycle = Lifecycle(SETTINGS)
    looks = [
        track(box=Box(0.4, 0.3, 0.1, 0.3), score=0.8),
        track(box=Box(0.4, 0.3, 0.1, 0.31), score=0.8),
        track(box=Box(0.4, 0.3, 0.1, 0.3), score=0.98),
        track(box=Box(0.0, 0.3, 0.1, 0.5), score=0.9),
        track(box=Box(0.4, 0.3, 0.2, 0.4), score=0.9),
    ]
    moments = [lifecycle.step([look], i / 10)[1] for i, look in enumerate(looks)]

    assert [0.0, 0.2, 0.4] == [moment.t for moment in moments if moment]
    assert BestMoment(1, 0.4, Box(0.4, 0.3, 0.2, 0.4), 0.2 * 0.4 * 0.9) == moments[-1]


def test_a_sharp_moment_is_better_than_a_smear() -> None:
    """Somebody who stands still is shown rather than the larger blur that ran past; a blur beats nothing."""
    lifecycle = Lifecycle(SETTINGS)
    blur, still = track(box=Box(0.4, 0.3, 0.2, 0.5)), track(box=Box(0.4, 0.3, 0.2, 0.3))
    _, first = lifecycle.step([blur], 0.0, {1: 0.0})
    _, second = lifecycle.step([still], 0.1, {1: 0.7})
    _, third = lifecycle.step([blur], 0.2, {1: 0.3})
    assert first is not None
    assert second is not None
    assert (blur.box, still.box, None) == (first.box, second.box, third)


unit = st.floats(0, 1)
boxes = st.builds(Box, unit, unit, unit, unit)
tracks = st.lists(
    st.builds(Track, st.integers(1, 5), boxes, unit, st.booleans(), st.booleans()),
    max_size=4,
    unique_by=lambda one: one.id,
)
stories = st.lists(st.tuples(st.floats(-2, 20), tracks), max_size=60)


@given(stories, st.floats(0.1, 10), st.floats(0.1, 10))
def test_any_story_gives_whole_events(
    story: list[tuple[float, list[Track]]], quiet_s: float, update_s: float
) -> None:
    """Each NEW has one END, revisions are dense from 1, no event ends before it started or overlaps."""
    lifecycle = Lifecycle(EventSettings(quiet_s=quiet_s, update_s=update_s))
    t, changes, last = 100.0, [], None
    for step, seen in story:
        t += step  # may go back: a looped file does
        more, best = lifecycle.step(seen, t)
        changes += more
        if best is not None:
            assert changes[-1].event == best.event
        last = t
    changes += lifecycle.finish(t if last is None else last)

    events: dict[int, list[EventChange]] = {}
    for change in changes:
        events.setdefault(change.event, []).append(change)
    assert list(range(1, len(events) + 1)) == list(events)
    for steps in events.values():
        assert list(range(1, len(steps) + 1)) == [change.rev for change in steps]
        phases = [change.phase for change in steps]
        assert [Phase.NEW, *[Phase.UPDATE] * (len(steps) - 2), Phase.END] == phases
        assert all(b.t - a.t >= update_s for a, b in pairwise(steps[:-1]))
        ended = steps[-1].ended
        assert ended is not None
        assert steps[0].started <= steps[0].t <= steps[-1].t
        assert steps[0].started <= ended <= steps[-1].t
        assert {steps[0].started} == {change.started for change in steps}
    for a, b in pairwise(events.values()):
        assert (a[-1].ended or 0) <= b[0].started
    assert sorted(change.t for change in changes) == [change.t for change in changes]


@given(stories)
def test_the_same_story_gives_the_same_events(story: list[tuple[float, list[Track]]]) -> None:
    """A replay repeats itself."""

    def run() -> list[EventChange]:
        return play(Lifecycle(SETTINGS), [(i * 0.7, seen) for i, (_, seen) in enumerate(story)])

    assert run() == run()
