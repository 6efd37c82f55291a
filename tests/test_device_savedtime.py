"""The time over a power cut."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from agent.device import clock as clock_module
from agent.device.clock import Stamp, SystemClock
from agent.device.savedtime import KEEP_S, NAME, SavedTime, recall

if TYPE_CHECKING:
    from pathlib import Path

    from agent.types import ClockState

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC).timestamp()


def at(mono: float, clk: ClockState = "ntp", ts: str | None = "2026-11-22T12:00:00.000Z") -> Stamp:
    return Stamp("aaaaaaaa", mono, ts, clk)


class Machine:
    """What the clock module, and nobody else, sees of this machine's time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, wall: float) -> None:
        self.wall, self.disciplined = wall, False
        fake = SimpleNamespace(
            time=lambda: self.wall, clock_gettime=lambda _: 100.0, CLOCK_BOOTTIME=time.CLOCK_BOOTTIME
        )
        monkeypatch.setattr(clock_module, "time", fake)
        monkeypatch.setattr(clock_module, "_disciplined", lambda _: self.disciplined)


def kept(directory: Path, seconds: float) -> None:
    (directory / NAME).touch()
    os.utime(directory / NAME, (seconds, seconds))


def test_what_ntp_says_is_kept_each_hour(tmp_path: Path) -> None:
    """Over any number of looks one write; a stop writes at once."""
    saved = SavedTime(tmp_path)
    assert saved.read() is None
    saved.keep(at(10.0))
    saved.keep(at(10.0 + KEEP_S - 1, ts="2026-11-22T13:00:00.000Z"))
    assert NOW == saved.read()
    saved.keep(at(10.0 + KEEP_S, ts="2026-11-22T13:00:01.000Z"))
    assert NOW + 3601 == saved.read()
    saved.keep(at(10.0 + KEEP_S, ts="2026-11-22T12:59:00.000Z"), at_once=True)  # also backwards
    assert NOW + 3540 == saved.read()
    assert 0 == (tmp_path / NAME).stat().st_size


@pytest.mark.parametrize("clk", ["none", "saved", "rtc"])
def test_what_nobody_vouches_for_is_not_kept(tmp_path: Path, clk: ClockState) -> None:
    """A wrong time would outlive the next boot."""
    SavedTime(tmp_path).keep(
        at(10.0, clk, None if clk == "none" else "2046-01-01T00:00:00.000Z"), at_once=True
    )

    assert not list(tmp_path.iterdir())


def test_a_card_that_refuses_ends_nothing(tmp_path: Path) -> None:
    """It has alarms of its own."""
    SavedTime(tmp_path / "not there").keep(at(10.0), at_once=True)

    assert SavedTime(tmp_path / "not there").read() is None


@pytest.mark.parametrize("behind", [20 * 365 * 86_400.0, 3600.0])
def test_a_clock_behind_labels_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: float
) -> None:
    """It is known to be wrong, by twenty years or by an hour; once NTP has set it, it is believed."""
    kept(tmp_path, NOW)
    machine = Machine(monkeypatch, NOW - behind)
    clock = SystemClock()
    recall(tmp_path, clock)
    before = clock.stamp()
    machine.wall, machine.disciplined = NOW - 60, True  # the file was wrong: NTP knows better
    during = clock.stamp()
    machine.disciplined = False
    machine.wall += 1

    assert (None, "none") == (before.ts, before.clk)
    assert ("ntp", "saved") == (during.clk, clock.stamp().clk)


def test_a_clock_ahead_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time went on while the power was off; how long, a battery or NTP knows."""
    kept(tmp_path, NOW)
    machine = Machine(monkeypatch, NOW + 7200)
    clock = SystemClock()
    recall(tmp_path, clock)

    assert (NOW + 7200, "saved") == (machine.wall, clock.stamp().clk)


def test_the_first_start_has_nothing_to_recall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And an unset clock stays unset."""
    machine = Machine(monkeypatch, 1000.0)
    clock = SystemClock()
    recall(tmp_path, clock)

    assert (1000.0, "none", None) == (machine.wall, clock.stamp().clk, clock.stamp().ts)
