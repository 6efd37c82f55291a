"""The benches do what they say; the crash bench is the promise of the clip store itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MAIN = Path(__file__).parent.parent / "scripts" / "benches" / "main.py"


def bench(*arguments: str) -> dict[str, Any]:
    """What a bench prints as JSON. Not measured for coverage: that would be what it measures."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, str(MAIN), *arguments, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_two_hundred_times() -> None:
    """SIGKILL at random moments: every announced clip opens, plays and is as signed; nothing lies open."""
    found = bench("crash", "--kills", "200")
    assert (200, 0, 0, 0) == tuple(found[key] for key in ("kills", "unreadable", "plaintext", "lost"))
    assert found["announced"] > 200
    assert found["cut"] > 20
    assert found["worst_loss_s"] <= 1.15


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_recording_costs_little() -> None:
    """Memory beyond the ring is bounded; the CPU figure is there (a loaded machine says little about it)."""
    found = bench("mux", "--seconds", "60", "--repeat", "1")
    assert found["beyond_ring_mb"] <= 16
    assert 0 < found["ratio"] < found["ratio_with_demux"]
