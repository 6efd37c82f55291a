"""What the errors tell a technician: one line with its fix, in Ukrainian no word of English."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ukrainian import english_in

from agent import checkedfile
from agent.app.onlooker import look
from agent.app.statelock import StateLock
from agent.backbone import papers
from agent.capture import camera_fault
from agent.capture.container import open_file
from agent.capture.kind import source_kind
from agent.clips.sink import FileSink, refused
from agent.config import Backbone
from agent.database import Database
from agent.errors import StairwellError
from agent.reasons import reason

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
GONE = Path("/proc/nowhere")  # where nobody can make anything
FAULTS: dict[str, Callable[[], object]] = {
    "write": lambda: checkedfile.write(GONE / "x", b""),
    "read": lambda: checkedfile.read(HERE),
    "database": lambda: Database(GONE / "agent.db", ()),
    "look": lambda: look(GONE / "agent.db", lambda _: None),
    "lock": lambda: StateLock(GONE),
    "clip": lambda: FileSink(GONE / "clip.mp4"),
    "film": lambda: open_file(GONE / "film.mp4"),
    "directory": lambda: open_file(HERE),
    "text": lambda: open_file(Path(__file__)),
    "kind": lambda: source_kind("gopher://camera"),
    "tls": lambda: papers.tls_context(Backbone(host="broker", tls=True, ca_file=GONE / "ca.pem")),
    "password": lambda: papers.password(GONE / "password"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_in_ukrainian(name: str) -> None:
    """Each is told whole, with what to do; the log has it in English."""
    with pytest.raises(StairwellError) as caught:
        FAULTS[name]()
    told = caught.value.told("uk")
    assert ". Що робити: " in told
    assert [] == english_in(told)
    assert ". Fix: " in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        camera_fault.opening_fault("picamera:", OSError(errno.EBUSY, "busy")),
        camera_fault.opening_fault("picamera:", OSError(errno.ENODEV, "none")),
        camera_fault.sensor_silent("picamera:", 5),
        camera_fault.encoder_silent("picamera:", 5, 3),
        refused(GONE, "synced", OSError(errno.EIO, "Input/output error")),
        refused(GONE, "removed", OSError(errno.EROFS, "Read-only file system")),
    ],
    ids=str,
)
def test_of_camera_and_card(error: StairwellError) -> None:
    """What only broken hardware raises."""
    assert [] == english_in(error.told("uk"))


def test_a_reason_that_no_table_has() -> None:
    """Is told as the system says it; what is no text is said to be none."""
    assert "Too many open files" == reason(OSError(errno.EMFILE, "Too many open files")).uk
    assert "це не текст" == reason(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")).uk
