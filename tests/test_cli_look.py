"""`stairwell look` on a running agent."""

from __future__ import annotations

import re
import stat
import threading
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from app_parts import PEOPLE, query, settings, toml
from broker import wait_for
from typer.testing import CliRunner

from agent.app import hatch
from agent.app.hatch import Hatch
from agent.app.live import Agent
from agent.cli import app
from agent.device.clock import SystemClock
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from agent.config import Settings

MASK = {"name": "left", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}


def chosen(directory: Path) -> Settings:
    capture = {"source": str(PEOPLE), "loop": True, "reencode": True}
    return settings(directory, capture=capture, privacy={"masks": [MASK]}, clips={"enabled": False})


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state of an agent that runs on the sample, its left half masked."""
    directory = tmp_path_factory.mktemp("state")
    (directory / "agent.toml").write_text(toml(settings(directory)), encoding="utf-8")
    agent, stop = Agent(chosen(directory), SystemClock()), threading.Event()
    thread = threading.Thread(target=agent.run, args=(stop,), daemon=True)
    thread.start()
    wait_for(lambda: agent._analysis.latest, 30)
    yield directory
    stop.set()
    thread.join(40)
    assert not thread.is_alive()


def run(state: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["look", "-c", str(state / "agent.toml"), *map(str, arguments)])


@pytest.mark.parametrize("name", ["still.jpg", "still.png"])
def test_a_file(name: str, state: Path, tmp_path: Path) -> None:
    """The picture whole, for the eyes of who asked only; what is masked is black in it."""
    result = run(state, "--output", tmp_path / name)
    assert result.exit_code == 0, result.exception
    image = cv2.imread(str(tmp_path / name))
    assert image is not None
    assert image.shape == (480, 640, 3)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    below_the_words = np.asarray(image)[100:, 10:300]
    assert np.median(below_the_words) < 8
    assert np.median(np.asarray(image)[100:, 340:]) > 40


def test_through_a_pipe(state: Path) -> None:
    """The picture alone, as JPEG."""
    assert run(state, "--output", "-").stdout_bytes.startswith(b"\xff\xd8")


def test_in_the_terminal(state: Path) -> None:
    """Half blocks, as wide as asked, the picture's aspect kept."""
    lines = run(state, "--width", "40").stdout.splitlines()
    assert len(lines) == 15
    assert {line.count("\N{UPPER HALF BLOCK}") for line in lines} == {40}


def test_as_sixels(state: Path) -> None:
    """As the characters that draw them."""
    assert run(state, "--width", "20", "--draw", "sixel").stdout.startswith('\x1bP0;1q"1;1;160;120')
    assert run(state, "--draw", "ascii").exit_code == 64


def test_every_look_is_noted(state: Path) -> None:
    """In the kit's audit, by the user's name."""
    before = query(state, "SELECT count(*) FROM audit WHERE cmd = 'look'")[0][0]
    run(state, "--width", "20")
    rows = query(state, "SELECT by, status FROM audit WHERE cmd = 'look' ORDER BY n")
    assert len(rows) == before + 1
    assert rows[-1][1] == "ok"
    assert rows[-1][0]


def test_a_bundle_is_noted(state: Path) -> None:
    """The agent gives it an id that can be said aloud, and notes who takes it."""
    number = hatch.reach(state, "bundle").decode()
    assert re.fullmatch("[0-9a-hjkmnp-tv-z]{8}", number)
    rows = query(state, "SELECT cmd, status, text FROM audit ORDER BY n DESC LIMIT 1")
    assert [("bundle", "ok", number)] == rows


def test_no_picture(tmp_path: Path) -> None:
    """A camera that gives none is said, with what tells why."""
    (tmp_path / "agent.toml").write_text(toml(settings(tmp_path)), encoding="utf-8")
    server = Hatch(tmp_path / hatch.NAME, {"still": lambda _: b""})
    server.start()
    result = run(tmp_path)
    server.close(5)
    assert "no picture" in str(result.exception)


def test_nobody_looks_unseen(tmp_path: Path) -> None:
    """What cannot be noted is not shown, and the hatch stays open."""

    def refused(_user: int) -> bytes:
        raise StorageError("the disk is full", fix="free space")

    (tmp_path / "agent.toml").write_text(toml(settings(tmp_path)), encoding="utf-8")
    server = Hatch(tmp_path / hatch.NAME, {"still": refused})
    server.start()
    assert "no picture" in str(run(tmp_path).exception)
    assert server.failure is None
    server.close(5)


def test_other_formats_are_refused(state: Path, tmp_path: Path) -> None:
    """With those that there are."""
    result = run(state, "-o", tmp_path / "still.bmp")
    assert result.exit_code == 64
    assert ".png" in result.output


def test_no_place_to_write(state: Path, tmp_path: Path) -> None:
    """The file is named."""
    assert "missing" in str(run(state, "-o", tmp_path / "missing" / "a.jpg").exception)
