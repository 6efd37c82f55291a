"""How good the line is that leads out: what the kernel counts, the neighbour, the modem. Nothing is sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from agent.device import program

ROOT = Path("/")
_COMPLETE = 0x2  # linux/if_arp.h, ATF_COM: the neighbour has answered


@dataclass(frozen=True, slots=True)
class Line:
    """An interface's own figures; None where it has no such thing."""

    speed: int | None
    """Mbit/s."""
    duplex: str | None
    """full or half."""
    mtu: int | None
    packets: int
    """Received since the boot."""
    damaged: int
    """Of them, by checksum or length."""


@dataclass(frozen=True, slots=True)
class Modem:
    """A mobile modem, as ModemManager tells of it."""

    state: str
    """connected, registered, searching, locked, failed …"""
    why: str
    """Of a failed one: sim-missing, sim-error …; empty else."""
    quality: int | None
    """Percent."""


def line(interface: str, root: Path = ROOT) -> Line:
    """The figures of an interface."""
    home = root / "sys/class/net" / interface
    damaged = sum(_number(home / "statistics" / name) or 0 for name in ("rx_crc_errors", "rx_length_errors"))
    speed = _number(home / "speed")
    return Line(
        speed if speed and speed > 0 else None,
        _text(home / "duplex"),
        _number(home / "mtu"),
        _number(home / "statistics/rx_packets") or 0,
        damaged,
    )


def neighbour(address: str, root: Path = ROOT) -> bool | None:
    """Whether this neighbour answered when it was last spoken to; None when it was not, or is no neighbour.

    From /proc/net/arp (proc(5)); IPv4 only.
    """
    for row in (_text(root / "proc/net/arp") or "").splitlines()[1:]:
        words = row.split()
        if words[0] == address:
            return bool(int(words[2], 16) & _COMPLETE)
    return None


def modem() -> Modem | None:
    """The first modem; None without ModemManager or a modem."""
    answer = program.ask("mmcli", "--modem=any", "--output-json")
    if answer is None or answer.code != 0:
        return None
    try:
        generic = json.loads(answer.out)["modem"]["generic"]
        quality = generic["signal-quality"]["value"]
        why = generic.get("state-failed-reason", "--")
        return Modem(generic["state"], "" if why in {"--", "none"} else why, int(quality))
    except (ValueError, KeyError, TypeError):
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:  # EINVAL as well: a radio has no speed
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and text.lstrip("-").isdigit() else None
