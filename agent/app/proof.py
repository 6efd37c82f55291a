"""The proof that a kit passed its burn-in. It lies in the state directory; doctor and births tell it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent import checkedfile
from agent.doctor.check import Check, Status, Verdict, fail, ok, skip, warn
from agent.errors import StorageError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.config import Settings

NAME = "burnin.json"


@dataclass(frozen=True, slots=True)
class Proof:
    """How the last burn-in ended."""

    kit: str
    ok: bool
    ts: str | None
    """UTC; None while the clock was not set."""
    failed: tuple[str, ...]
    checks: tuple[dict[str, Any], ...]

    def write(self, directory: Path) -> None:
        """Keep it in the state directory.

        Raises:
            StorageError: the disk refused.
        """
        body = {"kit": self.kit, "ok": self.ok, "ts": self.ts, "checks": self.checks}
        checkedfile.write(directory / NAME, json.dumps(body, ensure_ascii=False).encode())

    @classmethod
    def read(cls, directory: Path) -> Proof | None:
        """The one that is kept; None when there is none, or a damaged one.

        Raises:
            StorageError: it cannot be read.
        """
        body = checkedfile.read(directory / NAME)
        if body is None:
            return None
        held = json.loads(body)
        return cls.of(held["kit"], held["ts"], held["checks"])

    @classmethod
    def of(cls, kit: str, ts: str | None, checks: Iterable[dict[str, Any]]) -> Proof:
        """The proof that these answers are."""
        held = tuple(checks)
        failed = tuple(check["code"] for check in held if check["status"] == Status.FAIL)
        return cls(kit, not failed, ts, failed, held)


def passed(directory: Path) -> bool | None:
    """Whether the kit passed; None when it had no burn-in, or nobody can read what came of it."""
    try:
        held = Proof.read(directory)
    except StorageError:
        return None
    return None if held is None else held.ok


def checks(settings: Settings) -> list[Check]:
    """The doctor's question for it."""
    return [Check("kit.burnin", say("The kit passed its burn-in"), lambda: told(settings))]


def told(settings: Settings) -> Verdict:
    """What the doctor says of the proof that is kept."""
    held = Proof.read(settings.state.dir)
    again = say("sudo systemctl stop stairwell-agent; sudo -u stairwell stairwell burnin; start it again")
    if held is None:
        return skip(say("no burn-in was made on this kit"))
    if held.kit != settings.kit.id:
        return warn(say("the burn-in was of another kit ({kit})", kit=held.kit), again)
    if held.failed:
        return fail(say("the burn-in failed: {codes}", codes=", ".join(held.failed)), again)
    return ok(say("passed ({ts})", ts=held.ts or "?"))
