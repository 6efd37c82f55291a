"""The LED's codes at first boot, as they are counted from below."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from broker import wait_for

from agent.device import lamp
from agent.device.lamp import Code, Lamp

if TYPE_CHECKING:
    import pytest

QUICK_S = 0.01


def board(leds: Path) -> Path:
    led = leds / "ACT"
    led.mkdir(parents=True)
    (led / "trigger").write_text("none [mmc0] timer\n")
    (led / "brightness").write_text("0")
    return led


def test_so_many_flashes_and_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each code is its number of flashes; a new one begins after the pause, and the LED is given back."""
    led = board(tmp_path)
    said: list[str] = []
    monkeypatch.setattr(lamp, "ON_S", QUICK_S)
    monkeypatch.setattr(lamp, "OFF_S", QUICK_S)
    monkeypatch.setattr(lamp, "PAUSE_S", QUICK_S)
    write = Path.write_text

    def recorded(path: Path, data: str, **options: str) -> int:
        if path.name == "brightness":
            said.append(data)
        return write(path, data, **options)

    monkeypatch.setattr(Path, "write_text", recorded)
    with Lamp(tmp_path) as shown:
        assert "none" == (led / "trigger").read_text()
        shown.show(Code.REFUSED)
        deadline = time.monotonic() + 60
        while len(said) < 40 and time.monotonic() < deadline:
            time.sleep(QUICK_S)
    assert ["1", "0"] * 20 == said[:40]
    assert "mmc0" == (led / "trigger").read_text()


def test_a_board_without_a_lamp(tmp_path: Path) -> None:
    """First boot goes on in the dark."""
    with Lamp(tmp_path) as shown:
        shown.show(Code.NETWORK)


HOLD = """
import sys
from pathlib import Path
from agent.device import lamp

lamp.hold(lamp.Code.HARDWARE, Path(sys.argv[1]))
"""


def test_a_code_that_is_held(tmp_path: Path) -> None:
    """By a program of its own, in the same process, until the service is stopped; the LED is given back."""
    led = board(tmp_path)
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path]) as held:
        try:
            wait_for(lambda: "none" == (led / "trigger").read_text())
            wait_for(lambda: "1" == (led / "brightness").read_text())
            command = Path(f"/proc/{held.pid}/cmdline").read_bytes().split(b"\0")
            assert b"-I" == command[1]
            held.send_signal(signal.SIGTERM)
            assert 0 == held.wait(10)
        finally:
            held.kill()
    assert "mmc0" == (led / "trigger").read_text()


def test_a_code_without_a_lamp(tmp_path: Path) -> None:
    """Nothing waits where nobody sees it."""
    assert 0 == subprocess.run([sys.executable, "-c", HOLD, tmp_path], check=False, timeout=30).returncode


def test_codes_differ() -> None:
    """Nobody counts further than five."""
    assert [1, 2, 3, 4, 5] == sorted(Code)
