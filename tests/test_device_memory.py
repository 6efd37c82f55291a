"""Memory and pressure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent.device import memory
from agent.device.health import resident_mb
from agent.device.memory import Memory

if TYPE_CHECKING:
    from pathlib import Path

MEMINFO = """\
MemTotal:         437116 kB
MemFree:           23876 kB
MemAvailable:     187840 kB
SwapTotal:        218556 kB
SwapFree:         210108 kB
"""
PSI = """\
some avg10=12.50 avg60=37.25 avg300=5.00 total=123456
full avg10=1.00 avg60=2.00 avg300=0.50 total=2345
"""


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_the_small_kit(tmp_path: Path) -> None:
    """Bytes, from the kernel's KiB."""
    put(tmp_path, "proc/meminfo", MEMINFO)
    found = memory.memory(tmp_path)
    assert Memory(437116 * 1024, 187840 * 1024, 8448 * 1024) == found
    assert round(found.share, 2) == 0.43


def test_this_machine_has_memory() -> None:
    """The real file is read as well."""
    found = memory.memory()
    assert found is not None
    assert 0 < found.available < found.total


def test_no_word_of_it(tmp_path: Path) -> None:
    """Nothing is made up."""
    assert memory.memory(tmp_path) is None
    put(tmp_path, "proc/meminfo", "MemTotal: 5 kB\n")
    assert memory.memory(tmp_path) is None


def test_pressure(tmp_path: Path) -> None:
    """The share of the last minute; none without PSI."""
    assert memory.pressure("cpu", tmp_path) is None
    put(tmp_path, "proc/pressure/cpu", PSI)
    assert memory.pressure("cpu", tmp_path) == 0.3725


def grant(root: Path, current: int, high: str, most: str, stat: str = "anon 1\ninactive_file 20\n") -> None:
    """A control group of version 2, as a kit's unit has it."""
    put(root, "proc/self/cgroup", "1:name=systemd:/other\n0::/system.slice/x.service\n")
    for name, text in {"current": str(current), "high": high, "max": most, "stat": stat}.items():
        put(root, f"sys/fs/cgroup/system.slice/x.service/memory.{name}", f"{text}\n")


@pytest.mark.parametrize(
    ("current", "high", "most", "expected"),
    [
        (90, "100", "200", 0.3),  # the lower bound counts; unused pages of files can be had
        (90, "max", "200", 0.65),
        (15, "100", "max", 1.0),  # current and stat are not of one moment
        (220, "100", "200", 0.0),  # above MemoryHigh it is slow, and lives
        (90, "max", "max", None),
        (90, "0", "max", None),
    ],
)
def test_what_the_unit_grants(
    current: int, high: str, most: str, expected: float | None, tmp_path: Path
) -> None:
    """The share that is left before the kernel holds the agent back."""
    assert memory.granted(tmp_path) is None
    grant(tmp_path, current, high, most)
    assert expected == pytest.approx(memory.granted(tmp_path))


@pytest.mark.parametrize("own", ["", "4:memory:/x\n", "0::/\n"])
def test_no_group_that_tells(own: str, tmp_path: Path) -> None:
    """Version 1, the root's own group, a kernel without any: unknown, not full."""
    put(tmp_path, "proc/self/cgroup", own)
    assert memory.granted(tmp_path) is None


def test_a_group_without_its_page_cache(tmp_path: Path) -> None:
    """Without the pages that can be had nothing is judged."""
    grant(tmp_path, 90, "100", "200", stat="anon 1")
    assert memory.granted(tmp_path) is None


def test_swap(tmp_path: Path) -> None:
    """Each device by its name."""
    assert memory.swap_devices(tmp_path) == ()
    put(
        tmp_path,
        "proc/swaps",
        "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition\t218556\t0\t100\n/var/swap file 1 0 -2\n",
    )
    assert memory.swap_devices(tmp_path) == ("/dev/zram0", "/var/swap")


def test_freed_memory_is_given_back() -> None:
    """Also from below a piece that stays: by itself the C library gives back the ends of its heaps alone."""
    pieces = [bytearray(os.urandom(1000)) for _ in range(50_000)]
    last = pieces[-1]
    full = resident_mb()
    pieces.clear()
    kept = resident_mb()
    memory.give_back()
    assert resident_mb() < min(kept, full - 30)
    assert 1000 == len(last)
