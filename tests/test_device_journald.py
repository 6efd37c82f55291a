"""The agent's lines out of a real journal, by systemd's own journalctl."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from journals import BEGAN, journal, record

from agent.device import journald
from agent.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = [
    record("INFO agent.app.live: up", 0),
    record("ERROR agent.app.stages: the camera died", 1),
    record("Traceback (most recent call last):", 2),
    record("INFO agent.app.live: of another process", 2.5, pid=101),
    record("ValueError: no such [thing]", 3),
    record("WARNING agent.backbone.link: no route to кит", 4),
    record("Stopping Stairwell agent...", 5, name="systemd", pid=1),
    record("main process exited", 6, name="systemd", pid=1, priority=4),
]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal of RECORDS is this machine's."""
    monkeypatch.setenv("PATH", f"{journal(tmp_path / 'bin', RECORDS)}:{os.environ['PATH']}")


def stub(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "journalctl").write_text(f"#!/bin/sh\n{script}\n")
    (directory / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


@pytest.mark.usefixtures("kept")
def test_newest_first() -> None:
    """A traceback stays with its line, also when another process spoke in between."""
    found = list(journald.newest())
    assert [
        ("systemd", "warning", "main process exited"),
        ("systemd", "info", "Stopping Stairwell agent..."),
        ("agent.backbone.link", "warning", "no route to кит"),
        ("agent.app.live", "info", "of another process"),
        (
            "agent.app.stages",
            "error",
            "the camera died\nTraceback (most recent call last):\nValueError: no such [thing]",
        ),
        ("agent.app.live", "info", "up"),
    ] == [(line.logger, line.level, line.text) for line in found]
    assert "2026-11-27T10:00:06.000Z" == found[0].ts


@pytest.mark.usefixtures("kept")
def test_between_two_times() -> None:
    """Both ends are taken; a traceback whose line lies before is told by itself."""
    found = journald.newest(since=BEGAN + 3, until=BEGAN + 4)
    assert ["no route to кит", "ValueError: no such [thing]"] == [line.text for line in found]


@pytest.mark.usefixtures("kept")
def test_following() -> None:
    """In the order in which it was said; what goes on with a line has its level."""
    found = list(islice(journald.following(BEGAN + 1), 5))
    assert ["error", "error", "info", "error", "warning"] == [line.level for line in found]
    assert "ValueError: no such [thing]" == found[3].text


def test_what_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For bytes that are no UTF-8 journalctl gives numbers, and nothing for what is too long."""
    row = '{"__REALTIME_TIMESTAMP":"1795773600000000","SYSLOG_IDENTIFIER":"stairwell","MESSAGE":%s}'
    stub(tmp_path, f"echo '{row % '[97,255]'}'; echo '{row % 'null'}'", monkeypatch)
    assert ["a\N{REPLACEMENT CHARACTER}", "(too long to show)"] == [line.text for line in journald.newest()]


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("echo 'Hint: You are currently not seeing messages from other users.' >&2", "sudo usermod"),
        ("echo 'No journal files were found.' >&2", "No journal files were found"),
    ],
)
def test_what_cannot_be_read(script: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refusal has its fix."""
    stub(tmp_path, script, monkeypatch)
    with pytest.raises(StorageError, match=word):
        list(journald.newest())


def test_nothing_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no error."""
    stub(tmp_path, "exit 0", monkeypatch)
    assert [] == list(journald.newest())


def test_no_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a journal is told of."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StorageError, match="no journalctl"):
        list(journald.newest())
