"""Other programs of the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from programs import Programs

from agent.device import program
from agent.device.program import Answer

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Output, exit code, and words without a shell between."""
    programs = Programs(tmp_path, monkeypatch)
    programs.put("asked", "yes\n", 3, when="'a b'")
    assert Answer(3, "yes\n", "") == program.ask("asked", "a b")


def test_what_is_not_here_or_hangs_knows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither ends the doctor nor holds it up."""
    assert None is program.ask("/bin/sleep", "60", timeout_s=0.1)
    Programs(tmp_path, monkeypatch)
    assert None is program.ask("no-such-program")


def test_it_speaks_in_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """English, UTC, no colours, whatever the technician's terminal has."""
    monkeypatch.setenv("LC_ALL", "uk_UA.UTF-8")
    monkeypatch.setenv("TZ", "Europe/Kyiv")
    answer = program.ask("/bin/sh", "-c", "printf '%s %s' $LC_ALL $TZ")
    assert answer is not None
    assert "C UTC" == answer.out
