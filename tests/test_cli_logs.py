"""`stairwell logs` on a real journal."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from journals import journal
from test_device_journald import RECORDS
from typer.testing import CliRunner
from ukrainian import english_in

from agent.cli import app

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{journal(tmp_path / 'bin', RECORDS)}:{os.environ['PATH']}")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["logs", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def data(*arguments: str) -> list[dict[str, Any]]:
    return list(json.loads(run(*arguments, "--json")))


def test_for_people() -> None:
    """Oldest first, each line whole: markup in it is text."""
    lines = run().splitlines()
    assert lines[0].startswith("2026-11-27 10:00:00 app.live: up")
    assert "no such [thing]" in "".join(lines)


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--level", "error"], ["the camera died"]),
        (["--logger", "backbone"], ["no route to кит"]),
        (["--logger", "back"], []),
        (["--grep", "CAMERA"], ["the camera died"]),
        (["--grep", "no such"], ["the camera died"]),
        (["--level", "warning", "--count", "1"], ["main process exited"]),
        (["--since", "2026-11-27T10:00:04", "--until", "2026-11-27T10:00:04"], ["no route to кит"]),
    ],
)
def test_filters(arguments: list[str], texts: list[str]) -> None:
    """By severity, part, text, number and time; a traceback goes with its line."""
    assert texts == [line["text"].splitlines()[0] for line in data(*arguments)]


def test_ukrainian() -> None:
    """How many there are, none too; the lines stay as the agent told them."""
    for words, told in ((["--level", "error"], "1 рядок\n"), (["--grep", "unicorn"], "0 рядків\n")):
        result = CliRunner().invoke(app, ["logs", "--lang", "uk", *words])
        assert told == result.stderr
        assert [] == english_in(result.stderr)


def test_no_such_level() -> None:
    """With those that there are."""
    result = CliRunner().invoke(app, ["logs", "--level", "loud"])
    assert result.exit_code == 64
    assert "warning" in result.output
