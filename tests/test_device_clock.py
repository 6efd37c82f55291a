"""Time, and how far it may be trusted."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from agent.device import clock
from agent.device.clock import BOOT_ID, NEVER_SET_BEFORE, Stamp, SystemClock, VideoClock

if TYPE_CHECKING:
    from collections.abc import Callable

A_DAY = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set what the clock module, and nobody else, reads from the wall and from CLOCK_BOOTTIME (100 s)."""

    def to(seconds: float) -> None:
        fake = SimpleNamespace(
            time=lambda: seconds, clock_gettime=lambda _: 100.0, CLOCK_BOOTTIME=time.CLOCK_BOOTTIME
        )
        monkeypatch.setattr(clock, "time", fake)

    return to


def test_boot_is_the_kernels() -> None:
    """The boot id is eight hex digits of the kernel's own, the same for every clock of this boot."""
    assert BOOT_ID.read_text()[:8] == SystemClock().boot
    assert 8 == len(bytes.fromhex(SystemClock().boot)) * 2


def test_mono_is_the_time_since_boot() -> None:
    """It is the time line of /proc/uptime, on which frames carry their `t`, and it does not go back."""
    system = SystemClock()
    readings = [system.mono() for _ in range(100)]
    assert sorted(readings) == readings
    assert float(Path("/proc/uptime").read_text().split()[0]) == pytest.approx(readings[-1], abs=1)


def test_now_on_this_machine() -> None:
    """Without a moment given the stamp is of now, in UTC with milliseconds, from a state that is known."""
    system = SystemClock()
    stamp = system.stamp()
    assert system.boot == stamp.boot
    assert system.mono() == pytest.approx(stamp.mono, abs=1)
    assert stamp.clk in {"saved", "rtc", "ntp"}
    assert stamp.ts is not None
    assert 24 == len(stamp.ts)
    assert stamp.ts.endswith("Z")
    assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(stamp.ts) < timedelta(seconds=5)


def test_a_past_moment_is_dated_back(wall: Callable[[float], None]) -> None:
    """A frame of 40 s ago gets the wall time of 40 s ago, whenever it is written down."""
    wall(A_DAY.timestamp())
    system = SystemClock()
    assert ("2026-11-22T12:00:00.250Z", 100.0) == (system.stamp().ts, system.stamp().mono)
    assert ("2026-11-22T11:59:20.250Z", 60.0) == (system.stamp(60).ts, system.stamp(60).mono)


def test_unix_ms(wall: Callable[[float], None]) -> None:
    """Identities are minted from the wall clock, from the time since boot while that was never set."""
    wall(A_DAY.timestamp())
    assert round(A_DAY.timestamp() * 1000) == SystemClock().unix_ms()
    wall(NEVER_SET_BEFORE - 1)
    assert 100_000 == SystemClock().unix_ms()


@pytest.mark.parametrize("seconds", [0.0, 86400.0, NEVER_SET_BEFORE - 0.001])
def test_a_clock_that_was_never_set_labels_nothing(wall: Callable[[float], None], seconds: float) -> None:
    """A kit that starts in 1970, or at its image's date, gives order but no date."""
    wall(seconds)
    stamp = SystemClock().stamp(42.12345)
    assert Stamp(SystemClock().boot, 42.123, None, "none") == stamp


@pytest.mark.parametrize(
    ("disciplined", "chip", "expected"),
    [
        (True, None, "ntp"),
        (True, "1\n", "ntp"),
        (False, "1\n", "rtc"),
        (False, "0\n", "saved"),
        (False, None, "saved"),
    ],
)
def test_where_the_time_comes_from(
    wall: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    disciplined: bool,
    chip: str | None,
    expected: str,
) -> None:
    """A time daemon counts above the clock chip, the chip above what was saved at the last stop."""
    wall(A_DAY.timestamp())
    hctosys = tmp_path / "hctosys"
    if chip is not None:
        hctosys.write_text(chip)
    monkeypatch.setattr(clock, "RTC", hctosys)
    monkeypatch.setattr(clock, "_disciplined", lambda _wall: disciplined)
    assert expected == SystemClock().stamp().clk


def test_the_kernel_is_asked() -> None:
    """The verdict is adjtimex(2)'s own: the same bits read at their offsets of linux/timex.h."""
    buffer = ctypes.create_string_buffer(512)
    state = ctypes.CDLL(None).adjtimex(buffer)
    status = int.from_bytes(buffer.raw[40:44], "little")
    assert (state != 5 and not status & 0x40) == clock._disciplined(time.time())


def test_asking_leaves_nothing_to_the_garbage_collector() -> None:
    """The clock is asked twice a second: what a question leaves in a cycle adds up until it is looked for.

    In a process of its own: in this one other tests' threads leave things, too.
    """
    program = """
        import gc
        from agent.device.clock import SystemClock

        ask = SystemClock().stamp
        ask()
        gc.collect()
        gc.disable()
        for _ in range(10):
            ask()
        print(gc.collect())
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert "0\n" == ran.stdout


def refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Make adjtimex(2) fail with this errno, as a kernel or a sandbox does."""

    def adjtimex(_buffer: object) -> int:
        ctypes.set_errno(number)
        return -1

    monkeypatch.setattr(clock, "_LIBC", SimpleNamespace(adjtimex=adjtimex))


def test_a_kernel_that_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused adjtimex is raised, not taken for a clock that is not disciplined."""
    refuse(monkeypatch, errno.EFAULT)
    with pytest.raises(OSError, match=f"Errno {errno.EFAULT}"):
        clock._disciplined(time.time())


@pytest.mark.parametrize(("age_s", "expected"), [(0, True), (31_000, True), (33_000, False), (None, False)])
def test_in_a_sandbox_timesyncd_is_believed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, age_s: float | None, expected: bool
) -> None:
    """Where the question itself is forbidden (ProtectClock), its mark counts, as long as a kernel's would."""
    refuse(monkeypatch, errno.EPERM)
    mark = tmp_path / "synchronized"
    monkeypatch.setattr(clock, "SYNCHRONIZED", mark)
    if age_s is not None:
        mark.touch()
        os.utime(mark, (A_DAY.timestamp() - age_s,) * 2)
    assert expected == clock._disciplined(A_DAY.timestamp())


def test_video_time() -> None:
    """A replay's clock is the frame's time and has no date: two replays give the same stamps."""
    video = VideoClock()
    assert Stamp("00000000", 0.0, None, "none") == video.stamp()
    video.t = 12.3456
    assert (12.3456, 12346) == (video.mono(), video.unix_ms())
    assert Stamp("00000000", 12.346, None, "none") == video.stamp()
    assert Stamp("00000000", 5.0, None, "none") == video.stamp(5.0)
