"""The check of how this boot came about: a kit that hangs is in trouble, though it starts anew by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.device.reset import BootRecord
from agent.doctor.check import Check, Verdict, ok, skip, warn
from agent.words import say

if TYPE_CHECKING:
    from agent.config import Settings
    from agent.device.clock import Clock

FRESH_S = 86_400.0  # a hang a day is worth a visit; of one long ago the events tell

_FIX = say("See what hung (journalctl --boot=-1 --priority=warning); look at supply, heat and card")


def checks(settings: Settings, clock: Clock) -> list[Check]:
    """The check of this room."""
    record = BootRecord(settings.state.dir, clock)
    return [Check("boot.reset", say("Why the board started"), lambda: _reset(record, clock))]


def _reset(record: BootRecord, clock: Clock) -> Verdict:
    match record.boot.reset:
        case "watchdog" if clock.mono() < FRESH_S:
            return warn(say("the watchdog started it: it had hung"), _FIX)
        case "watchdog":
            return ok(say("the watchdog, more than a day ago"))
        case "reboot":
            return ok(say("a reboot"))
        case "power":
            return ok(say("the power came"))
        case None:
            return skip(say("this board does not tell"))
