"""Memory and how hard processes have to wait for it, for the processor and for the disk."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path("/")
_LIBC = ctypes.CDLL(None)


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


def granted(root: Path = ROOT) -> float | None:
    """The share, 0..1, that is left of what this process's control group may have before it is slowed down.

    None where nothing bounds it, or the kernel has no groups of version 2. Pages of files that nobody uses
    (`inactive_file`) can be had: all that is recorded passes through them.
    """
    try:
        own = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
        group = root / "sys/fs/cgroup" / re.findall(r"^0::/(.*)$", own, re.MULTILINE)[0]
        bounds = [(group / f"memory.{name}").read_text(encoding="ascii").strip() for name in ("high", "max")]
        current = int((group / "memory.current").read_text(encoding="ascii"))
        unused = re.search(
            r"^inactive_file (\d+)$", (group / "memory.stat").read_text(encoding="ascii"), re.MULTILINE
        )
    except (OSError, IndexError):
        return None
    bound = min((int(text) for text in bounds if text != "max"), default=0)
    if not bound or unused is None:
        return None
    return min(1.0, max(0.0, 1 - (current - int(unused[1])) / bound))


def give_back() -> None:
    """Let the system have what was freed within the heaps: the C library gives back their ends alone.

    malloc_trim(3). It is some megabytes, most where the processor encodes the video.
    """
    _LIBC.malloc_trim(0)


def swap_devices(root: Path = ROOT) -> tuple[str, ...]:
    """What is swapped to (proc(5), /proc/swaps); memory that is swapped out to a card can be read from it."""
    try:
        lines = (root / "proc/swaps").read_text(encoding="ascii", errors="replace").splitlines()[1:]
    except OSError:
        return ()
    return tuple(line.split()[0] for line in lines if line.strip())
