"""The check of how this boot came about: a kit that hangs is in trouble, though it starts anew by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.device.reset import BootRecord
from agent.device.watchdog import Hang
from agent.doctor.check import Check, Verdict, fail, ok, skip, warn
from agent.words import say

if TYPE_CHECKING:
    from agent.config import Settings
    from agent.device.clock import Clock

FRESH_S = 86_400.0  # a hang a day is worth a visit; of one long ago the events tell

_AGAIN = say("sudo stairwell burnin --hang: once more; dmesg tells what kept the kernel from stopping")
_DEAD = say("See that dtparam=watchdog=on is in config.txt; if it is, replace the board")
_FIX = say("See what hung (journalctl --boot=-1 --priority=warning); look at supply, heat and card")


def checks(settings: Settings, clock: Clock) -> list[Check]:
    """The checks of this room."""
    record, hang = BootRecord(settings.state.dir, clock), Hang(settings.state.dir, clock)
    return [
        Check("boot.reset", say("Why the board started"), lambda: _reset(record, clock)),
        Check("boot.hang", say("The watchdog starts a kit that hangs"), lambda: _hang(hang, clock)),
    ]


def _hang(hang: Hang, clock: Clock) -> Verdict:
    trial = hang.trial
    if trial is None:
        return skip(say("never tried (sudo stairwell burnin --hang)"))
    if not trial.judged:
        if trial.boot == clock.boot:
            return fail(say("the kit was to hang, and works on"), _AGAIN)
        return skip(say("tried; the agent tells the result once it has started"))
    match trial.reset:
        case "watchdog":
            return ok(say("tried: it did"))
        case None:
            return skip(say("tried; this board does not tell what started it"))
    return fail(say("tried: it did not, the kit hung until its power was cut"), _DEAD)


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
