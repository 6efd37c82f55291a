"""agent.vision.still: things are muted, persons are not; seen through the tracker, as the agent uses it."""

from __future__ import annotations

from agent.config import TrackerSettings
from agent.types import Box, Detection, Track
from agent.vision.still import FORGET_S, LEARN_S, MOST_PLACES, MUTE_S, Signs, StillLife
from agent.vision.tracker import Tracker

ALL = (Box(0.0, 0.0, 1.0, 1.0),)
COAT = Box(0.3, 0.2, 0.1, 0.3)


def stay(
    tracker: Tracker, start: float, end: float, score: float, *, moving: tuple[Box, ...] = (), box: Box = COAT
) -> list[Track]:
    """One thing at one place, looked at twice a second; its track at each look."""
    looks = round((end - start) * 2)
    return [tracker.step([Detection(box, score)], start + i / 2, ALL, moving)[-1] for i in range(looks)]


def walk(tracker: Tracker, t: float, *, to: float) -> list[Track]:
    """Somebody walks from x = 0.9 to `to` before whatever stands at COAT; all tracks of the last frame."""
    tracks: tuple[Track, ...] = ()
    x = 0.9
    while x > to:
        box = Box(x, 0.15, 0.14, 0.6)
        tracks = tracker.step([Detection(box, 0.9), Detection(COAT, 0.6)], t, ALL, (box,))
        x, t = x - 0.02, t + 0.1
    return list(tracks)


def test_a_find_without_life_must_be_surer() -> None:
    """A coat that scores 0.6 is a thing from the start; who scores 0.9 is a person who stands still."""
    coat = stay(Tracker(TrackerSettings()), 0.0, 3.0, 0.6)
    person = stay(Tracker(TrackerSettings()), 0.0, 3.0, 0.9)

    assert not any(track.person for track in coat)
    assert coat[-1].muted
    assert person[1].person
    assert not person[-1].muted


def test_who_moves_is_a_person_at_once() -> None:
    """Motion where the find is makes it count, though it scores no more than a coat."""
    tracks = stay(Tracker(TrackerSettings()), 0.0, 3.0, 0.6, moving=(COAT,))

    assert [False, True, True] == [track.person for track in tracks[:3]]


def test_motion_a_moment_before_the_find_counts() -> None:
    """The detector may look late; who arrived two seconds ago has arrived."""
    tracker = Tracker(TrackerSettings())
    tracker.step([], 0.0, (), (COAT,))

    assert stay(tracker, 1.5, 3.0, 0.6)[-1].person
    assert not stay(Tracker(TrackerSettings()), 1.5, 3.0, 0.6)[-1].person


def test_who_walks_is_alive_without_a_motion_region() -> None:
    """In the dark the motion stage may see nothing; a box that wanders is alive all the same."""
    tracker = Tracker(TrackerSettings())
    for i in range(20):
        [track] = tracker.step([Detection(Box(0.1 + i * 0.02, 0.2, 0.1, 0.3), 0.6)], i / 10, ALL, ())

    assert track.person


def test_without_knowledge_of_motion_nothing_is_muted() -> None:
    """A caller that has no motion stage loses no person."""
    tracker = Tracker(TrackerSettings())
    for i in range(3):
        [track] = tracker.step([Detection(COAT, 0.6)], i / 2, ALL)

    assert track.person


def test_who_walks_past_a_coat_does_not_bring_it_to_life() -> None:
    """The motion belongs to the walker's track, and the walker is the only person."""
    tracker = Tracker(TrackerSettings())
    stay(tracker, 0.0, LEARN_S + 2, 0.6)
    tracks = walk(tracker, LEARN_S + 2, to=0.1)

    assert [False, True] == [track.person for track in sorted(tracks, key=lambda track: track.box.h)]
    assert not stay(tracker, LEARN_S + 7, LEARN_S + 12, 0.6)[-1].person


def test_a_sure_thing_is_learned_in_time_and_stays_muted() -> None:
    """A poster that scores 0.9 is a person for MUTE_S, then never again, not even as a new track."""
    tracker = Tracker(TrackerSettings())
    tracks = stay(tracker, 0.0, MUTE_S + 5, 0.9)
    again = stay(tracker, MUTE_S + 60, MUTE_S + 90, 0.9)
    shaken = stay(tracker, MUTE_S + 120, MUTE_S + 150, 0.9, moving=(COAT,))

    assert tracks[int(MUTE_S) * 2 - 10].person
    assert not tracks[-1].person
    assert tracks[-1].muted
    assert not any(track.person for track in again + shaken)


def test_a_person_who_does_not_move_at_all_ends_as_a_thing() -> None:
    """Whose motion stopped for MUTE_S is muted too, and is a person again on walking away."""
    tracker = Tracker(TrackerSettings())
    assert stay(tracker, 0.0, 10.0, 0.8, moving=(COAT,))[-1].person
    assert stay(tracker, 10.0, MUTE_S, 0.8)[-1].person
    assert not stay(tracker, MUTE_S, MUTE_S + 15, 0.8)[-1].person
    t = MUTE_S + 15
    for i in range(20):
        box = Box(0.3 + i * 0.02, 0.2, 0.1, 0.3)
        tracks = tracker.step([Detection(box, 0.8)], t + i / 10, ALL, (box,))

    assert tracks[-1].person


def test_things_are_forgotten_and_their_number_is_bounded() -> None:
    """A coat that was taken away a day ago mutes nobody; memory does not grow."""
    still = StillLife(0.5)
    still.observe(0.0, (), ())
    for i in range(MOST_PLACES * 2):
        box = Box(i / 100, i / 100, 0.005, 0.005)
        still.mutes(Signs(-LEARN_S, box), box, 0.6, float(i))
    assert MOST_PLACES == len(still._places)
    assert not still.mutes(Signs(100.0, Box(0.0, 0.0, 0.005, 0.005)), Box(0.0, 0.0, 0.005, 0.005), 0.9, 100.0)

    still.mutes(Signs(FORGET_S * 2, COAT), COAT, 0.6, FORGET_S * 2 + LEARN_S)
    assert 1 == len(still._places)
