"""Probes of this machine. A figure is measured when it is asked for; one that cannot be had is None."""

from __future__ import annotations

import os
import re
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

MODEL = Path("/proc/device-tree/model")
DMI_MODEL = Path("/sys/class/dmi/id/product_name")
THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
STAT = Path("/proc/self/stat")
STATM = Path("/proc/self/statm")
IO = Path("/proc/self/io")


class CpuMeter:
    """This process's share of one core since the last question."""

    def __init__(self, mono: float) -> None:
        self._mono = mono
        self._spent = _cpu_s()

    def percent(self, mono: float) -> float | None:
        """Percent of one core between the last call and `mono` (s); None when no time has passed."""
        spent = _cpu_s()
        elapsed, used = mono - self._mono, spent - self._spent
        self._mono, self._spent = mono, spent
        return round(100 * used / elapsed, 1) if elapsed > 0 else None


def _cpu_s() -> float:
    # Fields 14 and 15 (utime, stime) of proc(5); the name before them may hold spaces and brackets.
    fields = STAT.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_mb() -> float:
    """Memory of this process in RAM, MB."""
    return round(int(STATM.read_text(encoding="ascii").split()[1]) * PAGE_BYTES / 1e6, 1)


def free_bytes(path: Path) -> int | None:
    """What an unprivileged process may still write at `path`; None when its file system does not answer."""
    try:
        state = os.statvfs(path)
    except OSError:
        return None
    return state.f_bavail * state.f_frsize


def written_bytes() -> int | None:
    """What this process has caused to be written to disks since it began; None where the kernel won't say.

    The kernel counts a page when it is dirtied (proc(5), write_bytes): what is rewritten before it reaches
    the disk counts once too often, what the file system and the card add of their own is not in it.
    """
    found = re.search(r"^write_bytes: (\d+)$", _read(IO) or "", re.MULTILINE)
    return int(found[1]) if found else None


def read_only(path: Path) -> bool:
    """Whether the file system of `path` takes no writes at all."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def temperature_c() -> float | None:
    """The processor's temperature."""
    text = _read(THERMAL)
    return round(int(text) / 1000, 1) if text and text.lstrip("-").isdigit() else None


def model() -> str:
    """What this machine is called by its maker."""
    return (_read(MODEL) or _read(DMI_MODEL) or os.uname().machine).strip("\0\n ")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
