"""Checks of the time: whether it is set, who keeps it, how exact it is, and what survives a power cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.device import clock as device_clock
from agent.device import unit
from agent.doctor.check import Check, Verdict, fail, ok, skip, warn
from agent.words import say, verbatim

if TYPE_CHECKING:
    from pathlib import Path

    from agent.device.clock import Clock

SET = "time.set"
OFF_S, WRONG_S = 0.5, 5.0  # the kernel's worst case; events of two kits are laid side by side by the second
APART_S = 300.0  # of the chip from the system: TLS bears minutes, not days
DAEMONS = ("systemd-timesyncd.service", "chrony.service", "ntpsec.service", "openntpd.service")

NTP = say("Let the kit reach NTP (UDP 123); `timedatectl timesync-status` shows the server")


def checks(clock: Clock, root: Path) -> list[Check]:
    """The checks of this module; `root` is where /sys hangs."""
    return [
        Check(SET, say("The clock is set"), lambda: _set(clock)),
        Check("time.source", say("Who keeps the clock"), _source),
        Check("time.sync", say("The clock follows NTP"), lambda: _sync(clock), (SET,)),
        Check("time.error", say("The clock is exact"), _error, ("time.sync",)),
        Check("time.chip", say("The clock chip"), lambda: _chip(root), (SET,)),
    ]


def _set(clock: Clock) -> Verdict:
    stamp = clock.stamp()
    if stamp.ts is None:
        return fail(say("the clock was never set"), NTP)
    return ok(verbatim(stamp.ts))


def _source() -> Verdict:
    if unit.unit("basic.target") is None:
        return skip(say("there is no systemd to ask"))
    running = unit.active(*DAEMONS)
    if running is None:
        return fail(
            say("nobody: no time service runs"),
            say("sudo timedatectl set-ntp true, or install chrony and start it"),
            (("timedatectl", "set-ntp", "true"),),
        )
    return ok(verbatim(running.removesuffix(".service")))


def _sync(clock: Clock) -> Verdict:
    state = clock.stamp().clk
    if state == "ntp":
        return ok(say("yes"))
    return warn(say("no, its time comes from: {source}", source=state), NTP)


def _error() -> Verdict:
    error = device_clock.error_s()
    if error is None:
        return skip(say("the kernel does not tell"))
    told = say("wrong by {ms:.0f} ms at most", ms=1000 * error)
    if error >= WRONG_S:
        return fail(told, NTP)
    return warn(told, NTP) if error >= OFF_S else ok(told)


def _chip(root: Path) -> Verdict:
    ahead = device_clock.chip_ahead_s(root)
    if ahead is None:
        return skip(say("there is none: after a power cut the time comes from NTP"))
    told = say("{seconds:+.0f} s from the system's clock", seconds=ahead)
    if abs(ahead) >= APART_S:
        return warn(told, say("sudo hwclock --systohc; if it comes back, replace the chip's battery"))
    return ok(told)
