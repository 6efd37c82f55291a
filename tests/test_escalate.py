"""What a restart does not cure, a reboot may: the packaged script that counts the agent's failures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.device.reboot import REQUEST_NAME

SCRIPT = Path(__file__).parent.parent / "scripts" / "deb" / "escalate"
HOUR = 3600


def after(directory: Path, up: float, result: str = "exit-code") -> bool:
    """Let the agent end so at this uptime; whether a reboot was asked for."""
    uptime = directory / "uptime"
    uptime.write_text(f"{up:.2f} 12345.00\n")
    environment = {"RUNTIME_DIRECTORY": str(directory), "SERVICE_RESULT": result, "UPTIME": str(uptime)}
    subprocess.run([SCRIPT], env={"PATH": "/usr/bin:/bin", **environment}, check=True)
    return (directory / REQUEST_NAME).exists()


@pytest.mark.parametrize(
    ("first", "step", "expected"),
    [
        (2 * HOUR, 30, True),
        (2 * HOUR, 400, True),  # nine steps are just within the hour
        (2 * HOUR, 401, False),
        (60, 30, False),  # it was booted a moment ago: that did not help
    ],
)
def test_ten_failures_within_an_hour(tmp_path: Path, first: int, step: int, expected: bool) -> None:
    """Fewer, or rarer, or right after a boot, are left to restarts."""
    asked = [after(tmp_path, first + number * step) for number in range(10)]
    assert [*[False] * 9, expected] == asked


def test_a_wanted_end_is_no_failure(tmp_path: Path) -> None:
    """Neither a stop nor an update counts, however often."""
    assert not any(after(tmp_path, 2 * HOUR + number, "success") for number in range(20))
    assert not (tmp_path / "failures").exists()


def test_old_failures_are_forgotten(tmp_path: Path) -> None:
    """The log stays short, and only its last hour counts."""
    for number in range(30):
        assert not after(tmp_path, 10 * HOUR + 1000 * number)
    assert 10 == len((tmp_path / "failures").read_text().splitlines())
