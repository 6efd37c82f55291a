"""The time over a power cut."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from agent.device import clock as clock_module
from agent.device.clock import Stamp, SystemClock
from agent.device.savedtime import KEEP_S, NAME, SavedTime, restore

if TYPE_CHECKING:
    from pathlib import Path

    from agent.types import ClockState

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC).timestamp()


def at(mono: float, clk: ClockState = "ntp", ts: str | None = "2026-11-22T12:00:00.000Z") -> Stamp:
    return Stamp("aaaaaaaa", mono, ts, clk)


class Machine:
    """What the clock module, and nobody else, sees of this machine's time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, wall: float, *, allowed: bool = True) -> None:
        self.wall, self.allowed, self.disciplined = wall, allowed, False
        fake = SimpleNamespace(
            time=lambda: self.wall,
            clock_gettime=lambda _: 100.0,
            clock_settime=self._set,
            CLOCK_BOOTTIME=time.CLOCK_BOOTTIME,
            CLOCK_REALTIME=time.CLOCK_REALTIME,
        )
        monkeypatch.setattr(clock_module, "time", fake)
        monkeypatch.setattr(clock_module, "_disciplined", lambda _: self.disciplined)

    def _set(self, which: int, wall: float) -> None:
        if not self.allowed:
            raise PermissionError(1, "Operation not permitted")
        assert time.CLOCK_REALTIME == which
        self.wall = wall


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


def test_a_clock_behind_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kit without a battery wakes in 1970, or where its file system was last mounted."""
    kept(tmp_path, NOW)
    machine = Machine(monkeypatch, 0.0)
    clock = SystemClock()
    restore(tmp_path, clock)

    assert NOW == machine.wall
    assert ("saved", "2026-11-22T12:00:00.000Z") == (clock.stamp().clk, clock.stamp().ts)


@pytest.mark.parametrize("behind", [20 * 365 * 86_400.0, 3600.0])
def test_a_clock_behind_that_may_not_be_set_labels_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: float
) -> None:
    """It is known to be wrong, by twenty years or by an hour; once NTP has set it, it is believed."""
    kept(tmp_path, NOW)
    machine = Machine(monkeypatch, NOW - behind, allowed=False)
    clock = SystemClock()
    restore(tmp_path, clock)
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
    restore(tmp_path, clock)

    assert (NOW + 7200, "saved") == (machine.wall, clock.stamp().clk)


def test_the_first_start_has_nothing_to_restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And an unset clock stays unset."""
    machine = Machine(monkeypatch, 1000.0)
    clock = SystemClock()
    restore(tmp_path, clock)

    assert (1000.0, "none", None) == (machine.wall, clock.stamp().clk, clock.stamp().ts)


PROGRAM = """
import os, sys
from pathlib import Path
from agent.device.clock import SystemClock
from agent.device.savedtime import restore
clock = SystemClock()
restore(Path(sys.argv[1]), clock)
print(clock.stamp().clk, clock.stamp().ts)
"""


def test_the_kernel_refuses_and_the_agent_goes_on(tmp_path: Path) -> None:
    """Without the right to set the time, as under our unit, by a real clock_settime(2)."""
    kept(tmp_path, time.time() + 86_400)
    drop = ["setpriv", "--bounding-set=-sys_time", "--inh-caps=-sys_time"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*drop, sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert "none None\n" == done.stdout
    assert "cannot be set (Operation not permitted)" in done.stderr
