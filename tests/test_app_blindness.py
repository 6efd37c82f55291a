"""When a camera that stays dead makes the kit reboot."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from agent.app.blindness import FIRST_S, KEEP_S, LONGEST_S, NAME, Blindness
from agent.device import reboot
from agent.device.clock import VideoClock

if TYPE_CHECKING:
    from pathlib import Path

LOST = "camera.lost"


class Kit:
    """A kit whose agent starts and boots as the test says; it counts what it is asked for."""

    def __init__(self, directory: Path, source: str = "picamera:") -> None:
        self.directory = directory
        self.source = source
        self.asked = 0
        self.boot(0)

    def boot(self, number: int) -> None:
        """Another boot, its uptime at zero."""
        self.clock = VideoClock()
        self.clock.boot = f"{number:08x}"
        self.start()

    def start(self) -> None:
        """A new process in the same boot."""
        self.agent = Blindness(self.source, self.directory, self.clock, self.ask)

    def ask(self) -> None:
        """The reboot is asked for."""
        self.asked += 1

    def dead(self, seconds: float) -> int:
        """So long without a picture; how often a reboot was asked for."""
        before = self.asked
        self.look(LOST)
        self.clock.t += seconds
        self.look(LOST)
        return self.asked - before

    def look(self, down: str | None, seen: float | None = None) -> None:
        """What the supervisor tells."""
        self.agent.look(seen=seen, down=down)


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(tmp_path)


def test_an_hour_over_several_starts(kit: Kit) -> None:
    """The time goes on where the agent starts anew, and the reboot is asked for once."""
    assert 0 == kit.dead(FIRST_S / 2)
    kit.start()
    kit.look(None)  # it has just begun, and knows nothing yet
    assert 0 == kit.dead(FIRST_S / 2 - 1)
    assert 1 == kit.dead(1)
    assert 0 == kit.dead(FIRST_S)


def test_time_in_which_nobody_tried(kit: Kit) -> None:
    """A kit that stood still for a repair is not rebooted at the first look after it."""
    kit.dead(KEEP_S)
    kit.clock.t += 2 * FIRST_S
    kit.start()
    assert 0 == kit.dead(FIRST_S - KEEP_S - 1)
    assert 1 == kit.dead(1)


def test_what_is_kept_is_written_rarely(kit: Kit) -> None:
    """A card is not worn by a dead camera; a process that is killed loses minutes of the count at most."""
    for _ in range(round(KEEP_S) + 2):
        kit.dead(1)
    kept = json.loads((kit.directory / NAME).read_text())
    assert KEEP_S == kept["dead_s"]


def test_each_reboot_in_vain_makes_the_next_rarer(kit: Kit) -> None:
    """A cable stays broken: after a few it is one a day, however many there were."""
    waits = [min(LONGEST_S, FIRST_S * 2**number) for number in range(12)]
    for number, wait in enumerate(waits):
        kit.boot(number + 1)
        assert 0 == kit.dead(wait - 1)
        assert 1 == kit.dead(1)
    assert LONGEST_S == waits[-1]


def test_a_picture_forgets_all(kit: Kit) -> None:
    """The reboot helped, or it was never as bad as that: the next time begins with an hour."""
    kit.dead(FIRST_S)
    kit.boot(1)
    kit.dead(FIRST_S)
    kit.look(None, seen=kit.clock.t - 1)  # an old one is no word of now
    assert (kit.directory / NAME).exists()
    kit.clock.t += 1
    kit.look(None, seen=kit.clock.t)
    assert not (kit.directory / NAME).exists()
    assert 0 == kit.dead(FIRST_S - 1)
    assert 1 == kit.dead(1)


def test_a_camera_that_filmed_and_fell_silent(kit: Kit) -> None:
    """Its pictures of before are none of now."""
    kit.look(None, seen=0.0)
    assert 1 == kit.dead(FIRST_S)


def test_software_that_is_missing(kit: Kit) -> None:
    """No reboot brings it, and none is to disturb whoever installs it."""
    kit.look("camera.driver")
    kit.clock.t += FIRST_S
    kit.look("camera.driver")
    assert 0 == kit.asked
    assert not (kit.directory / NAME).exists()


def test_another_source(kit: Kit) -> None:
    """What the one before it did not give is not held against it."""
    kit.dead(FIRST_S - 1)
    kit.source = "picamera:1"
    kit.start()
    assert 0 == kit.dead(FIRST_S - 1)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("picamera:imx708", 1),
        ("/dev/video0", 1),
        ("rtsp://camera.example/1", 0),
        ("visit.mp4", 0),
        ("synthetic:", 0),
    ],
)
def test_only_cameras_of_this_board(tmp_path: Path, source: str, expected: int) -> None:
    """A reboot of the kit does not reach another machine's camera."""
    assert expected == Kit(tmp_path, source).dead(LONGEST_S)


def test_nobody_hears(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run by hand the agent says so, once, and goes on."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    clock = VideoClock()
    agent = Blindness("picamera:", tmp_path, clock, reboot.request)
    for _ in range(3):
        agent.look(seen=None, down=LOST)
        clock.t += FIRST_S
    assert 1 == caplog.text.count("a reboot was asked for, and nobody is there who could do it")


def test_the_service_manager_hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default the request lies where root's unit looks for it."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    clock = VideoClock()
    agent = Blindness("picamera:", tmp_path, clock)
    agent.look(seen=None, down=LOST)
    clock.t += FIRST_S
    agent.look(seen=None, down=LOST)
    assert (tmp_path / reboot.REQUEST_NAME).exists()


def test_what_cannot_be_counted_is_not_done(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    """On a disk that refuses the kit would reboot each hour for ever."""
    (kit.directory / NAME).mkdir()
    assert 0 == kit.dead(FIRST_S)
    assert "blind: cannot be kept" in caplog.text


def test_a_mark_that_cannot_be_removed(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    """It is said, and the agent goes on."""
    kit.dead(1)
    (kit.directory / NAME).unlink()
    (kit.directory / NAME).mkdir()
    with caplog.at_level(logging.WARNING):
        kit.look(None, seen=kit.clock.t + 1)
    assert "blind: cannot be removed" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        b"[]",
        b'{"boot": "00000000", "source": "picamera:"}',
        b'{"boot": "00000000", "source": "picamera:", "dead_s": "x", "reboots": -3}',
        b'{"boot": "00000001", "source": "picamera:", "dead_s": 3600}',
    ],
)
def test_a_mark_that_means_nothing(tmp_path: Path, content: bytes) -> None:
    """It counts for none."""
    (tmp_path / NAME).write_bytes(content)
    kit = Kit(tmp_path)
    assert 0 == kit.dead(FIRST_S - 1)
    assert 1 == kit.dead(1)
