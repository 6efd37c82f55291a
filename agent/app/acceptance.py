"""The acceptance test: that a kit was found well on the spot, when, and by whom. The audit keeps it.

Invariant: a line of the audit with the command `accept` is one acceptance; `ok` means that nothing failed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.app.archive import Archive
from agent.app.chronicle import Chronicle, Wanted
from agent.app.examination import examination
from agent.backbone import docket
from agent.doctor import runner
from agent.doctor.check import Status
from agent.words import counted, joined, say, verbatim

if TYPE_CHECKING:
    from agent.config import Settings
    from agent.device.clock import Clock, Stamp
    from agent.words import Text

COMMAND = "accept"
NAMED = 6  # checks that are named; a kit with more troubles is not to be accepted anyway


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One that was done. `found`: how many checks were well or not asked, and which were not well."""

    at: Stamp
    by: str
    passed: bool
    found: str

    @property
    def told(self) -> Text:
        """What was found, in words."""
        return told(self.found)


@dataclass(frozen=True, slots=True)
class Examined:
    """What the doctor's checks came to, as `Acceptance` has it."""

    passed: bool
    found: str


def told(found: str) -> Text:
    """What was found, in words; a line of another form as it stands."""
    counts, between, codes = found.partition(": ")
    try:
        n = {status: int(number) for number, status in (part.split(" ") for part in counts.split(", "))}
        words = (
            counted("{n} failure", "{n} failures", n[Status.FAIL]),
            counted("{n} warning", "{n} warnings", n[Status.WARN]),
            say("{n} well", n=n[Status.OK]),
            say("{n} not asked", n=n[Status.SKIP]),
        )
    except (KeyError, ValueError):
        return verbatim(found)
    return joined("", (joined(", ", words), verbatim(f"{between}{codes}")))


def examined(settings: Settings, clock: Clock) -> Examined:
    """Ask all checks of the doctor."""
    results = sorted(runner.run(examination(settings, clock)), key=lambda result: result.check.code)
    counts = Counter(result.verdict.status for result in results)
    bad = [r.check.code for kind in (Status.FAIL, Status.WARN) for r in results if r.verdict.status is kind]
    more = f" + {len(bad) - NAMED}" if len(bad) > NAMED else ""
    found = ", ".join(f"{counts[status]} {status}" for status in Status)
    if bad:
        found += f": {' '.join(bad[:NAMED])}{more}"
    return Examined(not counts[Status.FAIL], found)


def line(by: str, came: Examined) -> docket.AuditLine:
    """The line of the audit that is this acceptance."""
    return docket.AuditLine(COMMAND, None, by, None, "ok" if came.passed else "failed", None, came.found)


def accept(settings: Settings, clock: Clock, by: str) -> Acceptance:
    """Ask all checks of the doctor, and note what came of it under this name.

    Raises:
        StorageError: it cannot be noted.
    """
    came, now = examined(settings, clock), clock.stamp()
    Archive(settings, clock).ask(lambda tx: docket.audit(tx, line(by, came), now))
    return Acceptance(now, by, came.passed, came.found)


def last(settings: Settings, clock: Clock) -> Acceptance | None:
    """The newest; None when there was none.

    Raises:
        StorageError: the database cannot be read.
    """
    for line in Chronicle(settings, clock).audit(Wanted(1), COMMAND):
        return Acceptance(line.at, line.by or "?", line.status == "ok", line.text or "")
    return None
