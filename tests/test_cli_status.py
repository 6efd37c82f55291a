"""`stairwell status` as a technician runs it."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import settings, toml
from rich.console import Console
from rich.live import Live
from test_app_examination import WELL, changed
from typer.testing import CliRunner

from agent import cli
from agent.app import hatch
from agent.app.hatch import Hatch
from agent.app.status import understood
from agent.cli import app, status
from agent.errors import StairwellError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from agent.app.status import Status


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(toml(settings(tmp_path)), encoding="utf-8")
    return path


@pytest.fixture
def told(tmp_path: Path) -> Iterator[list[Status]]:
    """What the agent of `tmp_path` answers: the first of the list."""
    said = [WELL]
    server = Hatch(tmp_path / hatch.NAME, {"status": lambda _: said[0].model_dump_json().encode()})
    server.start()
    yield said
    server.close(5)


def run(configuration: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["status", "-c", str(configuration), "--lang", "en", *arguments])


def test_one_screen(told: list[Status], configuration: Path) -> None:
    """Everything in few lines that fit a small terminal."""
    result = run(configuration, "--once")
    lines = result.output.splitlines()
    assert result.exit_code == 0
    assert len(lines) <= 24
    assert all(len(line) <= 80 for line in lines)
    for word in (told[0].kit, "a picture 0.1 s ago", "20 ms (95 %: 30)", "4 in 24 h", "broker", "none"):
        assert word in result.output


def test_json(told: list[Status], configuration: Path) -> None:
    """The same as a document."""
    assert json.loads(told[0].model_dump_json()) == json.loads(run(configuration, "--json").output)


@pytest.mark.parametrize(
    ("part", "values", "word"),
    [
        ("camera", {"down": "no [such] device"}, "no [such] device"),
        ("detector", {"model": None}, "does not work"),
        ("detector", {"ms": None}, "has not looked yet"),
        ("link", {"connected": False, "cause": "dns"}, "none (its name is not found)"),
        ("clips", {"refused": "the disk is full"}, "the disk is full"),
        ("clips", {"recording": "01M810CZZ29AREEN156GMCV6RD"}, "recording 01M810CZZ29AREEN156GMCV6RD"),
        ("clips", {"kept": None}, "Clips"),
        ("outbox", {"waiting": 7, "age": 7300.0}, "7 wait (the oldest for 2 h)"),
        (
            "machine",
            {"t": 61.3, "cpu": 40.0, "disk_free_gib": 11.0},
            "61 °C, CPU 40 %, 150 MB, 11.0 GiB free",
        ),
    ],
)
def test_what_is_not_as_always(
    part: str, values: dict[str, Any], word: str, told: list[Status], configuration: Path
) -> None:
    """Each trouble is on the screen, in words."""
    told[0] = changed(part, **values)
    assert word in run(configuration, "--once").output


def test_alarms_and_the_last_event(told: list[Status], configuration: Path) -> None:
    """Alarms by their code and text, one a line."""
    told[0] = WELL.model_copy(
        update={"alarms": ["camera.lost", "scene.dark"], "last_event": 90.0, "outbox": None}
    )
    output = run(configuration, "--once").output
    assert "camera.lost The camera gives no pictures" in output
    assert "scene.dark" in output
    assert "the last 1 min ago" in output


@pytest.mark.parametrize(("part", "name"), [("camera", "down"), ("clips", "refused")])
def test_what_the_agent_says_is_ukrainian_too(
    part: str, name: str, told: list[Status], configuration: Path
) -> None:
    """A cause comes in both languages; brackets in it are no markup."""
    told[0] = changed(part, **{name: "no [such] device", f"{name}_uk": "[такого] пристрою немає"})
    assert "[такого] пристрою немає" in run(configuration, "--once", "--lang", "uk").output
    assert "no [such] device" in run(configuration, "--once", "--lang", "en").output


def test_ukrainian(told: list[Status], configuration: Path) -> None:
    """The kit's own language."""
    told[0] = changed("link", connected=False)
    result = CliRunner().invoke(app, ["status", "-c", str(configuration), "--lang", "uk", "--once"])
    assert "Не гаразд: 2 складові" in result.output
    assert "немає" in result.output


