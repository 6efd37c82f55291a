"""A control group of its own for one program: the memory that a unit of ours grants, enforced by the kernel.

By hand, as systemd would do it: the bench runs where there is no systemd, and takes whichever of the two
kinds of control groups the machine has for memory. Needs root's rights.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import StairwellError

if TYPE_CHECKING:
    from collections.abc import Iterator

AGENT = "stairwell-agent.service"
GROUPS = Path("/sys/fs/cgroup")
UNITS = Path(__file__).parents[2] / "systemd"
MIB = 1 << 20
KERNEL_V1 = "memory.kmem.usage_in_bytes"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a unit grants: its memory in bytes, and the environment that it sets."""

    high: int
    most: int
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Group:
    """A control group for memory; `kind` is its version, 1 or 2. Version 1 knows no MemoryHigh."""

    path: Path
    kind: int

    def join(self) -> None:
        """Put the calling process into it (before it becomes another program)."""
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    @property
    def peak(self) -> int:
        """The most memory that it ever took, page cache included, in bytes."""
        name = {1: "memory.max_usage_in_bytes", 2: "memory.peak"}[self.kind]
        return int((self.path / name).read_text())

    @property
    def beside(self) -> int:
        """What it has beside its processes' own pages: pages of files in use, and the kernel's, in bytes."""
        stat = (self.path / "memory.stat").read_text()
        names = {1: ("total_active_file",), 2: ("active_file", "kernel")}[self.kind]
        found = sum(int(size) for name in names for size in re.findall(rf"(?m)^{name} (\d+)$", stat))
        return found + (int((self.path / KERNEL_V1).read_text()) if self.kind == 1 else 0)

    @property
    def kills(self) -> int:
        """How often the kernel killed in it for want of memory."""
        name = {1: "memory.oom_control", 2: "memory.events"}[self.kind]
        found = re.search(r"(?m)^oom_kill (\d+)$", (self.path / name).read_text())
        return int(found[1]) if found else 0


def granted(unit: str) -> Grant:
    """What `unit` of systemd/ says."""
    text = (UNITS / unit).read_text(encoding="utf-8")
    megabytes = {name: int(value) for name, value in re.findall(r"(?m)^(Memory\w+)=(\d+)M$", text)}
    words = " ".join(re.findall(r"(?m)^Environment=(.*)$", text)).split()
    environment = dict(word.split("=", 1) for word in words)
    return Grant(megabytes["MemoryHigh"] * MIB, megabytes["MemoryMax"] * MIB, environment)


@contextlib.contextmanager
def group(name: str, grant: Grant) -> Iterator[Group]:
    """A group with these limits, gone afterwards; whoever was in it must have ended.

    Raises:
        StairwellError: the rights are missing, or this machine limits no group's memory.
    """
    if os.geteuid() != 0:
        raise StairwellError("a control group needs root's rights", fix="run it as root")
    made = _make(f"{name}-{os.getpid()}", grant)
    try:
        yield made
    finally:
        made.path.rmdir()


def _make(name: str, grant: Grant) -> Group:
    if (GROUPS / "memory" / "memory.limit_in_bytes").exists():
        path = GROUPS / "memory" / name
        path.mkdir()
        (path / "memory.limit_in_bytes").write_text(str(grant.most))
        return Group(path, 1)
    control = GROUPS / "cgroup.subtree_control"
    if not control.exists() or "memory" not in control.read_text().split():
        raise StairwellError(
            f"{GROUPS}: no control group's memory can be limited",
            fix=f"boot with cgroup_enable=memory, and as root: echo +memory >{control}",
        )
    path = GROUPS / name
    path.mkdir()
    for key, value in (("high", grant.high), ("max", grant.most), ("swap.max", 0)):
        (path / f"memory.{key}").write_text(str(value))
    return Group(path, 2)
