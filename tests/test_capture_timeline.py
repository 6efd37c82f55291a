"""Repair of time stamps, and their mapping to the kit's time."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.capture.timeline import Timeline

MS = Fraction(1, 1000)


def timeline(**options: float | bool) -> Timeline:
    return Timeline(MS, 0.1, **options)  # type: ignore[arg-type]


def live(line: Timeline, stamp: int, now: float) -> float:
    """`t` of a packet that arrives `now`."""
    return line.t(line.place(stamp, stamp, 100, now).pts)


def test_sound_stamps_pass_unchanged() -> None:
    """Also with B-frames, where pts runs ahead of dts; t counts from the first picture."""
    line = timeline()
    given_stamps = [(200, 0, 100), (500, 100, 100), (300, 200, 100), (400, 300, 100)]
    assert given_stamps == [tuple(line.place(*s)) for s in given_stamps]
    assert [0.0, 0.3, 0.1, 0.2] == [line.t(s[0]) for s in given_stamps]
    assert line.seconds == pytest.approx(0.4)


def test_missing_stamps_are_counted_on() -> None:
    """Without any stamps each packet follows the last by its duration, or by the announced rate."""
    line = timeline()
    assert [(0, 0, 100), (100, 100, 40), (140, 140, 100)] == [
        tuple(line.place(None, None, d)) for d in (None, 40, 0)
    ]


def test_missing_dts_stays_behind_pts() -> None:
    """Matroska gives none to the first packets when there are B-frames."""
    line = timeline(reordered=True)
    assert [(0, -200, 100), (300, -100, 100), (100, 0, 100)] == [
        tuple(line.place(pts, dts, 100)) for pts, dts in ((0, None), (300, None), (100, 0))
    ]


def test_missing_pts_is_dts() -> None:
    """Without reordering they are the same."""
    line = timeline()
    line.place(0, 0, 100)
    assert (100, 100, 100) == line.place(None, 100, 100)


def test_a_small_step_back_is_a_wrong_stamp() -> None:
    """It is moved by a tick, and the right ones after it stay as they are."""
    line = timeline()
    stamps = [line.place(s, s, 100).dts for s in (0, 100, 90, 200)]
    assert [0, 100, 101, 200] == stamps


def test_a_large_step_back_is_a_new_clock() -> None:
    """Time goes on from where it was, with the new clock's distances."""
    line = timeline()
    assert [5000, 5100, 5200, 5300] == [line.place(s, s, 100).dts for s in (5000, 5100, 0, 100)]


def test_a_file_that_begins_again_goes_on() -> None:
    """After `rejoin` the first picture follows the last without a gap, also a file shorter than a second."""
    line = timeline(origin=50.0)
    for s in (200, 300):
        line.place(s, s, 100)
    line.rejoin()
    assert [400, 500] == [line.place(s, s, 100).pts for s in (200, 300)]
    assert [50.2, 50.3] == pytest.approx([line.t(400), line.t(500)])


def test_live_time_begins_with_the_first_arrival() -> None:
    """Whatever the camera's own stamps are."""
    line = timeline()
    assert [70.0, 70.1, 70.2] == pytest.approx([live(line, 9000 + n * 100, 70 + n * 0.1) for n in range(3)])


def test_jitter_does_not_move_live_time() -> None:
    """A packet that is held up on its way keeps the time of its picture."""
    line = timeline()
    live(line, 0, 10.0)
    assert live(line, 100, 10.9) == pytest.approx(10.1)
    assert live(line, 200, 12.9) == pytest.approx(10.2)  # late, but not for long


def test_stamps_that_run_ahead_are_laid_anew() -> None:
    """A burst after the connection must not put pictures into the future; time never falls meanwhile."""
    line = timeline()
    times = [live(line, n * 100, 10.0 + n * 0.01) for n in range(40)]
    assert sorted(times) == times
    assert times[-1] < 10.4 + 1.3
    later = [live(line, 4000 + n * 100, 10.4 + n * 0.1) for n in range(40)]
    assert sorted(later) == later
    assert later[-1] == pytest.approx(10.4 + 3.9, abs=1.01)


def test_lasting_lateness_is_laid_anew() -> None:
    """A camera whose clock runs slow is followed after a while."""
    line = timeline()
    live(line, 0, 10.0)
    times = [live(line, 100 + n * 100, 12.0 + n * 0.1) for n in range(60)]
    assert times[0] == pytest.approx(10.1)
    assert times[-1] == pytest.approx(12.0 + 5.9, abs=0.01)


def test_a_live_clock_set_forward_is_no_gap() -> None:
    """Stamps that jump an hour while a tenth of a second passes were set anew."""
    line = timeline()
    live(line, 0, 10.0)
    assert live(line, 3_600_000, 10.1) == pytest.approx(10.1)
    assert live(line, 3_600_100, 10.2) == pytest.approx(10.2)


def test_a_pause_of_both_is_a_gap() -> None:
    """A camera that was silent for a minute comes back a minute later."""
    line = timeline()
    live(line, 0, 10.0)
    assert live(line, 60_000, 70.0) == pytest.approx(70.0)


def test_the_floor_of_an_earlier_connection_holds() -> None:
    """After a reconnection time goes on from where it was, even if the clock's mapping lies behind."""
    line = timeline(floor=99.5)
    assert live(line, 0, 99.0) == 99.5
    assert live(line, 1000, 100.0) == 100.0


stamp = st.none() | st.integers(-10_000, 100_000)


@given(
    st.lists(st.tuples(stamp, stamp, st.none() | st.integers(-5, 500), st.floats(0, 5)), min_size=1),
    st.booleans(),
)
def test_invariants(
    packets: list[tuple[int | None, int | None, int | None, float]],
    arriving: bool,
) -> None:
    """Whatever stamps come: dts rises, pts is not before it, durations are positive."""
    line, now, last, newest = timeline(), 100.0, None, float("-inf")
    for pts, dts, duration, step in packets:
        now += step
        stamps = line.place(pts, dts, duration, now if arriving else None)
        assert last is None or stamps.dts > last
        assert stamps.pts >= stamps.dts
        assert stamps.duration >= 1
        assert line.newest >= newest
        last, newest = stamps.dts, line.newest
