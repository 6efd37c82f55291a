"""What went wrong with a camera, by name."""

from __future__ import annotations

import errno
import os
from itertools import pairwise

import pytest

from agent.capture import camera_fault
from agent.capture.camera_fault import opening_fault
from agent.doctor.registry import ALARMS, NO_PICTURES
from agent.errors import SourceError, SourceLostError


def chained(*errors: Exception) -> Exception:
    """The first, caused by the second, and so on."""
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    return errors[0]


@pytest.mark.parametrize(
    ("error", "alarm"),
    [
        (OSError(errno.EBUSY, os.strerror(errno.EBUSY)), "camera.busy"),
        (
            chained(
                RuntimeError("Camera __init__ sequence did not complete."),
                RuntimeError("Failed to acquire camera: Device or resource busy"),
            ),
            "camera.busy",
        ),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), "camera.memory"),
        (RuntimeError("failed to allocate capture buffers for stream 0"), "camera.memory"),
        (RuntimeError("Failed to start camera: Cannot allocate memory"), "camera.memory"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/dev/dma_heap/linux,cma"), "camera.lost"),
        (
            chained(
                RuntimeError("Camera __init__ sequence did not complete."),
                RuntimeError(
                    "Camera(s) not found (Do not forget to disable legacy camera with raspi-config)."
                ),
            ),
            "camera.missing",
        ),
        (RuntimeError("Invalid camera configuration"), "camera.lost"),
    ],
)
def test_faults_have_their_alarms(error: Exception, alarm: str) -> None:
    """Whatever Picamera2 wraps around it, the kernel's own word decides, and is told."""
    fault = opening_fault("imx708", error)
    assert alarm == fault.alarm
    assert fault.problem.startswith(("imx708: ", "picamera: "))
    assert fault.fix


def test_who_may_not_is_told_which_group() -> None:
    """A permission is no fault of the camera's."""
    fault = opening_fault("imx708", PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/dev/media0"))
    assert "/dev/media0" in fault.problem
    assert "`video`" in fault.fix


def test_a_named_fault_stays_what_it_is() -> None:
    """It is not wrapped again."""
    fault = camera_fault.missing("picamera:7", "no such camera")
    assert fault is opening_fault("imx708", fault)


def test_a_context_that_was_hidden_says_nothing() -> None:
    """`raise … from None` means it."""
    error = RuntimeError("no such format")
    error.__context__ = OSError(errno.EBUSY, "busy")
    assert "camera.busy" == opening_fault("imx708", error).alarm
    error.__suppress_context__ = True
    assert "camera.lost" == opening_fault("imx708", error).alarm


def test_every_fault_is_an_alarm() -> None:
    """What this module names, the registry has, and says that no pictures come."""
    faults: list[SourceError] = [
        camera_fault.missing("a", "b"),
        camera_fault.unloadable(ImportError("no picamera2")),
        camera_fault.outdated(AttributeError("no write"), "0.3.14"),
        camera_fault.sensor_silent("a", 10),
        camera_fault.encoder_silent("a", 10, 4),
        SourceError("a", fix="b"),
        SourceLostError("a", fix="b"),
        opening_fault("a", OSError(errno.EBUSY, "busy")),
        opening_fault("a", OSError(errno.ENOMEM, "no memory")),
    ]
    assert set(NO_PICTURES) == {fault.alarm for fault in faults}
    assert set(NO_PICTURES) <= set(ALARMS)
