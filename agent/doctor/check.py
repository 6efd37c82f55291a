"""A check: one question about the kit, and what its answer is made of. Pure; who asks is `runner`.

A check's code never changes its meaning. Where an alarm of `registry` has the same code, both say the same of
the kit: what the doctor finds by asking, the agent tells the city by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from agent.doctor.registry import ALARMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.doctor.remedy import Commands
    from agent.words import Text

BOX_S = 5.0
"""A check answers within this, or is said to hang: a technician waits for all of them together."""


class Status(StrEnum):
    """What an answer is worth."""

    OK = "ok"
    WARN = "warn"
    """It works still."""
    FAIL = "fail"
    SKIP = "skip"
    """Nothing can be said: it could not be asked here, or follows from something that failed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer. What is neither OK nor SKIP has a fix."""

    status: Status
    text: Text
    fix: Text | None = None
    remedy: Commands = ()
    """What `stairwell doctor --fix` would do about it; nothing where a person has to decide or to act."""
    denied: bool = False
    """Of a SKIP: root could answer it."""


@dataclass(frozen=True, slots=True)
class Check:
    """A question.

    `ask` answers it; it may block up to `box_s` seconds, and runs beside others. Any error of the system
    (OSError) that it lets through becomes a SKIP with its words; for want of rights, one that says so. A
    StairwellError becomes a FAIL with its words and its fix.
    `depends_on` are codes without which the question makes no sense: once one of them failed or was skipped,
    this one is skipped. `quick`: answered well within a second. `online`: it speaks to another machine.
    `late` is the answer when none came in time, where that has a usual cause.
    """

    code: str
    title: Text
    ask: Callable[[], Verdict]
    depends_on: tuple[str, ...] = ()
    box_s: float = BOX_S
    quick: bool = True
    online: bool = False
    late: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A check that was asked; `seconds` is how long it took."""

    check: Check
    verdict: Verdict
    seconds: float


def ok(text: Text) -> Verdict:
    """All is well."""
    return Verdict(Status.OK, text)


def skip(text: Text) -> Verdict:
    """It cannot be told here, and why."""
    return Verdict(Status.SKIP, text)


def denied(text: Text) -> Verdict:
    """It cannot be told by whoever asks, for want of rights."""
    return Verdict(Status.SKIP, text, denied=True)


def warn(text: Text, fix: Text, remedy: Commands = ()) -> Verdict:
    """It works, and should be seen to."""
    return Verdict(Status.WARN, text, fix, remedy)


def fail(text: Text, fix: Text, remedy: Commands = ()) -> Verdict:
    """It does not work."""
    return Verdict(Status.FAIL, text, fix, remedy)


def alarmed(code: str, status: Status = Status.FAIL) -> Verdict:
    """What the alarm of this code says, as an answer."""
    kind = ALARMS[code]
    return Verdict(status, kind.text, kind.fix)
