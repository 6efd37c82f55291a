"""What went wrong with the camera, by name: each known fault has its alarm and its fix.

Picamera2 and libcamera tell most faults as RuntimeError with another error as its cause; the kernel's own
word (errno, or its text in libcamera's message) lies at the bottom.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from agent.errors import SourceError, SourceLostError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.words import Text

# As libcamera and Picamera2 word them; they carry the kernel's text where they lose its number.
_TEXTS = (
    (errno.EBUSY, (os.strerror(errno.EBUSY), "in use by another process")),
    (errno.ENOMEM, (os.strerror(errno.ENOMEM), "failed to allocate capture buffers")),
    (errno.EACCES, (os.strerror(errno.EACCES), os.strerror(errno.EPERM))),
    (errno.ENODEV, ("Camera(s) not found", "No camera number")),
)


def opening_fault(name: str, error: BaseException) -> SourceError:
    """Why the camera could not be opened or started."""
    if isinstance(error, SourceError):
        return error
    last = list(_chain(error))[-1]
    said = say("{name}: {reason}", name=name, reason=str(last) or type(last).__name__)
    match _number(error):
        case errno.EBUSY:
            return SourceError(
                say("{said} (another program holds it)", said=said),
                fix=say("stop the other program"),
                alarm="camera.busy",
            )
        case errno.ENOMEM:
            return SourceError(
                say("{said} (no contiguous memory for its buffers)", said=said),
                fix=say(
                    "restart the kit; lower camera.width and camera.height, or give more CMA in config.txt"
                ),
                alarm="camera.memory",
            )
        case errno.EACCES | errno.EPERM:
            return SourceError(said, fix=say("add the agent's user to the groups `video` and `render`"))
        case errno.ENODEV:
            return missing(name, say("no camera is connected"))
    return SourceError(said, fix=say("see libcamera's own lines in the journal above this one"))


def missing(name: str, what: Text) -> SourceError:
    """There is no such camera."""
    return SourceError(
        say("{name}: {reason}", name=name, reason=what),
        fix=say("power off, check both ends of the ribbon cable, and config.txt for this sensor"),
        alarm="camera.missing",
    )


def unloadable(error: BaseException) -> SourceError:
    """Picamera2 or libcamera cannot be imported."""
    return SourceError(
        say("Picamera2 does not load ({reason})", reason=error),
        fix=say("sudo apt install --no-install-recommends python3-picamera2 (a checkout: setup --camera)"),
        alarm="camera.driver",
    )


def outdated(error: AttributeError, least: str) -> SourceError:
    """Picamera2 or libcamera lacks what the agent uses; `least` is the release of Picamera2 that has it."""
    return SourceError(
        say("Picamera2 is older than {least} ({reason})", least=least, reason=error),
        fix=say("sudo apt update && sudo apt install --no-install-recommends python3-picamera2"),
        alarm="camera.driver",
    )


def sensor_silent(name: str, seconds: float) -> SourceLostError:
    """No frame came for so long; libcamera writes `Camera frontend has timed out` to the journal then."""
    return SourceLostError(
        say("{name}: no frame for {seconds:g} s, the sensor is silent", name=name, seconds=seconds),
        fix=say("reseat both ends of the camera's ribbon cable, or replace it"),
        alarm="camera.timeout",
    )


def encoder_silent(name: str, seconds: float, waiting: int) -> SourceLostError:
    """The hardware encoder took pictures and gave nothing back."""
    return SourceLostError(
        say(
            "{name}: no video for {seconds:g} s, the encoder holds {waiting} pictures",
            name=name,
            seconds=seconds,
            waiting=waiting,
        ),
        fix=say('restart the kit; if it comes back, set camera.encoder = "software"'),
        alarm="camera.encoder",
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it, the first cause last."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _number(error: BaseException) -> int | None:
    for link in _chain(error):
        if isinstance(link, OSError) and link.errno:
            return link.errno
        for number, texts in _TEXTS:
            if any(text in str(link) for text in texts):
                return number
    return None
