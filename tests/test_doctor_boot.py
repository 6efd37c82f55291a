"""The check of how the board came to start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, settings

from agent.device.reset import NAME
from agent.doctor import boot
from agent.doctor.boot import FRESH_S
from agent.doctor.check import Status

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("reset", "up_s", "expected"),
    [
        ("watchdog", 60.0, Status.WARN),
        ("watchdog", FRESH_S + 1, Status.OK),
        ("reboot", 60.0, Status.OK),
        ("power", 60.0, Status.OK),
        (None, 60.0, Status.SKIP),
    ],
)
def test_a_hang_is_told_for_a_day(reset: str | None, up_s: float, expected: Status, tmp_path: Path) -> None:
    """Power cuts and wanted reboots are no trouble, and a board that does not tell is no zero."""
    hands = Hands(up_s)
    (tmp_path / NAME).write_text(json.dumps({"boot": hands.boot, "running": True, "reset": reset}))
    [check, _] = boot.checks(settings(tmp_path), hands)
    assert ("boot.reset", expected) == (check.code, check.ask().status)
