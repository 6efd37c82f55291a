"""The local socket of the running agent."""

from __future__ import annotations

import socket
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from agent.app import hatch
from agent.app.hatch import Hatch
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / hatch.NAME
    answers = {"status": lambda _: b'{"up": 1}', "still": lambda _: bytes(300_000)}
    server = Hatch(where, answers, {"redraw": lambda _user, _letter: b"{}"})
    server.start()
    yield where
    server.close(5)
    assert server.failure is None
    assert not where.exists()


def test_answers(path: Path) -> None:
    """Each question has its own answer, however long."""
    assert hatch.ask(path, "status") == b'{"up": 1}'
    assert hatch.ask(path, "still") == bytes(300_000)


def test_nobody_else_may_ask(path: Path) -> None:
    """Root, the user and the group; others may not even connect."""
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


@pytest.mark.parametrize("question", [b"unknown\n", b"x" * 5000, b"", b"\xff\xfe\n", b"status"])
def test_what_is_no_question_ends_nothing(question: bytes, path: Path) -> None:
    """Whatever comes in, the next one is served."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(question)
        client.shutdown(socket.SHUT_WR)
        try:
            answer = client.recv(100)
        except ConnectionResetError:  # it was left while it still talked
            answer = b""
    assert answer == (b'{"up": 1}' if question == b"status" else b"")
    assert hatch.ask(path, "status") == b'{"up": 1}'


def test_a_client_that_says_nothing_is_left(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not keep the hatch to itself."""
    monkeypatch.setattr(hatch, "PATIENCE_S", 0.1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(path))
        assert hatch.ask(path, "status", 30) == b'{"up": 1}'


@pytest.mark.parametrize("begun", [b"", b"redraw\n"], ids=["question", "letter"])
def test_a_client_that_asks_byte_by_byte_is_left(
    path: Path, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    """Its time is that of the whole question and its letter, not of each byte."""
    monkeypatch.setattr(hatch, "PATIENCE_S", 0.2)
    said = 0
    with socket.socket(socket.AF_UNIX) as slow, suppress(BrokenPipeError, ConnectionResetError):
        slow.connect(str(path))
        slow.sendall(begun)
        while said <= hatch.QUESTION_MAX:
            slow.sendall(b"x")
            said += 1
            time.sleep(0.1)
    assert said < hatch.QUESTION_MAX / 2


def test_the_file_of_a_killed_agent_is_replaced(tmp_path: Path) -> None:
    """A socket that nobody listens at is no obstacle."""
    where = tmp_path / hatch.NAME
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(where))
    with pytest.raises(ConnectionRefusedError):
        hatch.ask(where, "status")
    server = Hatch(where, {"status": lambda _: b"{}"})
    server.start()
    assert hatch.ask(where, "status") == b"{}"
    server.close(5)


def test_however_deep_it_lies(tmp_path: Path) -> None:
    """The kernel's limit for addresses is none for paths."""
    where = tmp_path / ("d" * 120) / hatch.NAME
    where.parent.mkdir()
    server = Hatch(where, {"status": lambda _: b"{}"})
    server.start()
    assert hatch.ask(where, "status") == b"{}"
    server.close(5)


def test_both_places_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's own directory first, then the state directory."""
    monkeypatch.setattr(hatch, "SERVICE", tmp_path / "run")
    (tmp_path / "state").mkdir()
    left = Hatch(tmp_path / "state" / hatch.NAME, {"status": lambda _: b"state"})
    left.start()
    assert hatch.reach(tmp_path / "state", "status") == b"state"
    (tmp_path / "run").mkdir()
    service = Hatch(tmp_path / "run" / hatch.NAME, {"status": lambda _: b"service"})
    service.start()
    assert hatch.reach(tmp_path / "state", "status") == b"service"
    left.close(5)
    service.close(5)


def test_who_names_another_configuration_asks_its_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's agent, which tells whose state is its own, is not taken for that of another state."""
    kit, desk = tmp_path / "kit", tmp_path / "desk"
    for place in (kit, desk, tmp_path / "run"):
        place.mkdir()
    monkeypatch.setattr(hatch, "SERVICE", tmp_path / "run")
    answers = {"status": lambda _: b"service", hatch.HOME: lambda _: hatch.home(kit)}
    service = Hatch(tmp_path / "run" / hatch.NAME, answers)
    service.start()
    assert b"service" == hatch.reach(kit, "status")
    with pytest.raises(FileNotFoundError):
        hatch.reach(desk, "status")
    other = Hatch(desk / hatch.NAME, {"status": lambda _: b"other"})
    other.start()
    assert b"other" == hatch.reach(desk, "status")
    other.close(5)
    service.close(5)


def test_no_agent(tmp_path: Path) -> None:
    """Who asks where nobody is learns that."""
    with pytest.raises(FileNotFoundError):
        hatch.ask(tmp_path / hatch.NAME, "status")


def test_no_place(tmp_path: Path) -> None:
    """A directory that is not there is said with its name."""
    server = Hatch(tmp_path / "missing" / hatch.NAME, {})
    with pytest.raises(StorageError, match="missing"):
        server.start()
    server.close(5)


def test_an_answer_that_breaks_is_the_supervisors(tmp_path: Path) -> None:
    """An error of ours is not hidden: it is kept for who ends the process."""

    def broken(_user: int) -> bytes:
        raise ZeroDivisionError

    server = Hatch(tmp_path / hatch.NAME, {"status": broken})
    server.start()
    assert hatch.ask(tmp_path / hatch.NAME, "status") == b""
    assert server._thread is not None
    server._thread.join(10)
    assert isinstance(server.failure, ZeroDivisionError)
    server.close(5)
