"""Checks of the agent as a service, and of how the kit started and ended before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.device import boot, unit
from agent.doctor.check import Check, Verdict, denied, fail, ok, skip, warn
from agent.doctor.remedy import spelled
from agent.words import counted, say, verbatim

if TYPE_CHECKING:
    from pathlib import Path

    from agent.device.clock import Clock

_JOURNAL_KEPT = (("mkdir", "-p", "/var/log/journal"), ("systemctl", "restart", "systemd-journald"))
DAY_S = 86_400.0
OFTEN, TOO_OFTEN = 3, 6  # boots within a day: one is an update, three are a loose plug
FLAPS, FLUTTERS = 2, 10  # restarts by systemd since the last start by hand; ten within an hour reboot the kit
OPEN, WIDE_OPEN = 1.5, 5.0  # of 10; the shipped unit has 1.3
WRONG_CONFIGURATION = {2, 3}  # the agent's exit codes that systemd does not try again

START = say("sudo systemctl start stairwell-agent; journalctl -u stairwell-agent -n 30 tells why it stopped")
_CONFIGURATION = say(
    "sudo stairwell config check names the wrong key; then sudo systemctl start stairwell-agent"
)
_JOURNAL = say("journalctl -u stairwell-agent -p warning tells what ends it")
_SUPPLY = say("Check the power: plug, cable, supply; a kit that loses it every day needs a UPS")


def checks(clock: Clock, root: Path) -> list[Check]:
    """The checks of this module; `root` is where /sys and /var hang."""
    service = Check("svc.unit", say("The service"), _unit)
    return [
        Check("boot.watchdog", say("Hardware watchdog"), lambda: _watchdog(root)),
        Check("boot.journal", say("The journal outlives a reboot"), lambda: _journal(root)),
        Check(
            "boot.count",
            say("Boots within a day"),
            lambda: _boots(clock),
            ("boot.journal", "time.set"),
            box_s=boot.JOURNAL_S + 1,
            quick=False,
        ),
        Check(
            "boot.unclean",
            say("The last shutdown"),
            _ended,
            ("boot.journal",),
            box_s=boot.JOURNAL_S + 1,
            quick=False,
        ),
        service,
        Check("svc.enabled", say("Starts at boot"), _enabled, (service.code,)),
        Check("svc.restarts", say("Restarts"), _restarts, (service.code,)),
        Check(
            "sec.exposure", say("The service's sandbox"), _exposure, (service.code,), box_s=12.0, quick=False
        ),
    ]


def _watchdog(root: Path) -> Verdict:
    state = boot.watchdog(root)
    if state is None:
        return skip(say("there is none"))
    if state != "active":
        return warn(
            say("not armed: a kit that hangs stays hung"),
            say("Reboot once: the package arms it from then on (dtparam=watchdog=on in config.txt)"),
        )
    return ok(say("armed"))


def _journal(root: Path) -> Verdict:
    if not (root / "run/systemd/system").is_dir():
        return skip(say("there is no systemd to ask"))
    if not (root / boot.JOURNAL).is_dir():
        return warn(
            say("no: what was before a power cut is not known"),
            spelled(_JOURNAL_KEPT),
            _JOURNAL_KEPT,
        )
    return ok(say("yes"))


def _boots(clock: Clock) -> Verdict:
    began = boot.boots()
    if began is None:
        return denied(say("the journal does not tell, or is not ours to read"))
    n = sum(clock.unix_ms() / 1000 - when < DAY_S for when in began)
    told = counted("{n} boot in 24 h", "{n} boots in 24 h", n)
    if n >= TOO_OFTEN:
        return fail(told, _SUPPLY)
    return warn(told, _SUPPLY) if n >= OFTEN else ok(told)


def _ended() -> Verdict:
    in_order = boot.ended_in_order()
    if in_order is None:
        return denied(say("the journal does not tell, or is not ours to read"))
    if not in_order:
        return warn(say("none: the power was cut, or the kit hung"), _SUPPLY)
    return ok(say("in order"))


def _unit() -> Verdict:
    found = unit.unit()
    if found is None:
        return skip(say("none here (no package, or no systemd)"))
    if found.active in {"active", "reloading", "activating"}:
        return ok(verbatim(found.active))
    told = say(
        "{state}: it ended with {result} ({code})", state=found.active, result=found.result, code=found.status
    )
    if found.status in WRONG_CONFIGURATION:
        return fail(told, _CONFIGURATION)
    return fail(told, START, (("systemctl", "start", unit.NAME),))


def _enabled() -> Verdict:
    found = unit.unit()
    if found is None:
        return skip(say("none here (no package, or no systemd)"))
    if not found.enabled:
        remedy = (("systemctl", "enable", unit.NAME),)
        return fail(say("no: after the next power cut nobody watches"), spelled(remedy), remedy)
    return ok(say("yes"))


def _restarts() -> Verdict:
    found = unit.unit()
    if found is None:
        return skip(say("none here (no package, or no systemd)"))
    told = say("{n} since it was started", n=found.restarts)
    if found.restarts >= FLUTTERS:
        return fail(told, _JOURNAL)
    return warn(told, _JOURNAL) if found.restarts >= FLAPS else ok(told)


def _exposure() -> Verdict:
    found = unit.exposure()
    if found is None:
        return skip(say("systemd-analyze does not tell"))
    told = say("exposure {level:.1f} of 10", level=found)
    fix = say("systemctl cat stairwell-agent shows who opened it: remove the drop-in, or narrow it")
    if found > WIDE_OPEN:
        return fail(told, fix)
    return warn(told, fix) if found > OPEN else ok(told)
