"""`stairwell doctor --fix`: one finding, its remedy carried out, and the same question asked again."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.app.archive import Archive
from agent.backbone import docket
from agent.device.account import name_of
from agent.doctor import remedy, runner
from agent.doctor.check import Status
from agent.errors import StorageError

if TYPE_CHECKING:
    from agent.config import Settings
    from agent.device.clock import Clock
    from agent.doctor.check import Check, Result

_AUDIT = logging.getLogger("audit")


@dataclass(frozen=True, slots=True)
class Mending:
    """What came of it."""

    before: Result
    after: Result | None = None
    """The answer afterwards; None while nothing was done."""
    trouble: str | None = None
    """What the command said that failed."""
    unnoted: str | None = None
    """Why it does not stand in the kit's audit; None when it does."""


def mend(check: Check, settings: Settings, clock: Clock, *, do: bool) -> Mending:
    """Ask, and with `do` carry out what the answer names as its remedy, note that, and ask again."""
    before = _asked(check)
    verdict = before.verdict
    if not do or verdict.status in {Status.OK, Status.SKIP} or not verdict.remedy:
        return Mending(before)
    trouble = remedy.carry_out(verdict.remedy)
    unnoted = _note(settings, clock, check.code, trouble)
    return Mending(before, _asked(check), trouble, unnoted)


def _asked(check: Check) -> Result:
    return next(runner.run([check]))


def _note(settings: Settings, clock: Clock, code: str, trouble: str | None) -> str | None:
    """Put it into the audit: afterwards, for what was mended may be the place that the audit lies in."""
    user = name_of(os.getuid())
    status = "ok" if trouble is None else "failed"
    line = docket.AuditLine("doctor/fix", None, user, None, status, code, trouble)
    _AUDIT.warning("doctor/fix %s by %s is %s", code, user, status)
    try:
        archive = Archive(settings, clock)
        archive.ask(lambda tx: docket.audit(tx, line, clock.stamp()))
    except (StorageError, OSError) as error:
        return str(error)
    return None
