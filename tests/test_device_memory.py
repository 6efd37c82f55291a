"""Memory and pressure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.device import memory
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


def test_swap(tmp_path: Path) -> None:
    """Each device by its name."""
    assert memory.swap_devices(tmp_path) == ()
    put(
        tmp_path,
        "proc/swaps",
        "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition\t218556\t0\t100\n/var/swap file 1 0 -2\n",
    )
    assert memory.swap_devices(tmp_path) == ("/dev/zram0", "/var/swap")
