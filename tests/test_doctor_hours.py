"""Checks of the time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands
from programs import Programs
from test_device_unit import ABSENT, RUNNING

from agent.device import clock
from agent.doctor import hours

if TYPE_CHECKING:
    from pathlib import Path

    from agent.doctor.check import Verdict


def ask(code: str, root: Path, hands: Hands | None = None) -> Verdict:
    checks = hours.checks(hands or Hands(ts="2026-11-27T12:00:00.000Z"), root)
    return next(check for check in checks if check.code == code).ask()


def test_clock(tmp_path: Path) -> None:
    """Never set is a failure, set without NTP a warning."""
    assert ask("time.set", tmp_path, Hands()).status == "fail"
    assert ask("time.set", tmp_path).status == "ok"
    assert ask("time.sync", tmp_path).status == "ok"
    assert ask("time.sync", tmp_path, Hands()).status == "warn"


@pytest.mark.parametrize(("error", "expected"), [(0.02, "ok"), (0.7, "warn"), (9.0, "fail"), (None, "skip")])
def test_error(error: float | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon's own reckoning of its worst case."""
    monkeypatch.setattr(clock, "error_s", lambda: error)
    assert expected == ask("time.error", tmp_path).status


@pytest.mark.parametrize(("ahead", "expected"), [(0, "ok"), (-86_400 * 7300, "warn"), (None, "skip")])
def test_chip(ahead: int | None, expected: str, tmp_path: Path) -> None:
    """A chip whose battery died is twenty years behind; most boards have none."""
    if ahead is not None:
        home = tmp_path / "sys/class/rtc/rtc0"
        home.mkdir(parents=True)
        (home / "since_epoch").write_text(f"{round(time.time()) + ahead}\n")
    assert expected == ask("time.chip", tmp_path).status


@pytest.mark.parametrize(("running", "expected"), [("chrony", "ok"), ("nothing", "fail"), (None, "skip")])
def test_who_keeps_it(
    running: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the daemons, none of them, and no systemd to ask."""
    programs = Programs(tmp_path, monkeypatch)
    if running is not None:
        programs.put("systemctl", ABSENT)
        programs.put("systemctl", RUNNING, when="*basic.target*")
        programs.put("systemctl", RUNNING, when=f"*{running}.service*")
    verdict = ask("time.source", tmp_path)
    assert expected == verdict.status
    assert ("chrony" == verdict.text.uk) == (expected == "ok")


def test_the_kernels_own_word() -> None:
    """Asked for real: a figure where a daemon keeps the clock, None where none does."""
    error = clock.error_s()
    assert error is None or 0 <= error < 60
