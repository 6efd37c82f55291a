"""Checks of the service, and of how the kit started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from programs import Programs
from test_device_boot import BOOTS_257, CUT, IN_ORDER
from test_device_unit import ABSENT, EXPOSURE, FAILED, RUNNING
from test_doctor_papers import Wall

from agent.doctor import service

if TYPE_CHECKING:
    from pathlib import Path

    from agent.doctor.check import Verdict

LINE = BOOTS_257.splitlines()[2]


def ask(code: str, root: Path) -> Verdict:
    return next(check for check in service.checks(Wall(), root) if check.code == code).ask()


@pytest.mark.parametrize(("state", "expected"), [("active", "ok"), ("inactive", "warn"), (None, "skip")])
def test_watchdog(state: str | None, expected: str, tmp_path: Path) -> None:
    """It has to be armed by somebody."""
    if state is not None:
        home = tmp_path / "sys/class/watchdog/watchdog0"
        home.mkdir(parents=True)
        (home / "state").write_text(f"{state}\n")
    assert expected == ask("boot.watchdog", tmp_path).status


def test_journal(tmp_path: Path) -> None:
    """Without systemd, without the directory that makes it last, with it."""
    assert ask("boot.journal", tmp_path).status == "skip"
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert ask("boot.journal", tmp_path).status == "warn"
    (tmp_path / "var/log/journal").mkdir(parents=True)
    assert ask("boot.journal", tmp_path).status == "ok"


@pytest.mark.parametrize(("n", "expected"), [(1, "ok"), (3, "warn"), (6, "fail"), (0, "skip")])
def test_boots(n: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the last day; the ones before it are history."""
    old = LINE.replace("2026-11-27 04:03:40", "2026-11-25 04:03:40")
    Programs(tmp_path, monkeypatch).put("journalctl", "\n".join([old, *[LINE] * n]) if n else "")
    assert expected == ask("boot.count", tmp_path).status


@pytest.mark.parametrize(("said", "expected"), [(IN_ORDER, "ok"), (CUT, "warn"), ("", "skip")])
def test_the_last_shutdown(said: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut leaves no last word."""
    Programs(tmp_path, monkeypatch).put("journalctl", said)
    assert expected == ask("boot.unclean", tmp_path).status


@pytest.mark.parametrize(
    ("told", "unit", "enabled", "restarts"),
    [
        (RUNNING.replace("NRestarts=2", "NRestarts=0"), "ok", "ok", "ok"),
        (RUNNING, "ok", "ok", "warn"),
        (RUNNING.replace("NRestarts=2", "NRestarts=14"), "ok", "ok", "fail"),
        (FAILED, "fail", "fail", "ok"),
        (ABSENT, "skip", "skip", "skip"),
    ],
)
def test_the_service(
    told: str, unit: str, enabled: str, restarts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As systemd tells."""
    Programs(tmp_path, monkeypatch).put("systemctl", told)
    found = [ask(code, tmp_path).status for code in ("svc.unit", "svc.enabled", "svc.restarts")]
    assert [unit, enabled, restarts] == found


def test_a_wrong_configuration_is_named_as_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systemd does not try that again, and a start alone mends nothing."""
    programs = Programs(tmp_path, monkeypatch)
    programs.put("systemctl", FAILED)
    wrong = ask("svc.unit", tmp_path)
    programs.put("systemctl", FAILED.replace("ExecMainStatus=3", "ExecMainStatus=8"))
    other = ask("svc.unit", tmp_path)
    assert wrong.fix is not None
    assert other.fix is not None
    assert "config check" in wrong.fix.uk
    assert "config check" not in other.fix.uk


@pytest.mark.parametrize(
    ("level", "expected"), [("1.3", "ok"), ("2.1", "warn"), ("9.6", "fail"), (None, "skip")]
)
def test_sandbox(level: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drop-in of somebody's may have opened it."""
    programs = Programs(tmp_path, monkeypatch)
    if level is not None:
        programs.put("systemd-analyze", EXPOSURE.replace("1.3 OK", f"{level} OK"))
    assert expected == ask("sec.exposure", tmp_path).status
