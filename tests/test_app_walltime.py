"""A wall clock that is set while the agent runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands

from agent.app.walltime import WallTime
from agent.device.clock import Stamp
from agent.device.savedtime import KEEP_S, SavedTime

if TYPE_CHECKING:
    from pathlib import Path

    from agent.types import ClockState


def test_a_clock_that_is_set_is_noticed_once(tmp_path: Path) -> None:
    """From unknown to known; a clock that goes on as it went is no news."""
    clock = Hands(1000.0)
    wall = WallTime(clock, tmp_path)
    assert not wall.changed()

    clock.ts = "2026-11-22T10:00:00.000Z"
    assert wall.changed()

    clock.t, clock.ts = 1060.0, "2026-11-22T10:01:00.900Z"
    assert not wall.changed()


def test_a_step_is_noticed_either_way(tmp_path: Path) -> None:
    """More than two seconds against the monotonic clock, forward or back."""
    clock = Hands(1000.0, ts="2026-11-22T10:00:00.000Z")
    wall = WallTime(clock, tmp_path)
    clock.ts = "2026-11-22T10:00:02.500Z"
    assert wall.changed()
    clock.ts = "2026-11-22T10:00:00.000Z"
    assert wall.changed()
    assert not wall.changed()


@pytest.mark.parametrize(
    ("before", "now", "news"),
    [("none", "saved", True), ("saved", "ntp", True), ("rtc", "ntp", False), ("ntp", "none", False)],
)
def test_what_is_known_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: ClockState, now: ClockState, *, news: bool
) -> None:
    """A time where there was none, and one that can be relied on where it could not, is told."""
    clock, state = Hands(1000.0, ts="2026-11-22T10:00:00.000Z"), [before]

    def stamp(mono: float | None = None) -> Stamp:
        return Stamp("aaaaaaaa", mono or 1000.0, None if state[0] == "none" else clock.ts, state[0])

    monkeypatch.setattr(clock, "stamp", stamp)
    wall = WallTime(clock, tmp_path)
    state[0] = now

    assert news == wall.changed()


def test_the_time_is_kept_each_hour_and_at_the_end(tmp_path: Path) -> None:
    """As the kit's next start will find it."""
    clock, saved = Hands(1000.0, ts="2026-11-22T10:00:00.000Z"), SavedTime(tmp_path)
    wall = WallTime(clock, tmp_path)
    kept = []
    for mono, ts in ((1000.0, "10:00:00"), (1010.0, "10:00:10"), (1000.0 + KEEP_S, "11:00:00")):
        clock.t, clock.ts = mono, f"2026-11-22T{ts}.000Z"
        wall.changed()
        kept.append(saved.read())
    clock.t, clock.ts = clock.t + 5, "2026-11-22T11:00:05.000Z"
    wall.end()
    kept.append(saved.read())

    assert ["10:00:00", "10:00:00", "11:00:00", "11:00:05"] == [
        datetime.fromtimestamp(seconds or 0, UTC).time().isoformat() for seconds in kept
    ]
