"""Memory and how hard processes have to wait for it, for the processor and for the disk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Memory:
    """The machine's memory in bytes. `available` can be had without swapping (proc(5), MemAvailable)."""

    total: int
    available: int
    swap: int
    """Of swap that is in use."""

    @property
    def share(self) -> float:
        """The available part, 0..1."""
        return self.available / self.total


def memory(root: Path = ROOT) -> Memory | None:
    """The memory now; None where the kernel does not tell."""
    try:
        text = (root / "proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    kib = {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)}
    if not {"MemTotal", "MemAvailable"} <= kib.keys():
        return None
    swap = kib.get("SwapTotal", 0) - kib.get("SwapFree", 0)
    return Memory(1024 * kib["MemTotal"], 1024 * kib["MemAvailable"], 1024 * swap)


def pressure(of: Literal["cpu", "memory", "io"], root: Path = ROOT) -> float | None:
    """The share of the last minute, 0..1, in which something waited for it (PSI, `some avg60`).

    None where the kernel was built or started without PSI: Raspberry Pi OS's wants `psi=1` at its start.
    """
    try:
        text = (root / "proc/pressure" / of).read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"^some .*\bavg60=([0-9.]+)", text, re.MULTILINE)
    return float(found[1]) / 100 if found else None


def swap_devices(root: Path = ROOT) -> tuple[str, ...]:
    """What is swapped to (proc(5), /proc/swaps); memory that is swapped out to a card can be read from it."""
    try:
        lines = (root / "proc/swaps").read_text(encoding="ascii", errors="replace").splitlines()[1:]
    except OSError:
        return ()
    return tuple(line.split()[0] for line in lines if line.strip())
