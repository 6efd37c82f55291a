"""Why the board started: what its firmware tells, and whether the agent had ended before or was cut off.

Neither tells alone. A Raspberry Pi reboots by letting its watchdog run out, so that the register of a wanted
reboot and of a hang are the same; and whoever pulls the plug on a kit leaves no word at all. The agent keeps
a mark in its state directory: it works; it has ended. What cannot be told is None.

`vcgencmd get_rsts` is what the firmware saw; the bootloaders of a Pi 4 and 5 hand the register to the kernel
as well. On a Pi 4 of 2021 the chip was reset once more on its way, and a watchdog looked like power
(github.com/raspberrypi/linux/issues/4527).
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent.durable import write_whole

if TYPE_CHECKING:
    from agent.device.clock import Clock

ROOT = Path("/")
NAME = "boot"  # in state.dir
MODE = 0o640
REGISTER = "proc/device-tree/chosen/bootloader"
REGISTER_NAMES = ("rsts", "pm_rsts")  # four bytes, the highest first
CARD_RESET = 0x0020  # linux/watchdog.h, WDIOF_CARDRESET: the watchdog started the machine anew
VCGENCMD_S = 2.0  # the firmware answers in milliseconds

# Bits of PM_RSTS (linux, bcm2835_wdt.c). Even ones may be those of a partition's number, up to bit 10.
_WATCHDOG, _SOFTWARE, _POWER = 1 << 5, 1 << 9, 1 << 12

Reset = Literal["power", "watchdog", "reboot"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Boot:
    """How this boot came about.

    `in_order`: the agent had ended before; None at its first boot. `began`: when it first started in this
    boot, seconds of the monotonic clock.
    """

    reset: Reset | None = None
    in_order: bool | None = None
    began: float | None = None


class BootRecord:
    """The mark in `directory`. `open` when the agent begins, `close` when it ends by itself, well or not."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._path = directory / NAME
        self._boot = clock.boot
        self._clock = clock

    def open(self, root: Path = ROOT, program: str = "vcgencmd") -> None:
        """Find out how this boot came about, once in each; and mark that the agent works.

        A disk that refuses has alarms of its own.
        """
        began = round(self._clock.mono(), 2)  # before it is asked of the firmware, which takes its time
        before = self._read()
        found = self._told(before)
        if found is None:
            running = None if before is None else before.get("running")
            in_order = not running if isinstance(running, bool) else None
            started = cause(register(root, program), in_order=in_order, card_reset=card_reset(root))
            found = Boot(started, in_order, began)
        self._write(found, running=True)

    def close(self) -> None:
        """The agent has ended, and was not cut off."""
        self._write(self.boot, running=False)

    @property
    def boot(self) -> Boot:
        """What `open` found out in this boot; nothing if it was not opened in it."""
        return self._told(self._read()) or Boot()

    def _told(self, record: dict[str, object] | None) -> Boot | None:
        if record is None or record.get("boot") != self._boot:
            return None
        reset, in_order, began = record.get("reset"), record.get("in_order"), record.get("began")
        return Boot(
            next((known for known in ("power", "watchdog", "reboot") if known == reset), None),
            in_order if isinstance(in_order, bool) else None,
            began if isinstance(began, float) else None,
        )

    def _read(self) -> dict[str, object] | None:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _write(self, boot: Boot, *, running: bool) -> None:
        record = {
            "boot": self._boot,
            "running": running,
            "reset": boot.reset,
            "in_order": boot.in_order,
            "began": boot.began,
        }
        try:
            write_whole(self._path, json.dumps(record).encode(), MODE)
        except OSError as error:
            _LOG.debug("%s: cannot be kept (%s)", self._path, error)


def cause(rsts: int | None, *, in_order: bool | None, card_reset: bool = False) -> Reset | None:
    """What started the board, by its register, the watchdog driver's word and the agent's mark."""
    if card_reset:
        return "watchdog"
    if rsts is None:
        return None
    if rsts & _SOFTWARE:
        return "reboot"
    if rsts & _WATCHDOG:
        return None if in_order is None else "reboot" if in_order else "watchdog"
    return "power" if rsts & _POWER else None


def card_reset(root: Path = ROOT) -> bool:
    """Whether the watchdog's driver says that the watchdog started this boot."""
    return bool((_number(root / "sys/class/watchdog/watchdog0/bootstatus") or 0) & CARD_RESET)


def register(root: Path = ROOT, program: str = "vcgencmd") -> int | None:
    """PM_RSTS as it was at the start of this boot; None on a machine that is no Raspberry Pi."""
    for name in REGISTER_NAMES:
        try:
            return int.from_bytes((root / REGISTER / name).read_bytes(), "big")
        except OSError:
            continue
    try:
        answer = subprocess.run(
            [program, "get_rsts"], capture_output=True, text=True, timeout=VCGENCMD_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.fullmatch(r"get_rsts=([0-9a-fA-F]+)\s*", answer)
    return int(found[1], 16) if found else None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"), 0)
    except (OSError, ValueError):
        return None
