"""Nothing is lost: kits, broker and platform are killed while they talk. The benches that README quotes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHES = Path(__file__).parent.parent / "scripts" / "benches" / "main.py"


pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(480)]


def bench(*arguments: str) -> tuple[dict[str, Any], int]:
    """What a bench found, and its exit code."""
    command = [sys.executable, str(BENCHES), *arguments, "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "" == ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found, ended.returncode


def test_every_accepted_message_arrives() -> None:
    """Over SIGKILLs of all three, by mutual TLS and the reference configuration: no number is missing."""
    found, code = bench("chaos", "--events", "2000", "--rate", "40")

    assert ("watermark", 2000, 0, 0) == (
        found["delivery"],
        found["accepted"],
        found["lost"],
        found["unaccounted"],
    )
    assert found["kit_kills"] >= 8
    assert found["broker_kills"] >= 2
    assert found["platform_kills"] >= 1
    assert 0 == code


def test_a_small_fleet_loses_nothing() -> None:
    """The bench of a thousand kits, with ten: they connect, speak, lose their broker and come back."""
    found, _ = bench("fleet", "--kits", "10", "--steady", "1", "--burst", "200")

    assert (10, 200, 0) == (found["kits"], found["burst"], found["lost"])
    assert 0 < found["connect_min_s"] <= found["connect_median_s"] <= found["connect_max_s"]
    assert found["rss_mb"] > 0
