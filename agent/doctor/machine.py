"""Checks of the board: power, heat, memory. They read what kernel and firmware tell; no rights needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.device import health, memory, power
from agent.doctor.check import Check, Verdict, fail, ok, skip, warn
from agent.doctor.registry import ALARMS
from agent.words import say, verbatim

if TYPE_CHECKING:
    from pathlib import Path

WARM_C, HOT_C = (
    75.0,
    82.0,
)  # the firmware begins to slow a Pi at 80 (soft limit of the 3B+: 60) and stops at 85
LOW_MEMORY, NO_MEMORY = (
    0.15,
    0.07,
)  # of all; balena's supervisor warns at 0.10, and our own limit bites before
WANTED_MA = 3000  # a Pi 5 with a camera; a supply of the maker gives 5000
BUSY = 0.5  # of the last minute with something waiting for the processor: pictures are skipped by then

_SUPPLY = say("Use the maker's power supply and a short thick cable; unplug what else hangs on USB")
_COOL = say("Give the box air and shade, fit a heat sink; lower capture.fps")
_MEMORY = say("Restart the agent (systemctl restart stairwell-agent); lower clips.ring_mb")
_SWAP = say("Switch off swap on the card (systemctl disable --now dphys-swapfile); zram is allowed")


def checks(root: Path) -> list[Check]:
    """The checks of this room; `root` is where /proc and /sys hang."""
    return [
        Check("power.undervoltage", say("Supply voltage"), lambda: _undervoltage(root)),
        Check("power.throttled", say("Processor speed"), lambda: _throttled(root)),
        Check("temp.cpu", say("Processor temperature"), lambda: heat(health.temperature_c())),
        Check("power.supply", say("Power supply"), lambda: _supply(root)),
        Check("temp.fan", say("Fan"), lambda: _fan(root)),
        Check("mem.free", say("Free memory"), lambda: _memory(root)),
        Check("mem.swap", say("No memory swapped to the card"), lambda: _swap(root)),
        Check("mem.limit", say("Memory limits are in force"), lambda: _limit(root)),
        Check("cpu.pressure", say("Waiting for the processor"), lambda: _busy(root)),
    ]


def _undervoltage(root: Path) -> Verdict:
    word = power.throttling(root)
    if word is None:
        return skip(say("no firmware to ask (no Raspberry Pi?)"))
    if word.undervoltage:
        return fail(say("the voltage is below 4.63 V now"), _SUPPLY)
    if word.undervoltage_seen:
        return warn(say("the voltage has sagged since the boot"), _SUPPLY)
    return ok(say("has not sagged since the boot"))


def _throttled(root: Path) -> Verdict:
    word = power.throttling(root)
    if word is None:
        return skip(say("no firmware to ask (no Raspberry Pi?)"))
    fix = _SUPPLY if word.undervoltage or word.undervoltage_seen else _COOL
    if word.slowed:
        return fail(say("the processor is slowed down now"), fix)
    if word.slowed_seen:
        return warn(say("the processor was slowed down since the boot"), fix)
    return ok(say("full speed since the boot"))


def heat(celsius: float | None) -> Verdict:
    """What a temperature of the processor means."""
    if celsius is None:
        return skip(say("no sensor is visible"))
    if celsius >= HOT_C:
        return fail(say("{celsius:.0f} °C, the limit is {limit:.0f}", celsius=celsius, limit=HOT_C), _COOL)
    if celsius >= WARM_C:
        return warn(say("{celsius:.0f} °C, hot", celsius=celsius), _COOL)
    return ok(verbatim(f"{celsius:.0f} °C"))


def _supply(root: Path) -> Verdict:
    current = power.supply_ma(root)
    if current is None:
        return skip(say("this board does not ask its supply"))
    told = say("{amperes:g} A", amperes=current / 1000)
    return warn(told, _SUPPLY) if current < WANTED_MA else ok(told)


def _fan(root: Path) -> Verdict:
    found = power.fan(root)
    if found is None:
        return skip(say("there is none that the kernel drives"))
    if found.drive and not found.rpm:
        return fail(say("it is switched on and does not turn"), ALARMS["temp.fan"].fix)
    return ok(say("{rpm} turns a minute", rpm=found.rpm))


def _memory(root: Path) -> Verdict:
    found = memory.memory(root)
    if found is None:
        return skip(say("the kernel does not tell"))
    mb = found.available // 1_000_000
    told = say("{mb} MB free ({share:.0%})", mb=mb, share=found.share)
    if found.share < NO_MEMORY:
        return fail(told, _MEMORY)
    return warn(told, _MEMORY) if found.share < LOW_MEMORY else ok(told)


def _swap(root: Path) -> Verdict:
    on_disk = [name for name in memory.swap_devices(root) if "zram" not in name]
    if on_disk:
        names = ", ".join(on_disk)
        return warn(
            say("swap on {names}: footage in memory may be written to the card", names=names),
            _SWAP,
        )
    return ok(say("no swap on a disk"))


def _limit(root: Path) -> Verdict:
    try:
        controllers = (root / "sys/fs/cgroup/cgroup.controllers").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return skip(say("no control groups (version 2) here"))
    if "memory" not in controllers:
        return warn(
            say("no: the kernel was started without them"),
            say("Put cgroup_enable=memory into /boot/firmware/cmdline.txt, and reboot"),
        )
    return ok(say("yes"))


def _busy(root: Path) -> Verdict:
    share = memory.pressure("cpu", root)
    if share is None:
        return skip(say("the kernel does not count it (psi=1 in /boot/firmware/cmdline.txt)"))
    told = say("something waited for {share:.0%} of the last minute", share=share)
    return warn(told, _COOL) if share > BUSY else ok(told)
