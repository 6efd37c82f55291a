"""Stamps of a sensor on the agent's line."""

from __future__ import annotations

import time

import pytest

from agent.capture.sensorclock import SensorClock
from agent.device.clock import SystemClock, slept_s

S = 1_000_000_000


def test_a_machine_that_never_slept() -> None:
    """Both clocks are one: the stamp is the time."""
    clock = SensorClock(lambda: 0.0)
    assert [99.9, 100.0] == [
        clock.place(stamp, now) for stamp, now in ((99_900_000_000, 99.95), (100 * S, 100.1))
    ]
    assert 0 == clock.unstamped


@pytest.mark.parametrize("slept", [0.5, 3.0, 5000.0])
@pytest.mark.parametrize("monotonic", [True, False])
def test_a_machine_that_slept(slept: float, monotonic: bool) -> None:
    """Whichever clock stamped, it is told by the picture's age."""
    clock = SensorClock(lambda: slept)
    now = 10_000.0
    taken = now - 0.08
    stamp = taken - slept if monotonic else taken
    assert taken == pytest.approx(clock.place(round(stamp * S), now))


def test_a_sleep_while_it_films() -> None:
    """The offset is measured anew once the stamps no longer fit."""
    asleep = 0.0
    clock = SensorClock(lambda: asleep)
    assert 99.95 == clock.place(99_950_000_000, 100.0)
    asleep = 60.0
    assert 160.95 == pytest.approx(clock.place(100_950_000_000, 161.0))


@pytest.mark.parametrize("stamp", [None, 0, -1, "soon", 5 * S, 10**20])
def test_a_stamp_that_cannot_be(stamp: object) -> None:
    """Arrival stands for it, and it is counted."""
    clock = SensorClock(lambda: 0.0)
    assert 100.0 == clock.place(stamp, 100.0)
    assert 1 == clock.unstamped


def test_time_rises_strictly() -> None:
    """Whatever the sensor says: no two pictures of one time, none before the last."""
    clock = SensorClock(lambda: 0.0)
    times = [clock.place(stamp, 100.0) for stamp in (99 * S, 99 * S, 98 * S, None, None, 99 * S)]
    assert sorted(set(times)) == times


def test_this_machine() -> None:
    """A stamp of now is now, on the clock that the agent goes by."""
    now = SystemClock().mono()
    assert now == pytest.approx(SensorClock().place(time.monotonic_ns(), SystemClock().mono()), abs=0.5)
    assert slept_s() >= -0.001
