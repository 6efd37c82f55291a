"""One tree for every error that a person may read.

    StairwellError            1   anything below, when nothing more exact fits
    ├── ConfigError           3   a configuration file, key or value
    ├── SourceError           4   a camera, stream or video file
    │   └── SourceLostError   4   it worked before and stopped: worth another try
    ├── ModelError            5   a detector model or its runtime
    ├── StorageError          6   the state directory, the database or a clip
    ├── BrokerError           7   the MQTT broker
    ├── EnrolError            9   the city's enrolment service, or what it says
    ├── UpdateError          10   a release that is not taken
    └── StallError            8   a stage stopped making progress

The number is the process exit code. A wrong command line has 64 (EX_USAGE of sysexits.h), which none of these
and none of the doctor's own codes is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.words import Text, say, verbatim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.words import Language


class StairwellError(Exception):
    """An error with its fix, shown to a technician as one line and never as a traceback.

    Logs have it in English (`problem`, `fix`); what is given as a Text is told in both languages.
    """

    exit_code = 1

    def __init__(self, problem: str | Text, *, fix: str | Text) -> None:
        self.words = _text(problem), _text(fix)
        self.problem, self.fix = (text.en for text in self.words)
        super().__init__(self.problem)

    def __str__(self) -> str:
        return self.told("en")

    def told(self, language: Language) -> str:
        """The line, in this language."""
        return self.line.told(language)

    @property
    def line(self) -> Text:
        """Problem and fix in one; whole in English where the problem has no other words."""
        problem, fix = self.words
        line = say("{problem}. Fix: {fix}", problem=problem, fix=fix)
        return verbatim(line.en) if problem.fixed and problem.ukrainian is None else line


class ConfigError(StairwellError):
    """A configuration file, key or value that cannot be used; `keys` says of each wrong one what is wrong."""

    exit_code = 3

    def __init__(
        self, problem: str | Text, *, fix: str | Text, keys: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(problem, fix=fix)
        self.keys = dict(keys or {})


class SourceError(StairwellError):
    """A camera, stream or file that gives no pictures; `alarm` is what a kit that lives on raises for it."""

    exit_code = 4

    def __init__(self, problem: str | Text, *, fix: str | Text, alarm: str = "camera.lost") -> None:
        super().__init__(problem, fix=fix)
        self.alarm = alarm


class SourceLostError(SourceError):
    """A source that gave pictures and stopped."""


class ModelError(StairwellError):
    """A detector model that is missing, altered or unusable, or no runtime to run it."""

    exit_code = 5


class StorageError(StairwellError):
    """The state directory, the database or a clip cannot be written or read.

    `errno` is why, as the system says it (ENOSPC, EROFS, EIO …), None when no disk refused.
    """

    exit_code = 6

    def __init__(self, problem: str | Text, *, fix: str | Text, errno: int | None = None) -> None:
        super().__init__(problem, fix=fix)
        self.errno = errno


class BrokerError(StairwellError):
    """The broker cannot be used as configured."""

    exit_code = 7


ANEW = say("none needed: the service manager starts the agent anew")
"""The fix of what a new process mends."""


class StallError(StairwellError):
    """A stage made no progress for longer than it may; the process must be started anew."""

    exit_code = 8


class UpdateError(StairwellError):
    """A release that is not taken: its bundle, its checks, or what the kit has room for."""

    exit_code = 10


def _text(said: str | Text) -> Text:
    return said if isinstance(said, Text) else verbatim(said)


class EnrolError(StairwellError):
    """No certificate was had from the city.

    `refused`: the city said no, and asking again the same way helps nothing; otherwise it may be asked again,
    `retry_after_s` from now if it said when. `reason` is one word for it, for lamps and programs.
    """

    exit_code = 9

    def __init__(
        self,
        problem: str | Text,
        *,
        fix: str | Text,
        reason: str = "failed",
        refused: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(problem, fix=fix)
        self.reason = reason
        self.refused = refused
        self.retry_after_s = retry_after_s
