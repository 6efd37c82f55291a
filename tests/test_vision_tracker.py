"""agent.vision.tracker and agent.vision.kalman: ids that stay, persons that last, ghosts that go."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import TrackerSettings
from agent.types import Box, Detection, Track
from agent.vision.kalman import Axis
from agent.vision.tracker import Tracker

SETTINGS = TrackerSettings(lost_s=2.0, person_score=0.5, min_hits=2)
ALL = (Box(0.0, 0.0, 1.0, 1.0),)
HERE = Box(0.4, 0.3, 0.1, 0.4)


def seen(box: Box = HERE, score: float = 0.8) -> Detection:
    return Detection(box, score)


def still(tracker: Tracker, start: float, end: float, *detections: Detection) -> tuple[Track, ...]:
    """The same detections ten times a second, the whole picture looked at; the last tracks."""
    tracks: tuple[Track, ...] = ()
    for i in range(round((end - start) * 10)):
        tracks = tracker.step(detections, start + i / 10, ALL)
    return tracks


def test_a_person_needs_hits_and_a_median() -> None:
    """One detection is no person; two good ones are."""
    tracker = Tracker(SETTINGS)
    [first] = tracker.step([seen()], 0.0, ALL)
    [second] = tracker.step([seen()], 0.1, ALL)

    assert (False, True) == (first.person, first.seen)
    assert (True, True) == (second.person, second.seen)
    assert 0.8 == second.score
    assert first.id == second.id


def test_min_hits_is_obeyed() -> None:
    """A kit in a noisy place may ask for more proof."""
    tracker = Tracker(TrackerSettings(min_hits=5))

    assert not still(tracker, 0.0, 0.4, seen())[0].person
    assert still(tracker, 0.4, 0.5, seen())[0].person


def test_weak_detections_make_no_person() -> None:
    """A box below the person score opens a doubtful track at most, a very weak one nothing."""
    [doubtful] = still(Tracker(SETTINGS), 0.0, 3.0, seen(score=0.4))

    assert not doubtful.person
    assert () == still(Tracker(SETTINGS), 0.0, 3.0, seen(score=0.25))


def test_doubt_does_not_delay_a_person() -> None:
    """Who was seen badly for a second and then well is a person as soon as one who was seen well at once."""
    tracker = Tracker(SETTINGS)
    [doubtful] = still(tracker, 0.0, 1.0, seen(score=0.35))
    [person] = still(tracker, 1.0, 1.2, seen(score=0.8))

    assert (doubtful.id, True, 0.8) == (person.id, person.person, person.score)


def test_weak_detections_keep_a_person() -> None:
    """Who turns away and scores less stays, with the same id, and the box follows."""
    tracker = Tracker(SETTINGS)
    [before] = still(tracker, 0.0, 1.0, seen())
    [after] = still(tracker, 1.0, 6.0, seen(score=0.4))

    assert (before.id, True, True) == (after.id, after.person, after.seen)
    assert 0.4 == after.score


def test_a_person_who_is_hardly_one_any_more_is_none() -> None:
    """Scores far below the person score do not keep a person for ever."""
    tracker = Tracker(SETTINGS)
    still(tracker, 0.0, 1.0, seen())

    assert not still(tracker, 1.0, 6.0, seen(score=0.2))[0].person


def test_ids_outlast_a_short_occlusion() -> None:
    """A person who walks behind a pillar for a second comes out with the same id."""
    tracker = Tracker(SETTINGS)
    for i in range(15):
        [walker] = tracker.step([seen(Box(0.1 + i * 0.01, 0.3, 0.1, 0.4))], i / 10, ALL)
    for i in range(15, 25):
        tracker.step([], i / 10, ALL)
    [back] = tracker.step([seen(Box(0.1 + 25 * 0.01, 0.3, 0.1, 0.4))], 2.5, ALL)

    assert walker.id == back.id


def test_a_track_goes_on_where_it_was_going() -> None:
    """The box follows with the speed of the person and is told to be unsupported."""
    tracker = Tracker(SETTINGS)
    for i in range(15):
        tracker.step([seen(Box(0.1 + i * 0.02, 0.3, 0.1, 0.4))], i / 10, ALL)
    [ahead] = tracker.step([], 1.5, ALL)

    assert not ahead.seen
    assert math.isclose(0.4, ahead.box.x, abs_tol=0.02)


def test_what_is_gone_is_dropped_after_lost_s() -> None:
    """A place that was looked at for lost_s and shows nobody has nobody."""
    tracker = Tracker(SETTINGS)
    still(tracker, 0.0, 1.0, seen())

    assert 1 == len(still(tracker, 1.0, 2.9))
    assert () == still(tracker, 2.9, 3.2)


def test_not_looking_is_no_evidence_of_absence() -> None:
    """A track is judged only by frames in which the detector looked at it; but not kept for ever."""
    tracker = Tracker(SETTINGS)
    still(tracker, 0.0, 1.0, seen())
    elsewhere = (Box(0.7, 0.0, 0.3, 1.0),)
    for t in range(1, 9):
        assert 1 == len(tracker.step([], float(t), elsewhere if t % 2 else ()))

    assert () == tracker.step([], 12.0, ())


def test_two_looks_that_find_nobody_end_a_track_that_is_checked_each_second() -> None:
    """A person without motion is looked at once a second: the second empty look in lost_s is enough."""
    tracker = Tracker(SETTINGS)
    still(tracker, 0.0, 1.0, seen())
    alive = [bool(tracker.step([], 1.0 + i / 10, ALL if i % 10 == 0 else ())) for i in range(40)]

    assert 2.0 == alive.index(False) / 10


def test_persons_who_cross_keep_their_ids() -> None:
    """Two people pass each other in opposite directions."""
    tracker = Tracker(SETTINGS)
    boxes = [(Box(0.1 + i * 0.02, 0.3, 0.1, 0.4), Box(0.8 - i * 0.02, 0.35, 0.1, 0.4)) for i in range(36)]
    start = tracker.step([seen(one) for one in boxes[0]], 0.0, ALL)
    for i, pair in enumerate(boxes[1:], start=1):
        end = tracker.step([seen(one) for one in pair], i / 10, ALL)

    assert [track.id for track in start] == [track.id for track in end]
    assert end[0].box.x > 0.7
    assert end[1].box.x < 0.2


def test_a_fast_small_person_is_one_track() -> None:
    """Boxes that do not overlap from frame to frame are one track when they are near and alike."""
    tracker = Tracker(SETTINGS)
    ids = {
        track.id
        for i in range(20)
        for track in tracker.step([seen(Box(0.1 + i * 0.024, 0.3, 0.03, 0.1))], i / 5, ALL)
    }

    assert {1} == ids


def test_another_size_is_another_thing() -> None:
    """A large box beside a small one is not the same person a moment later."""
    tracker = Tracker(SETTINGS)
    tracker.step([seen(Box(0.40, 0.40, 0.03, 0.1))], 0.0, ALL)
    tracks = tracker.step([seen(Box(0.38, 0.30, 0.2, 0.6))], 0.1, ALL)

    assert [1, 2] == [track.id for track in tracks]


def test_a_part_of_a_person_is_no_second_one() -> None:
    """Head and shoulders inside a person who is followed whole open no track of their own."""
    tracker = Tracker(SETTINGS)
    part = Box(0.42, 0.32, 0.06, 0.12)

    assert [1] == [track.id for track in still(tracker, 0.0, 2.0, seen(), seen(part, 0.7))]


def test_boxes_stay_in_the_picture() -> None:
    """Who walks out is followed to the border, not beyond."""
    tracker = Tracker(SETTINGS)
    for i in range(20):
        tracks = tracker.step([seen(Box(0.5 + i * 0.02, 0.7, 0.1, 0.3))], i / 10, ALL)
    for i in range(20, 30):
        tracks = tracker.step([], i / 10, ())
        for track in tracks:
            assert track.box.x2 <= 1
            assert track.box.w >= 0

    assert tracks


def test_time_that_stands_or_goes_back_is_harmless() -> None:
    """A looped file starts its time anew."""
    tracker = Tracker(SETTINGS)
    tracker.step([seen()], 100.0, ALL)
    [same] = tracker.step([seen()], 100.0, ALL)
    [earlier] = tracker.step([seen()], 3.0, ALL)

    assert same.id == earlier.id


@pytest.mark.parametrize("dt", [0.04, 0.1, 0.5])
def test_the_filter_finds_the_speed_at_any_frame_rate(dt: float) -> None:
    """Noisy positions of a steady walk give its speed, however many frames a second there are."""
    noise = random.Random(3)  # noqa: S311 - for a test
    axis = Axis(0.0, 0.01, 1.0)
    for i in range(1, round(4 / dt)):
        axis.predict(dt, 0.1)
        axis.update(0.2 * i * dt + noise.gauss(0, 0.01), 0.01)

    assert math.isclose(0.2, axis.v, abs_tol=0.05)


unit = st.floats(0, 1)
stories = st.lists(
    st.tuples(
        st.floats(-1, 3),
        st.lists(st.builds(Detection, st.builds(Box, unit, unit, unit, unit), unit), max_size=5),
        st.booleans(),
    ),
    max_size=40,
)


@given(stories)
def test_any_story_gives_sane_tracks(story: list[tuple[float, list[Detection], bool]]) -> None:
    """Ids are unique, ordered and never used again; boxes lie in the picture; replays repeat."""

    def run() -> list[tuple[Track, ...]]:
        tracker, t, out = Tracker(SETTINGS), 50.0, []
        for step, detections, whole in story:
            t += step
            out.append(tracker.step(detections, t, ALL if whole else ()))
        return out

    frames = run()
    gone: set[int] = set()
    before: set[int] = set()
    for tracks in frames:
        ids = [track.id for track in tracks]
        assert sorted(set(ids)) == ids
        gone |= before - set(ids)
        assert not gone & set(ids)
        before = set(ids)
        for track in tracks:
            assert 0 <= track.box.x <= track.box.x2 <= 1.0000001
            assert 0 <= track.box.y <= track.box.y2 <= 1.0000001
            assert 0 <= track.score <= 1
    assert frames == run()
