"""Checks of the board: power, heat, memory. They read what kernel and firmware tell; no rights needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.device import health, memory, power
from agent.doctor.check import Check, Verdict, fail, ok, skip, warn
from agent.doctor.registry import Text

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
BUSY = 0.5  # of the last minute with something waiting for the processor: pictures are skipped by then

_SUPPLY = Text(
    "Поставте рідний блок живлення та короткий товстий кабель; від'єднайте зайве від USB",
    "Use the maker's power supply and a short thick cable; unplug what else hangs on USB",
)
_COOL = Text(
    "Дайте корпусу повітря й тінь, поставте радіатор; зменште capture.fps",
    "Give the box air and shade, fit a heat sink; lower capture.fps",
)
_MEMORY = Text(
    "Перезапустіть агента (systemctl restart stairwell-agent); зменште clips.ring_mb",
    "Restart the agent (systemctl restart stairwell-agent); lower clips.ring_mb",
)
_SWAP = Text(
    "Вимкніть swap на картці (systemctl disable --now dphys-swapfile); zram дозволено",
    "Switch off swap on the card (systemctl disable --now dphys-swapfile); zram is allowed",
)


def checks(root: Path) -> list[Check]:
    """The checks of this room; `root` is where /proc and /sys hang."""
    return [
        Check("power.undervoltage", Text("Напруга живлення", "Supply voltage"), lambda: _undervoltage(root)),
        Check("power.throttled", Text("Швидкість процесора", "Processor speed"), lambda: _throttled(root)),
        Check("temp.cpu", Text("Температура процесора", "Processor temperature"), _temperature),
        Check("mem.free", Text("Вільна пам'ять", "Free memory"), lambda: _memory(root)),
        Check(
            "mem.swap", Text("Пам'ять не йде на картку", "No memory swapped to the card"), lambda: _swap(root)
        ),
        Check("cpu.pressure", Text("Черга до процесора", "Waiting for the processor"), lambda: _busy(root)),
    ]


def _undervoltage(root: Path) -> Verdict:
    word = power.throttling(root)
    if word is None:
        return skip("прошивка не відповідає (це не Raspberry Pi?)", "no firmware to ask (no Raspberry Pi?)")
    if word.undervoltage:
        return fail("напруга нижча за 4,63 В зараз", "the voltage is below 4.63 V now", _SUPPLY)
    if word.undervoltage_seen:
        return warn("напруга просідала після запуску", "the voltage has sagged since the boot", _SUPPLY)
    return ok("не просідала після запуску", "has not sagged since the boot")


def _throttled(root: Path) -> Verdict:
    word = power.throttling(root)
    if word is None:
        return skip("прошивка не відповідає (це не Raspberry Pi?)", "no firmware to ask (no Raspberry Pi?)")
    fix = _SUPPLY if word.undervoltage or word.undervoltage_seen else _COOL
    if word.slowed:
        return fail("процесор сповільнено зараз", "the processor is slowed down now", fix)
    if word.slowed_seen:
        return warn(
            "процесор сповільнювали після запуску", "the processor was slowed down since the boot", fix
        )
    return ok("повна швидкість від запуску", "full speed since the boot")


def _temperature() -> Verdict:
    celsius = health.temperature_c()
    if celsius is None:
        return skip("датчика не видно", "no sensor is visible")
    if celsius >= HOT_C:
        return fail(
            f"{celsius:.0f} °C, межа {HOT_C:.0f}", f"{celsius:.0f} °C, the limit is {HOT_C:.0f}", _COOL
        )
    if celsius >= WARM_C:
        return warn(f"{celsius:.0f} °C, гаряче", f"{celsius:.0f} °C, hot", _COOL)
    return ok(f"{celsius:.0f} °C", f"{celsius:.0f} °C")


def _memory(root: Path) -> Verdict:
    found = memory.memory(root)
    if found is None:
        return skip("ядро не каже", "the kernel does not tell")
    mb = found.available // 1_000_000
    uk, en = f"{mb} МБ вільно ({found.share:.0%})", f"{mb} MB free ({found.share:.0%})"
    if found.share < NO_MEMORY:
        return fail(uk, en, _MEMORY)
    return warn(uk, en, _MEMORY) if found.share < LOW_MEMORY else ok(uk, en)


def _swap(root: Path) -> Verdict:
    on_disk = [name for name in memory.swap_devices(root) if "zram" not in name]
    if on_disk:
        names = ", ".join(on_disk)
        return warn(
            f"swap на {names}: відео з пам'яті може лягти на картку",
            f"swap on {names}: footage in memory may be written to the card",
            _SWAP,
        )
    return ok("swap на диску немає", "no swap on a disk")


def _busy(root: Path) -> Verdict:
    share = memory.pressure("cpu", root)
    if share is None:
        return skip("ядро без PSI", "the kernel has no PSI")
    uk, en = (
        f"{share:.0%} останньої хвилини хтось чекав",
        f"something waited for {share:.0%} of the last minute",
    )
    return warn(uk, en, _COOL) if share > BUSY else ok(uk, en)
