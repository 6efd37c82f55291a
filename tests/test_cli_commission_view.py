"""`stairwell commission view`: what is drawn, or comes from a file, is kept; over a scripted agent."""

from __future__ import annotations

import getpass
import json
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import Hands, settings, toml
from commandline import stairwell
from kits import Kit
from scripted import Scripted

from agent import viewpoint
from agent.app.board import Board
from agent.app.steps import Step
from agent.cli import commission_view
from agent.cli.commission_desk import Desk
from agent.errors import StorageError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOOR = '[[masks]]\nname = "door"\npolygon = [[0, 0], [0.5, 0], [0.5, 1]]\n'


class Agent(Scripted):
    """The kit in `state`, at which somebody gives the command."""

    def __init__(self, state: Path) -> None:
        self.desk = Desk.open(state / "agent.toml", "en")
        super().__init__(state)

    def view(self, *words: object, lang: str = "en") -> tuple[int, str, str]:
        """Exit code, and what the command told where."""
        ended = stairwell("commission", "view", "--config", self.desk.path, "--lang", lang, *words)
        return ended.returncode, ended.stdout, ended.stderr

    def kept(self) -> dict[str, Any] | None:
        """What is kept of the step."""
        entry = self.desk.steps.entries().get(Step.VIEW)
        return None if entry is None else entry.found | {"state": entry.state}


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """At work, over a database of its own."""
    monkeypatch.setenv("LANGUAGE", "en")
    (tmp_path / "agent.toml").write_text(toml(settings(tmp_path)), encoding="utf-8")
    kit = Kit(tmp_path, Hands())
    one = Agent(tmp_path)
    yield one
    one.hatch.close(10)
    kit.database.close(10)


def test_a_file(agent: Agent, tmp_path: Path) -> None:
    """It is put into force, waited for, told, and kept; the same again changes nothing."""
    file = tmp_path / "door.toml"
    file.write_text(DOOR)

    code, out, _ = agent.view("--file", file)
    assert 0 == code
    assert ["Saved. The agent starts anew with it …", "In force: masks: door; zones: –"] == out.splitlines()
    found = {"masks": 1, "zones": 0, "digest": agent.drawn.digest}
    assert found | {"state": "passed"} == agent.kept()

    code, out, _ = agent.view("--file", file, "--json")
    assert (0, {"v": 1, "passed": True} | found) == (code, json.loads(out))

    code, out, _ = agent.view("--none", lang="uk")
    assert (0, "маски: –; зони: –" in out) == (code, True)


@pytest.mark.parametrize(
    ("content", "english", "ukrainian"),
    [
        (None, "there is no such file", "такого файлу немає"),
        (b"\xff", "no text", "не текст"),
        (b"masks = [", "Invalid value", "Invalid value"),
        (b"masks = [5]\n", "masks.0: input should be a valid dictionary", "masks.0: тут має бути таблиця"),
        (2 * DOOR.encode(), "two are named door", "двоє мають ім'я door"),
        (b"[[walls]]\n", "walls: unknown key", "walls: невідомий ключ"),
    ],
)
def test_what_is_no_drawing(
    content: bytes | None, english: str, ukrainian: str, agent: Agent, tmp_path: Path
) -> None:
    """The file is named, and what is wrong in it, in the technician's language; nothing is kept."""
    file = tmp_path / "door.toml"
    if content is not None:
        file.write_bytes(content)
    for lang, why in (("en", english), ("uk", ukrainian)):
        code, out, err = agent.view("--file", file, lang=lang)
        assert (3, "") == (code, out)
        assert str(file) in err
        assert why in err
    assert agent.kept() is None


def test_one_of_two(agent: Agent, tmp_path: Path) -> None:
    """Both a file and nothing at all is a wrong command line."""
    code, _, err = agent.view("--none", "--file", tmp_path / "door.toml")
    assert 64 == code
    assert "--file/--none" in err


def test_a_refusal_is_told_once(agent: Agent) -> None:
    """With what to do, as the agent has it."""
    agent.refusal = StorageError(say("no space is left"), fix=say("correct what is named"))
    for lang, told in (("en", "no space is left. Fix: "), ("uk", "місця немає. Що робити: ")):
        code, out, err = agent.view("--none", lang=lang)
        assert (3, "") == (code, out)
        assert told in err
        assert 1 == err.count(told[-5:])
    assert agent.kept() is None


def test_an_agent_that_does_not_come_back(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was saved is not called in force, nor kept."""
    monkeypatch.setattr(commission_view, "FORCE_S", 0.2)
    agent.stuck = True
    code, _, err = agent.view("--none")
    assert 1 == code
    assert "saved, but the agent is not back with it" in err
    assert agent.kept() is None


def test_a_lost_drawing_is_nobodys(agent: Agent, tmp_path: Path) -> None:
    """What stands in for it is not kept as what is wanted."""
    (mask,) = viewpoint.LOST["privacy"]["masks"]
    file = tmp_path / "lost.toml"
    file.write_text(f'[[masks]]\nname = "{mask["name"]}"\npolygon = {mask["polygon"]}\n')
    code, _, err = agent.view("--file", file)
    assert (1, True) == (code, "Draw masks and zones again" in err)
    assert agent.kept() is None


def test_without_an_agent(agent: Agent) -> None:
    """It is told so, and what to do."""
    agent.hatch.close(10)
    for words in (("--none",), ("--port", 0)):
        code, _, err = agent.view(*words)
        assert (1, True) == (code, "no agent runs here" in err)


def test_a_page_on_which_something_was_saved(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in force in the end is told, and kept; without ssh the kit is called by its name."""

    def save(opened: Board) -> str:
        opened.keep(agent.drawn.digest, agent.drawn)
        return "finished"

    monkeypatch.setattr(Board, "wait", save)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.delenv("SUDO_UID", raising=False)
    agent.away = 1  # it is not back at once
    code, out, err = agent.view("--port", 0)
    assert (0, "In force: masks: –; zones: –\n") == (code, out)
    assert f" {getpass.getuser()}@{socket.gethostname()}\n" in err
    assert {"masks": 0, "zones": 0, "digest": agent.drawn.digest, "state": "passed"} == agent.kept()
    assert "closed: finished" == agent.told[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_an_interrupted_page(number: signal.Signals, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends it, or a session that breaks off, which is noted; nothing was saved, so nothing is kept."""
    before = signal.getsignal(number)

    def interrupt(_: Board) -> str:
        assert signal.default_int_handler is signal.getsignal(number)
        signal.raise_signal(number)
        return "finished"

    monkeypatch.setattr(Board, "wait", interrupt)
    monkeypatch.setenv("SUDO_UID", "1")  # daemon, on every Debian
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22")
    code, out, err = agent.view("--port", 0)
    assert (2, "Nothing was saved.\n") == (code, out)
    assert " daemon@192.0.2.1\n" in err
    assert ["opened", "closed: interrupted"] == agent.told
    assert (None, before) == (agent.kept(), signal.getsignal(number))
    code, out, _ = agent.view("--port", 0, "--json")
    assert (2, {"v": 1, "passed": False}) == (code, json.loads(out))
