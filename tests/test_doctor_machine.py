"""Checks of the board."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.device import health
from agent.device.power import SUPPLY, THROTTLED
from agent.doctor import machine

if TYPE_CHECKING:
    from pathlib import Path

    from agent.doctor.check import Verdict


def ask(code: str, root: Path) -> Verdict:
    return next(check for check in machine.checks(root) if check.code == code).ask()


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.mark.parametrize(
    ("word", "supply", "speed"),
    [
        ("0", "ok", "ok"),
        ("10000", "warn", "ok"),
        ("1", "fail", "ok"),
        ("50000", "warn", "warn"),
        ("50005", "fail", "fail"),
        ("80008", "ok", "fail"),
        ("80000", "ok", "warn"),
        (None, "skip", "skip"),
    ],
)
def test_power(
    word: str | None, supply: str, speed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Now is a failure, since the boot a warning, another machine a skip."""
    monkeypatch.setenv("PATH", str(tmp_path))
    if word is not None:
        put(tmp_path, THROTTLED, word)
    assert supply == ask("power.undervoltage", tmp_path).status
    assert speed == ask("power.throttled", tmp_path).status


def test_who_is_slowed_by_want_of_power_is_not_told_to_cool(tmp_path: Path) -> None:
    """The fix fits the cause."""
    put(tmp_path, THROTTLED, "50005")
    hungry = ask("power.throttled", tmp_path)
    put(tmp_path, THROTTLED, "80008")
    hot = ask("power.throttled", tmp_path)
    assert hungry.fix is not None
    assert hot.fix is not None
    assert "supply" in hungry.fix.en
    assert "heat sink" in hot.fix.en


@pytest.mark.parametrize(
    ("celsius", "expected"), [("61341", "ok"), ("75000", "warn"), ("82000", "fail"), (None, "skip")]
)
def test_temperature(
    celsius: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both limits, and a board without a sensor."""
    monkeypatch.setattr(health, "THERMAL", tmp_path / "temp")
    if celsius is not None:
        put(tmp_path, "temp", celsius)
    assert expected == ask("temp.cpu", tmp_path).status


@pytest.mark.parametrize(("available", "expected"), [(300, "ok"), (60, "warn"), (20, "fail"), (None, "skip")])
def test_memory(available: int | None, expected: str, tmp_path: Path) -> None:
    """Shares of a kit's 437 MB."""
    if available is not None:
        put(tmp_path, "proc/meminfo", f"MemTotal: 437000 kB\nMemAvailable: {available}000 kB\n")
    assert expected == ask("mem.free", tmp_path).status


@pytest.mark.parametrize(
    ("devices", "expected"), [((), "ok"), (("/dev/zram0",), "ok"), (("/dev/zram0", "/var/swap"), "warn")]
)
def test_swap(devices: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    """Memory may be compressed, not written to the card."""
    put(
        tmp_path,
        "proc/swaps",
        "Filename Type Size Used Priority\n" + "".join(f"{d} x 1 0 1\n" for d in devices),
    )
    assert expected == ask("mem.swap", tmp_path).status


@pytest.mark.parametrize(("avg60", "expected"), [("3.00", "ok"), ("72.00", "warn"), (None, "skip")])
def test_pressure(avg60: str | None, expected: str, tmp_path: Path) -> None:
    """A kernel without PSI is no fault of the kit."""
    if avg60 is not None:
        put(tmp_path, "proc/pressure/cpu", f"some avg10=0.00 avg60={avg60} avg300=0.00 total=1\n")
    answer = ask("cpu.pressure", tmp_path)
    assert expected == answer.status
    assert (expected == "skip") == ("psi=1" in answer.text.en)


@pytest.mark.parametrize(("ma", "expected"), [(5000, "ok"), (3000, "ok"), (1500, "warn"), (None, "skip")])
def test_supply(ma: int | None, expected: str, tmp_path: Path) -> None:
    """What a Pi 5 has agreed with its supply, as its device tree has it: four bytes, the greatest first."""
    if ma is not None:
        put(tmp_path, SUPPLY, "")
        (tmp_path / SUPPLY).write_bytes(ma.to_bytes(4, "big"))
    assert expected == ask("power.supply", tmp_path).status


@pytest.mark.parametrize(
    ("drive", "rpm", "expected"),
    [("125", "3400", "ok"), ("0", "0", "ok"), ("125", "0", "fail"), (None, "", "skip")],
)
def test_fan(drive: str | None, rpm: str, expected: str, tmp_path: Path) -> None:
    """One that is driven has to turn; other sensors are no fans."""
    put(tmp_path, "sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    if drive is not None:
        for name, text in {"name": "pwmfan", "pwm1": drive, "fan1_input": rpm}.items():
            put(tmp_path, f"sys/class/hwmon/hwmon1/{name}", f"{text}\n")
    assert expected == ask("temp.fan", tmp_path).status


@pytest.mark.parametrize(
    ("controllers", "expected"),
    [("cpuset cpu io memory pids", "ok"), ("cpuset cpu io pids", "warn"), (None, "skip")],
)
def test_memory_limits(controllers: str | None, expected: str, tmp_path: Path) -> None:
    """Raspberry Pi OS starts its kernel without memory control groups."""
    if controllers is not None:
        put(tmp_path, "sys/fs/cgroup/cgroup.controllers", f"{controllers}\n")
    assert expected == ask("mem.limit", tmp_path).status


def test_what_is_not_well_has_a_fix(tmp_path: Path) -> None:
    """In both languages."""
    put(tmp_path, THROTTLED, "50005")
    verdict = ask("power.undervoltage", tmp_path)
    assert verdict.fix is not None
    assert verdict.fix.uk
    assert verdict.fix.en
