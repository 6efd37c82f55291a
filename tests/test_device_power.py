"""What the firmware says of power and heat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.device.power import THROTTLED, Throttling, throttling

if TYPE_CHECKING:
    from pathlib import Path


def program(folder: Path, script: str) -> str:
    path = folder / "vcgencmd"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("bits", "now", "seen", "slowed", "slowed_seen"),
    [
        (0x0, False, False, False, False),
        (0x1, True, False, False, False),
        (0x50000, False, True, False, True),
        (0x50005, True, True, True, True),
        (0x80008, False, False, True, True),
        (0x20002, False, False, True, True),
    ],
)
def test_bits(bits: int, now: bool, seen: bool, slowed: bool, slowed_seen: bool) -> None:
    """Each bit means what the maker's documentation says."""
    word = Throttling(bits)
    assert (now, seen) == (word.undervoltage, word.undervoltage_seen)
    assert (slowed, slowed_seen) == (word.slowed, word.slowed_seen)


def test_the_kernel_is_asked_first(tmp_path: Path) -> None:
    """Its file needs no program and no rights."""
    path = tmp_path / THROTTLED
    path.parent.mkdir(parents=True)
    path.write_text("50005\n")
    assert Throttling(0x50005) == throttling(tmp_path, program(tmp_path, "echo throttled=0x0"))


def test_then_the_firmware(tmp_path: Path) -> None:
    """Without the file, the firmware's program answers."""
    assert Throttling(0x50000) == throttling(tmp_path, program(tmp_path, "echo throttled=0x50000"))


@pytest.mark.parametrize(
    "script", ["echo VCHI initialization failed; exit 255", "echo 'error=1 error_msg=\"Command failed\"'"]
)
def test_a_firmware_that_may_not_be_asked_gives_no_figure(script: str, tmp_path: Path) -> None:
    """No rights, or words that are no answer: absent, not zero."""
    assert throttling(tmp_path, program(tmp_path, script)) is None


def test_no_raspberry_pi(tmp_path: Path) -> None:
    """Another machine has neither file nor program."""
    assert throttling(tmp_path, str(tmp_path / "missing")) is None
