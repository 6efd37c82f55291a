"""What the power supply and the heat do to a Raspberry Pi, as its firmware tells."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
SUPPLY = "proc/device-tree/chosen/power/max_current"
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
VCGENCMD_S = 2.0  # the firmware answers in milliseconds; one that is silent for so long has hung

# Bits of get_throttled, by the documentation of Raspberry Pi OS ("vcgencmd get_throttled").
_UNDERVOLTAGE, _CAPPED, _THROTTLED, _SOFT_LIMIT = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_SINCE_BOOT = 16  # the same four again, shifted: it has happened since the boot


@dataclass(frozen=True, slots=True)
class Throttling:
    """The firmware's word `get_throttled`, read."""

    bits: int

    @property
    def undervoltage(self) -> bool:
        """The supply is below 4.63 V now."""
        return bool(self.bits & _UNDERVOLTAGE)

    @property
    def undervoltage_seen(self) -> bool:
        """It was, since the boot."""
        return bool(self.bits & _UNDERVOLTAGE << _SINCE_BOOT)

    @property
    def slowed(self) -> bool:
        """The processor is held below its speed now, by heat or by want of power."""
        return bool(self.bits & (_CAPPED | _THROTTLED | _SOFT_LIMIT))

    @property
    def slowed_seen(self) -> bool:
        """It was, since the boot."""
        return bool(self.bits & (_CAPPED | _THROTTLED | _SOFT_LIMIT) << _SINCE_BOOT)


@dataclass(frozen=True, slots=True)
class Fan:
    """A fan."""

    drive: int
    """0 off, 255 full."""
    rpm: int


def throttling(root: Path = ROOT, program: str = "vcgencmd") -> Throttling | None:
    """What the firmware says; None on a machine that is no Raspberry Pi, or where it may not be asked.

    The kernel's file is asked first; newer kernels have it no more, then the firmware's own program is.
    """
    try:
        return Throttling(int((root / THROTTLED).read_text(encoding="ascii").strip(), 16))
    except (OSError, ValueError):
        pass
    try:
        answer = subprocess.run(
            [program, "get_throttled"], capture_output=True, text=True, timeout=VCGENCMD_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.fullmatch(r"throttled=0x([0-9a-fA-F]+)\s*", answer)
    return Throttling(int(found[1], 16)) if found else None


def supply_ma(root: Path = ROOT) -> int | None:
    """What the power supply has agreed to give, mA; None on boards that do not ask it (before the Pi 5)."""
    try:
        return int.from_bytes((root / SUPPLY).read_bytes()[:4], "big") or None
    except OSError:
        return None


def fan(root: Path = ROOT) -> Fan | None:
    """The fan that the kernel drives; None without one."""
    for home in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        try:
            if (home / "name").read_text(encoding="ascii").strip() == "pwmfan":
                return Fan(
                    *(int((home / name).read_text(encoding="ascii")) for name in ("pwm1", "fan1_input"))
                )
        except (OSError, ValueError):
            continue
    return None
