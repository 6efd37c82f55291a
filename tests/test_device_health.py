"""Probes of the machine."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from agent.device import health

if TYPE_CHECKING:
    from pathlib import Path


def test_cpu_meter_measures_work_done() -> None:
    """A fifth of a second of CPU in two fifths of clock reads as about half a core."""
    meter = health.CpuMeter(0.0)
    begun = health._cpu_s()
    while health._cpu_s() - begun < 0.2:
        sum(range(1000))
    percent = meter.percent(0.4)
    assert percent is not None
    assert 45 <= percent <= 80


def test_cpu_meter_has_no_figure_without_time() -> None:
    """Two questions at one moment have no rate between them."""
    assert health.CpuMeter(5.0).percent(5.0) is None


def test_memory_is_this_process() -> None:
    """The figure grows by what is allocated and touched; in a process of its own, with no heap to reuse."""
    program = (
        "from agent.device import health\n"
        "before = health.resident_mb()\n"
        "ballast = b'x' * 50_000_000\n"
        "print(health.resident_mb() - before)\n"
    )
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert 45 <= float(output.stdout) <= 60


def test_free_space_of_a_place_and_of_none(tmp_path: Path) -> None:
    """A directory has free bytes; a place that is not there has no figure, not zero."""
    assert (health.free_bytes(tmp_path) or 0) > 0
    assert health.free_bytes(tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("text", "expected"), [("61341\n", 61.3), ("-5000", -5.0), ("n/a", None), ("", None)]
)
def test_temperature(
    text: str, expected: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Millidegrees become degrees; what is no number is no figure."""
    probe = tmp_path / "temp"
    probe.write_text(text)
    monkeypatch.setattr(health, "THERMAL", probe)
    assert health.temperature_c() == expected


@pytest.mark.parametrize(
    ("model", "product", "expected"),
    [
        ("Raspberry Pi Zero 2 W Rev 1.0\0", None, "Raspberry Pi Zero 2 W Rev 1.0"),
        (None, "KVM Virtual Machine\n", "KVM Virtual Machine"),
    ],
)
def test_model(
    model: str | None,
    product: str | None,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The board's own name first, a PC's product name second."""
    for name, text in (("MODEL", model), ("DMI_MODEL", product)):
        probe = tmp_path / name
        if text is not None:
            probe.write_text(text)
        monkeypatch.setattr(health, name, probe)
    assert health.model() == expected
