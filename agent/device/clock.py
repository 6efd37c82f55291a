"""Time, and how far it may be trusted. The only module that reads the wall clock.

Durations and order come from CLOCK_BOOTTIME; the wall clock only labels. A kit without a clock battery
starts with a wrong time, so every label says where it comes from (`clk`) and is absent when it would lie.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agent.types import ClockState

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
RTC = Path("/sys/class/rtc/rtc0/hctosys")
SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd touches it each time that it has set or slewed the clock."""

NEVER_SET_BEFORE = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
"""No kit existed before this: an earlier wall clock was never set."""

STA_UNSYNC = 0x0040  # linux/timex.h: the kernel's clock is not disciplined
TIME_ERROR = 5  # linux/timex.h: return value of adjtimex when not synchronised
TRUSTED_S = (
    32_000.0  # as the kernel: at 500 ppm the clock may be off by 16 s (linux/timex.h, NTP_PHASE_LIMIT)
)
# Loaded once: each CDLL makes a type of its own, 4 KB in a cycle that waits for the garbage collector, and
# the clock is asked twice a second.
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment: order by (boot, mono), label by ts."""

    boot: str
    mono: float
    ts: str | None
    clk: ClockState


class Clock(Protocol):
    """What the agent asks of a clock."""

    @property
    def boot(self) -> str:
        """Eight hex digits that change with every boot."""
        ...

    def mono(self) -> float:
        """Seconds that never jump; in step with the frames' `t`."""
        ...

    def stamp(self, mono: float | None = None) -> Stamp:
        """The moment `mono` (of this boot; now when None)."""
        ...

    def unix_ms(self) -> int:
        """Milliseconds for a new identity: of the wall clock if it was ever set, else since the boot."""
        ...


class SystemClock:
    """The kit's own clock."""

    def __init__(self) -> None:
        self._boot = BOOT_ID.read_text(encoding="ascii").replace("-", "")[:8]
        self._floor = NEVER_SET_BEFORE

    @property
    def boot(self) -> str:
        """The first eight hex digits of the kernel's boot id."""
        return self._boot

    def mono(self) -> float:
        """CLOCK_BOOTTIME: counts through suspend, unlike CLOCK_MONOTONIC."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def stamp(self, mono: float | None = None) -> Stamp:
        """See Clock."""
        now = self.mono()
        mono = now if mono is None else mono
        wall = time.time()
        state = self._state(wall)
        ts = None if state == "none" else _rfc3339(wall - (now - mono))
        return Stamp(self._boot, round(mono, 3), ts, state)

    def unix_ms(self) -> int:
        """See Clock."""
        wall = time.time()
        return round(1000 * (wall if wall >= self._floor else self.mono()))

    def remember(self, wall: float) -> None:
        """It is later than `wall`, seconds since the epoch: a clock that says otherwise is not believed."""
        self._floor = max(NEVER_SET_BEFORE, wall)

    def _state(self, wall: float) -> ClockState:
        if wall >= NEVER_SET_BEFORE and _disciplined(wall):
            self.remember(wall)  # whatever was thought before
            return "ntp"
        if wall < self._floor:
            return "none"
        # hctosys is 1 on the clock chip that set the system time at boot.
        try:
            from_chip = RTC.read_text(encoding="ascii").strip() == "1"
        except OSError:
            from_chip = False
        return "rtc" if from_chip else "saved"


class VideoClock:
    """The clock of a replay: video time, no wall clock, the same on every run."""

    boot = "00000000"

    def __init__(self) -> None:
        self.t = 0.0

    def mono(self) -> float:
        """The time of the frame under way."""
        return self.t

    def stamp(self, mono: float | None = None) -> Stamp:
        """See Clock."""
        return Stamp(self.boot, round(self.t if mono is None else mono, 3), None, "none")

    def unix_ms(self) -> int:
        """See Clock."""
        return round(1000 * self.t)


def slept_s() -> float:
    """Seconds that this machine was suspended since its boot.

    By so much CLOCK_BOOTTIME, the agent's line, is ahead of CLOCK_MONOTONIC, which cameras stamp with.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


def error_s() -> float | None:
    """By how much the clock may be wrong at most, as its daemon reckons (adjtimex(2), maxerror).

    None when no daemon keeps it, or the question is forbidden.
    """
    told = _adjtimex()
    return None if told is None or not told.disciplined else told.max_error_us / 1e6


def chip_ahead_s(root: Path = Path("/")) -> float | None:
    """By how much the clock chip is ahead of the system's clock; None without a chip."""
    try:
        since = int((root / "sys/class/rtc/rtc0/since_epoch").read_text(encoding="ascii"))
    except (OSError, ValueError):  # one with a flat battery says nothing
        return None
    return since - time.time()


def labelled(wall: float) -> str | None:
    """Seconds since the epoch as RFC 3339 in UTC; None when no clock that was set can have told them."""
    return _rfc3339(wall) if wall >= NEVER_SET_BEFORE else None


def _rfc3339(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _disciplined(wall: float) -> bool:
    """Whether a time daemon keeps the clock: by the kernel's word (adjtimex(2), read only).

    Where a sandbox forbids the question (systemd's ProtectClock), by that of systemd-timesyncd; a clock that
    another daemon keeps is then not called disciplined.
    """
    told = _adjtimex()
    return _kept_by_timesyncd(wall) if told is None else told.disciplined


@dataclass(frozen=True, slots=True)
class _Timex:
    """What the kernel knows of its clock."""

    disciplined: bool
    max_error_us: int


class _StructTimex(ctypes.Structure):
    """How struct timex begins (linux/timex.h); in all it has at most 256 bytes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 208),
    )


def _adjtimex() -> _Timex | None:
    """The kernel's word; None where a sandbox forbids the question."""
    buffer = _StructTimex()
    state = _LIBC.adjtimex(ctypes.byref(buffer))
    if state < 0:
        if ctypes.get_errno() == errno.EPERM:
            return None
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return _Timex(state != TIME_ERROR and not buffer.status & STA_UNSYNC, buffer.maxerror)


def _kept_by_timesyncd(wall: float) -> bool:
    try:
        return abs(wall - SYNCHRONIZED.stat().st_mtime) < TRUSTED_S
    except OSError:
        return False
