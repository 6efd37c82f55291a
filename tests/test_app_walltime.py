"""A wall clock that is set while the agent runs."""

from __future__ import annotations

from app_parts import Hands

from agent.app.walltime import WallTime


def test_a_clock_that_is_set_is_noticed_once() -> None:
    """From unknown to known; a clock that goes on as it went is no news."""
    clock = Hands(1000.0)
    wall = WallTime(clock)
    assert not wall.changed()

    clock.ts = "2026-11-22T10:00:00.000Z"
    assert wall.changed()

    clock.t, clock.ts = 1060.0, "2026-11-22T10:01:00.900Z"
    assert not wall.changed()


def test_a_step_is_noticed_either_way() -> None:
    """More than two seconds against the monotonic clock, forward or back."""
    clock = Hands(1000.0, ts="2026-11-22T10:00:00.000Z")
    wall = WallTime(clock)
    clock.ts = "2026-11-22T10:00:02.500Z"
    assert wall.changed()
    clock.ts = "2026-11-22T10:00:00.000Z"
    assert wall.changed()
    assert not wall.changed()
