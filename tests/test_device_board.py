"""A reading of the board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from test_device_memory import grant
from test_device_network import LITTLE, MODEM, put
from test_device_storage import block, mmc

from agent.device.board import Board, measure
from agent.device.power import THROTTLED, Throttling

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


@LITTLE
def test_everything_that_a_kit_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each figure from its own place."""
    root = tmp_path / "root"
    block(root, tmp_path, "mmcblk0", "mmcblk0p2")
    mmc(root, name="X", cid="15", life_time="0x03 0x02")
    put(root, "sys/fs/ext4/mmcblk0p2/errors_count", "2")
    put(root, THROTTLED, "50000")
    put(root, "proc/meminfo", "MemTotal: 400 kB\nMemAvailable: 100 kB\n")
    put(root, "proc/pressure/cpu", "some avg10=0.00 avg60=12.00 avg300=0.00 total=1\n")
    grant(root, 60, "100", "200")
    put(root, "proc/net/route", MODEM)
    put(root, "sys/class/net/ppp0/carrier", "1")
    put(root, "temp", "61000")
    monkeypatch.setattr("agent.device.health.THERMAL", root / "temp")

    board = measure(tmp_path, root)

    assert (board.celsius, board.throttling) == (61.0, Throttling(0x50000))
    assert (board.waiting, board.memory, board.granted) == (0.12, 0.25, 0.6)
    assert (board.disk_errors, board.interface, board.signal_dbm) == (2, "ppp0", None)
    assert board.disk is not None
    assert board.card is not None
    assert board.card.life == 0.3


def test_what_is_not_there_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place without anything to read gives a reading without figures."""
    monkeypatch.setattr("agent.device.health.THERMAL", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Board() == measure(tmp_path / "missing", tmp_path)
