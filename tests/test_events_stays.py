"""agent.events.stays: how long somebody has been here, whatever number the tracker gives."""

from __future__ import annotations

from agent.events.stays import LOSS_S, Stays
from agent.types import Box, Track

HERE = Box(0.4, 0.3, 0.1, 0.3)
NEAR = Box(0.55, 0.3, 0.1, 0.3)
FAR = Box(0.9, 0.6, 0.1, 0.3)


def person(number: int = 1, box: Box = HERE, *, seen: bool = True, known: bool = True) -> Track:
    return Track(number, box, 0.8, known, seen)


class Story:
    """Seconds one after the other, with the persons who are seen in each."""

    def __init__(self, dwell_s: float = 10.0) -> None:
        self.stays = Stays(dwell_s)
        self.t = 0.0

    def go(self, seconds: int, *tracks: Track, here: bool = True) -> list[tuple[float, int]]:
        """Who has stayed long enough, as (t, id)."""
        found = []
        for _ in range(seconds):
            stayed = self.stays.step(tracks if here else (), {track.id for track in tracks}, self.t)
            found += [(self.t, track.id) for track in stayed]
            self.t += 1.0
        return found


def test_who_stays_is_told_from_then_on() -> None:
    """From dwell_s after the first look, in each look."""
    assert [(10.0, 1), (11.0, 1)] == Story().go(12, person())


def test_only_looks_at_persons_count() -> None:
    """Neither a doubtful track nor a coasting one begins a stay or has stayed."""
    assert [] == Story().go(30, person(known=False), person(2, seen=False))


def test_a_short_absence_is_part_of_the_stay() -> None:
    """Out of sight, or out of the zone, for less than LOSS_S changes nothing; longer begins anew."""
    for tracks in ((), (person(),)):
        short, long = Story(), Story()
        for story, seconds in ((short, LOSS_S - 2), (long, LOSS_S + 2)):
            story.go(5, person())
            story.go(int(seconds), *tracks, here=False)
        assert [short.t] == [t for t, _ in short.go(1, person())]
        assert [] == long.go(10, person())


def test_a_new_number_nearby_goes_on_with_the_stay() -> None:
    """A track that is lost hands its stay to the one that begins near it."""
    story = Story()
    story.go(6, person(1))

    assert [(10.0, 2)] == story.go(5, person(2, NEAR))


def test_a_track_that_lingers_beside_its_heir_hands_over_when_it_goes() -> None:
    """The tracker keeps a lost track for two seconds, while the person has a new one already."""
    story = Story()
    story.go(6, person(1))
    story.go(2, person(1, seen=False), person(2, NEAR))

    assert [(10.0, 2)] == story.go(3, person(2, NEAR))


def test_who_is_far_or_was_here_before_inherits_nothing() -> None:
    """Somebody else's stay is not lengthened by one that ended."""
    far, before = Story(), Story()
    far.go(6, person(1))
    before.go(3, person(1))
    before.go(3, person(1), person(2, NEAR))

    assert [16.0] == [t for t, _ in far.go(11, person(2, FAR))]
    assert [13.0] == [t for t, _ in before.go(8, person(2, NEAR))]


def test_one_stay_has_one_heir() -> None:
    """Of two who appear, the nearer goes on; a second loss gives the other nothing twice."""
    story = Story()
    story.go(6, person(1))

    assert {2} == {number for _, number in story.go(9, person(3, NEAR), person(2))}


def test_an_heir_inherits_once() -> None:
    """Two who are lost do not both live on in the one who comes."""
    story = Story()
    story.go(3, person(1))
    story.go(3, person(1), person(2, NEAR))

    assert [(10.0, 3), (11.0, 3)] == story.go(6, person(3))
