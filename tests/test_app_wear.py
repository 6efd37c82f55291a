"""How much the agent writes."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands
from kits import Kit

from agent.app.wear import DAYS_KEPT, NOTE_S, Wear, WearMeter, days
from agent.device import health

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY_S = 86_400.0


class Meter:
    """A meter whose counter and clock are moved by hand."""

    def __init__(self, state: Path) -> None:
        self.clock = Hands(mono=1000.0, ts="2026-05-01T10:00:00.000Z")
        self.kit = Kit(state, self.clock)
        self.count: int | None = 500
        self.meter = self.another()

    def another(self) -> WearMeter:
        """As after a start."""
        return WearMeter(self.kit.journal, self.clock, lambda: self.count)

    def after(self, seconds: float, count: int) -> None:
        """So much later, so much more was written."""
        self.clock.t += seconds
        assert self.count is not None
        self.count += count
        self.meter.look()

    def days(self) -> list[tuple[str, int]]:
        """What is written down."""
        return self.kit.journal.ask(lambda tx: days(tx, 100))


@pytest.fixture
def meter(tmp_path: Path) -> Iterator[Meter]:
    meter = Meter(tmp_path)
    yield meter
    meter.kit.end()


def test_days_are_written_down_once_an_hour(meter: Meter) -> None:
    """What the process wrote before it counted is not its own; a day goes on after a restart."""
    meter.after(60, 100)
    assert [] == meter.days()
    meter.after(NOTE_S, 200)
    assert [("2026-05-01", 300)] == meter.days()

    meter.meter = meter.another()
    meter.after(60, 50)
    meter.meter.end()
    assert [("2026-05-01", 350)] == meter.days()

    meter.clock.ts = "2026-05-02T10:00:00.000Z"
    meter.after(NOTE_S, 7)
    assert [("2026-05-02", 7), ("2026-05-01", 350)] == meter.days()


def test_a_stop_does_not_wait_for_the_card(meter: Meter) -> None:
    """It hangs, and the stop has other things to do; what was counted is written once it answers."""
    go, waited = threading.Event(), list[bool]()
    meter.kit.journal.submit(lambda _: waited.append(go.wait(30)))
    meter.after(60, 100)
    meter.meter.end()
    assert [] == waited
    go.set()
    assert [("2026-05-01", 100)] == meter.days()


def test_without_a_time_the_boot_names_the_day(meter: Meter) -> None:
    """A kit whose clock was never set counts all the same."""
    meter.clock.ts = None
    meter.after(NOTE_S, 10)
    meter.after(DAY_S, 20)
    assert [("boot aaaaaaaa day 1", 20), ("boot aaaaaaaa day 0", 10)] == meter.days()


def test_old_days_go(meter: Meter) -> None:
    """The table is bounded."""
    for day in range(DAYS_KEPT + 5):
        meter.clock.ts = None
        meter.after(DAY_S, 10 + day)
    assert DAYS_KEPT == len(meter.days())


def test_the_last_day_slides(meter: Meter) -> None:
    """Since the beginning at first, then the last 24 hours."""
    meter.after(30, 100)
    assert Wear(100, 30.0) == meter.meter.last_day
    for _ in range(30):
        meter.after(NOTE_S, 10)
    last = meter.meter.last_day
    assert last is not None
    assert (240, DAY_S) == (last.bytes, last.seconds)


def test_a_kernel_that_does_not_count(meter: Meter) -> None:
    """Then nothing is claimed."""
    meter.count = None
    silent = meter.another()
    silent.end()
    assert silent.last_day is None
    assert [] == meter.days()


def test_the_kernels_own_figure(tmp_path: Path) -> None:
    """What this process writes to a disk is counted."""
    before = health.written_bytes()
    if before is None:
        pytest.skip("this kernel keeps no count")

    def write() -> None:
        with (tmp_path / "file").open("wb") as file:
            file.write(bytes(1_000_000))
            file.flush()
            os.fsync(file.fileno())

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    after = health.written_bytes()
    assert after is not None
    if after == before:
        pytest.skip("the temporary directory is in memory")
    assert 900_000 <= after - before <= 3_000_000