def test_what_is_wrong_stands_first(told: list[Status], configuration: Path) -> None:
    """How many parts are not well, a mark at each, and below it what to do, each fix once."""
    clock = WELL.clock.model_copy(update={"ts": "2026-11-27T12:00:00.000Z", "clk": "ntp"})
    told[0] = WELL.model_copy(update={"clock": clock})
    assert "All is well." in run(configuration, "--once").output.splitlines()[1]
    told[0] = changed("camera", age=60.0).model_copy(update={"clock": clock, "alarms": ["camera.lost"]})
    lines = run(configuration, "--once").output.splitlines()
    assert "2 parts are not well" in lines[1]
    [camera] = [line for line in lines if line.split()[:2] == ["✗", "Camera"]]
    assert lines[lines.index(camera) + 1].strip().startswith("→ Check the camera's cable and power")
    assert 1 == sum("→ Check the camera's cable" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_an_agent_that_falls_silent(
    told: list[Status], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last that was known stays, with what stands in the way; when the agent is back it goes on."""
    first = told[0]
    begun = [
        changed("camera", frames=first.camera.frames + 8 * n).model_copy(
            update={"clock": first.clock.model_copy(update={"mono": first.clock.mono + n})}
        )
        for n in range(4)
    ]
    console = Console(width=80, file=io.StringIO(), force_terminal=True)
    asked = iter([begun[1], StairwellError(say("no agent runs here"), fix=say("start it")), begun[3]])
    shown = []

    def ask(_: Path) -> Status:
        answer = next(asked)
        if isinstance(answer, StairwellError):
            raise answer
        return answer

    def pause(_: float) -> None:
        shown.append(console.file.getvalue())  # type: ignore[attr-defined]
        if len(shown) > 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(status, "_ask", ask)
    monkeypatch.setattr(status, "sleep", pause)
    with pytest.raises(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        status._keep_up(live, tmp_path, begun[0], "en")
    assert "8.0 of 10/s" in shown[1]
    assert "No answer any more: no agent runs here" in shown[2].removeprefix(shown[1])
    assert "No answer" not in shown[3].removeprefix(shown[2])


def test_nobody_answers(configuration: Path) -> None:
    """One line, with what to do."""
    result = run(configuration, "--once")
    assert "no agent runs here" in str(result.exception)
    assert "stairwell doctor" in str(result.exception)


@pytest.mark.parametrize(
    ("error", "word"),
    [(PermissionError(13, "Permission denied"), "usermod"), (TimeoutError("timed out"), "journalctl")],
)
def test_who_may_not_ask(
    error: OSError, word: str, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each refusal has its own fix."""

    def refuse(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(hatch, "reach", refuse)
    assert word in str(run(configuration, "--once").exception)


@pytest.mark.parametrize(("lang", "word"), [("uk", "агент тут не працює"), ("en", "no agent runs here")])
def test_an_error_speaks_the_chosen_language(
    lang: str,
    word: str,
    configuration: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever the terminal's is."""
    monkeypatch.setenv("LANGUAGE", {"uk": "en", "en": "uk"}[lang])
    monkeypatch.setattr(sys, "argv", ["stairwell", "status", "-c", str(configuration), "--lang", lang])
    with pytest.raises(SystemExit):
        cli.main()
    assert word in capsys.readouterr().err


@pytest.mark.parametrize("answer", [b"", b'{"sw": "9.0"}'])
def test_an_agent_of_another_version(answer: bytes, configuration: Path, tmp_path: Path) -> None:
    """After an upgrade the old one may still run: that is told with its fix, here and by the doctor."""
    server = Hatch(tmp_path / hatch.NAME, {"status": lambda _: answer})
    server.start()
    try:
        result = run(configuration, "--once")
        doctor = CliRunner().invoke(
            app, ["doctor", "-c", str(configuration), "--only", "svc.*", "--only", "cam.frames", "--json"]
        )
    finally:
        server.close(5)
    assert isinstance(result.exception, StairwellError)
    assert "another version" in result.exception.problem
    assert "restart stairwell-agent" in result.exception.fix
    found = {check["code"]: check["status"] for check in json.loads(doctor.output)["checks"]}
    assert ("fail", "skip", "skip") == (found["svc.running"], found["svc.version"], found["cam.frames"])


def test_what_a_newer_agent_tells_besides(told: list[Status]) -> None:
    """Is passed over."""
    answer = {**json.loads(told[0].model_dump_json()), "humidity": 40}
    answer["camera"]["focus"] = 1
    assert told[0] == understood(json.dumps(answer).encode())
