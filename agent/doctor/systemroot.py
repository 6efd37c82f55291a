"""The check of a root that is meant to be read-only: one that was left writable is no repair any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.device.systemroot import SystemRoot
from agent.doctor.check import Check, Verdict, fail, ok, skip, warn
from agent.words import say

if TYPE_CHECKING:
    from pathlib import Path

_CLOSE = say("When the repair is over: sudo stairwell root close && sudo systemctl reboot")


def checks(root: Path) -> list[Check]:
    """The check of this room; `root` is where /etc hangs."""
    return [Check("disk.root", say("The system is read-only"), lambda: _read_only(SystemRoot(root)))]


def _read_only(system: SystemRoot) -> Verdict:
    if not system.meant:
        return skip(say("this kit was made with a writable root"))
    repair = system.opened
    if repair is not None:
        told = say(
            "left writable for a repair: {why} ({by}, {ts})",
            why=repair.why,
            by=repair.by,
            ts=repair.ts or "?",
        )
        return warn(told, _CLOSE)
    if system.writable:
        return fail(
            say("writable, and no repair was begun"),
            say("sudo systemctl reboot; if it comes back, look at / in /etc/fstab: it must say ro"),
        )
    return ok(say("yes"))
