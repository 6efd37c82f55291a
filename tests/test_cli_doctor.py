"""`stairwell doctor` as a technician runs it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import settings, toml
from typer.testing import CliRunner

from agent.app import examination
from agent.cli import app
from agent.device.clock import SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(toml(settings(tmp_path / "state")), encoding="utf-8")
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


def answers(result: Result) -> dict[str, dict[str, Any]]:
    return {check["code"]: check for check in json.loads(result.output)["checks"]}


def test_every_check_has_one_code_and_rests_on_known_ones(tmp_path: Path) -> None:
    """No two are one, and no dependency is a slip of the pen."""
    checks = examination.examination(settings(tmp_path), SystemClock())
    codes = [check.code for check in checks]
    assert len(codes) == len(set(codes))
    assert len(codes) >= 75
    assert {code for check in checks for code in check.depends_on} <= set(codes)
    assert all(re.fullmatch(r"[a-z]+\.[a-z0-9_]+", code) for code in codes)


def test_both_languages_are_whole(tmp_path: Path) -> None:
    """A title in Ukrainian is Ukrainian, one in English has no Cyrillic letter."""
    for check in examination.examination(settings(tmp_path), SystemClock()):
        assert re.search("[а-яіїєґ]", check.title.uk.lower()), check.code
        assert not re.search("[а-яіїєґ]", check.title.en.lower()), check.code


def test_without_agent_network_or_rights(configuration: Path) -> None:
    """It says what is so; what it could not ask is a skip, and the first failure names the cause."""
    result = run("--config", configuration, "--quick", "--offline", "--json", "--lang", "en")
    found = answers(result)
    assert result.exit_code == 2
    assert found["disk.state"]["status"] == "fail"
    assert found["disk.free"]["status"] == "skip"
    assert found["svc.running"]["status"] == "fail"
    assert found["cam.frames"]["status"] == "skip"
    assert "net.tcp" not in found
    assert "ai.selftest" not in found
    assert all(check["fix"] for check in found.values() if check["status"] in {"warn", "fail"})


def test_only_and_skip(configuration: Path) -> None:
    """Patterns of codes, as often as wanted."""
    chosen = answers(run("-c", configuration, "--json", "--only", "priv.re*", "--only", "ai.model"))
    assert set(chosen) == {"priv.recipients", "priv.retention", "ai.model"}
    rest = answers(run("-c", configuration, "--json", "--only", "priv.re*", "--skip", "*.recipients"))
    assert set(rest) == {"priv.retention"}


def test_lines_come_one_by_one(configuration: Path) -> None:
    """Each line is a document of its own."""
    result = run("-c", configuration, "--jsonl", "--only", "priv.*")
    assert {"priv.seal", "priv.masks"} < {json.loads(line)["code"] for line in result.output.splitlines()}


@pytest.mark.parametrize(("lang", "word"), [("uk", "Строк зберігання"), ("en", "Retention")])
def test_languages(lang: str, word: str, configuration: Path) -> None:
    """The technician's own."""
    result = run("-c", configuration, "-v", "--only", "priv.retention", "--lang", lang)
    assert word in result.output
    assert result.exit_code == 0


def test_ukrainian_is_the_kits_own(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that names no language is a kit's."""
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    assert "Усе гаразд" in run("-c", configuration, "--only", "priv.retention").output
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    assert "All is well" in run("-c", configuration, "--only", "priv.retention").output


def test_what_it_cannot_read_is_its_own_failure(tmp_path: Path) -> None:
    """Three: the doctor itself could not run."""
    result = run("-c", tmp_path / "missing.toml")
    assert result.exit_code == 3
    assert "missing.toml" in result.output


def test_an_unknown_language_is_refused(configuration: Path) -> None:
    """With those that there are."""
    result = run("-c", configuration, "--lang", "fr")
    assert result.exit_code == 2
    assert "uk and en" in result.output
