"""The service as systemd tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from programs import Programs

from agent.device import unit
from agent.device.unit import Unit

if TYPE_CHECKING:
    from pathlib import Path

RUNNING = """\
Result=success
NRestarts=2
ExecMainStatus=0
LoadState=loaded
ActiveState=active
UnitFileState=enabled
"""
FAILED = """\
Result=exit-code
NRestarts=0
ExecMainStatus=3
LoadState=loaded
ActiveState=failed
UnitFileState=disabled
"""
ABSENT = "Result=success\nNRestarts=0\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n"
NO_SYSTEMD = "System has not been booted with systemd as init system (PID 1). Can't operate.\n"
EXPOSURE = """\
  NAME                    DESCRIPTION                             EXPOSURE
\N{CHECK MARK} SystemCallFilter=~@swap System call allow list defined for service
\N{BALLOT X} PrivateNetwork=         Service has access to the host's network     0.5

\N{RIGHTWARDS ARROW} Overall exposure level for stairwell-agent.service: 1.3 OK \N{SLIGHTLY SMILING FACE}
"""


def test_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each property, in whatever order."""
    Programs(tmp_path, monkeypatch).put("systemctl", RUNNING, when="'show stairwell-agent.service'*")
    assert Unit("active", "success", 0, 2, True) == unit.unit()


def test_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its exit code."""
    Programs(tmp_path, monkeypatch).put("systemctl", FAILED)
    assert Unit("failed", "exit-code", 3, 0, False) == unit.unit()


@pytest.mark.parametrize(("said", "code"), [(ABSENT, 0), (NO_SYSTEMD, 1)])
def test_none(said: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such service, and no systemd."""
    Programs(tmp_path, monkeypatch).put("systemctl", said, code)
    assert None is unit.unit()
    assert None is unit.active("chrony.service")


def test_who_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of several that does."""
    programs = Programs(tmp_path, monkeypatch)
    programs.put("systemctl", ABSENT)
    programs.put("systemctl", RUNNING, when="*chrony*")
    assert "chrony.service" == unit.active("systemd-timesyncd.service", "chrony.service")


@pytest.mark.parametrize(
    ("said", "code", "expected"), [(EXPOSURE, 0, 1.3), (NO_SYSTEMD, 1, None), ("", 0, None)]
)
def test_exposure(
    said: str, code: int, expected: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last line's figure."""
    Programs(tmp_path, monkeypatch).put("systemd-analyze", said, code)
    assert expected == unit.exposure()
