"""A service of systemd's, as systemctl tells of it. Nobody needs rights for that."""

from __future__ import annotations

from dataclasses import dataclass

from agent.device import program

NAME = "stairwell-agent.service"
_PROPERTIES = ("LoadState", "ActiveState", "Result", "NRestarts", "UnitFileState", "ExecMainStatus")


@dataclass(frozen=True, slots=True)
class Unit:
    """Its state, in systemd's words."""

    active: str
    """active, activating, deactivating, inactive, failed"""
    result: str
    """success, exit-code, signal, watchdog, oom-kill, timeout …"""
    status: int
    """Of the last end: an exit code, or a signal's number."""
    restarts: int
    """By systemd itself, since somebody started it last."""
    enabled: bool
    """It is started at boot."""


def unit(name: str = NAME) -> Unit | None:
    """The service; None where there is no systemd, or no such service."""
    answer = program.ask("systemctl", "show", name, f"--property={','.join(_PROPERTIES)}")
    if answer is None or answer.code != 0:
        return None
    told = dict(line.split("=", 1) for line in answer.out.splitlines() if "=" in line)
    if told.get("LoadState") != "loaded":
        return None
    return Unit(
        told.get("ActiveState", ""),
        told.get("Result", ""),
        _number(told.get("ExecMainStatus")),
        _number(told.get("NRestarts")),
        told.get("UnitFileState") in {"enabled", "enabled-runtime", "static", "alias", "indirect"},
    )


def active(*names: str) -> str | None:
    """The first of these services that runs."""
    for name in names:
        found = unit(name)
        if found is not None and found.active == "active":
            return name
    return None


def exposure(name: str = NAME) -> float | None:
    """What systemd-analyze makes of its sandbox: 0 closed, 10 open; None where it cannot be asked."""
    answer = program.ask("systemd-analyze", "security", "--no-pager", name, timeout_s=10.0)
    if answer is None:
        return None
    last = answer.out.rstrip().rpartition("\n")[2]  # "→ Overall exposure level for …: 1.3 OK 🙂"
    words = last.rpartition(": ")[2].split()
    try:
        return float(words[0]) if "exposure level" in last and words else None
    except ValueError:
        return None


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
