"""The packaged script that makes swap in compressed memory; stand-ins for what needs the kernel's zram."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "deb" / "zram"
ZRAMCTL = """#!/bin/sh
echo "zramctl $*" >>"$CALLED"
tries=$(grep -c "^zramctl $1" "$CALLED")
if [ "$tries" -le "$BUSY" ]; then
  echo "zramctl: /dev/zram0: failed to reset: Device or resource busy" >&2
  exit 1
fi
[ "$1" != --find ] || echo /dev/zram0
"""
OTHER = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLED"
"""


class Machine:
    """Programs that write down how they were called; zramctl is refused so many times of each kind."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.called = directory / "called"
        self.noted = directory / "noted"
        (directory / "meminfo").write_text("MemTotal:         437116 kB\nMemFree: 1 kB\n")
        programs = {"zramctl": ZRAMCTL, **dict.fromkeys(("modprobe", "mkswap", "swapon", "swapoff"), OTHER)}
        for name, text in {**programs, "sleep": "#!/bin/sh\n"}.items():
            path = directory / name
            path.write_text(text)
            path.chmod(0o755)

    def run(self, word: str, busy: int = 0) -> subprocess.CompletedProcess[str]:
        """The script."""
        self.called.write_text("")
        environment = {
            "PATH": f"{self.directory}:{os.environ['PATH']}",
            "MEMINFO": str(self.directory / "meminfo"),
            "NOTED": str(self.noted),
            "CALLED": str(self.called),
            "BUSY": str(busy),
        }
        return subprocess.run([SCRIPT, word], env=environment, capture_output=True, text=True, check=False)

    @property
    def calls(self) -> list[str]:
        """What was called, without what loads the module where this machine has none."""
        return [line for line in self.called.read_text().splitlines() if not line.startswith("modprobe")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("busy", [0, 3])
def test_half_of_the_memory(machine: Machine, busy: int) -> None:
    """Also while udev looks at the new device: without swap the kit would go on until its next boot."""
    done = machine.run("start", busy)
    find = "zramctl --find --algorithm zstd --size 218558K"
    assert [find] * (busy + 1) + ["mkswap /dev/zram0", "swapon --priority 100 /dev/zram0"] == machine.calls
    assert (0, "") == (done.returncode, done.stderr)
    assert "/dev/zram0\n" == machine.noted.read_text()


@pytest.mark.parametrize("busy", [0, 3])
def test_the_end(machine: Machine, busy: int) -> None:
    """Switched off and given back."""
    machine.noted.write_text("/dev/zram0\n")
    assert 0 == machine.run("stop", busy).returncode
    assert ["swapoff /dev/zram0", *["zramctl --reset /dev/zram0"] * (busy + 1)] == machine.calls
    assert not machine.noted.exists()


def test_a_device_that_stays_busy(machine: Machine) -> None:
    """It is said, and nothing is made on it."""
    done = machine.run("start", 99)
    assert (1, "zramctl: /dev/zram0: failed to reset: Device or resource busy\n") == (
        done.returncode,
        done.stderr,
    )
    assert {"zramctl"} == {call.split()[0] for call in machine.calls}


def test_another_word(machine: Machine) -> None:
    """It is refused."""
    assert (2, "zram: start or stop\n") == ((done := machine.run("list")).returncode, done.stderr)
