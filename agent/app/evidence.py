"""What a support bundle is made of: an allow-list of sources, each with an allow-list of its parts.

No picture, no key, no message, and nothing that names a person or a place is among them; what is free text
(journal, kernel, the doctor's findings) still goes through a Censor before it is packed.
"""

from __future__ import annotations

import contextlib
import json
import platform
import subprocess
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_origin

import agent
from agent.app import hatch, wear
from agent.app.asking import asked
from agent.app.chronicle import Chronicle, Wanted, database_of
from agent.app.examination import examination
from agent.app.onlooker import look
from agent.capture.kind import source_kind
from agent.config import Settings
from agent.device import health, journald
from agent.device.storage import space
from agent.doctor import runner
from agent.errors import ConfigError, StairwellError
from agent.words import say

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from agent.device.clock import Clock

LINES = 2000  # of the journal: hours of a talkative agent, weeks of a quiet one
LINE_MAX = 2000  # characters of one with its traceback
KERNEL_LINES = 400
AUDIT_LINES = 300
WEAR_DAYS = 30
PROGRAM_S = 10.0
UNITS = (
    "stairwell-agent.service",
    "stairwell-check.timer",
    "stairwell-renew.timer",
    "stairwell-reboot.path",
    "stairwell-update.path",
    "stairwell-trial.path",
)
PROPERTIES = (
    "ActiveState",
    "SubState",
    "Result",
    "NRestarts",
    "ExecMainStatus",
    "ExecMainStartTimestamp",
    "MemoryCurrent",
    "MemoryHigh",
    "MemoryMax",
    "CPUUsageNSec",
    "UnitFileState",
)
"""Of a unit. Neither its environment nor its commands: people put passwords there."""
MEMORY = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree", "CmaTotal", "CmaFree")
COUNTS = {
    "clips": "SELECT count(*), total(bytes), total(held), total(truncated), total(announced = 0) FROM clips",
    "open_clips": "SELECT count(*) FROM open_clips",
    "garbage": "SELECT count(*) FROM garbage",
    "open_events": "SELECT count(*) FROM open_events",
    "orders": "SELECT status, count(*) FROM orders GROUP BY status",
    "pages": "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size",
}

Source = tuple[str, "Callable[[], Any]"]


def sources(settings: Settings, clock: Clock, trouble: ConfigError | None, *, quick: bool) -> list[Source]:
    """Each file of the bundle, and what gathers its content (JSON types).

    One that cannot raises StairwellError, OSError, ValueError or subprocess.SubprocessError. `trouble` is
    what is wrong with the kit's own configuration, if that is why `settings` are the defaults.
    """
    return [
        ("machine.json", lambda: _machine(settings)),
        ("settings.json", lambda: _settings(settings, trouble)),
        ("units.json", _units),
        ("status.json", lambda: json.loads(asked(lambda: hatch.reach(settings.state.dir, "status")))),
        ("database.json", lambda: _database(settings, clock)),
        ("doctor.json", lambda: _doctor(settings, clock, quick=quick)),
        ("journal.json", _journal),
        ("kernel.json", _kernel),
    ]


def literals(settings: Settings) -> list[str]:
    """What must not leave the kit whatever it consists of: where it hangs, and its secrets."""
    found = [str(value) for key, value in settings.site.model_dump().items() if key != "floor"]
    found += [mask.name for mask in settings.privacy.masks]
    found += [zone.name for zone in settings.view.zones] + [line.name for line in settings.view.lines]
    address = settings.capture.source
    found += [address] if source_kind_or_none(address) in {"rtsp", "http", "tcp", "udp"} else []
    if "@" in address:
        user, _, password = address.split("://")[-1].rpartition("@")[0].partition(":")
        found += [user, password]
    path = settings.backbone.password_file
    if path is not None:
        with contextlib.suppress(OSError):  # who may not read it cannot give it away
            found.append(path.read_text(encoding="utf-8", errors="replace").strip())
    return found


def source_kind_or_none(address: str) -> str | None:
    """The kind of a source, None for an address that is none."""
    try:
        return source_kind(address)
    except ConfigError:
        return None


def _machine(settings: Settings) -> dict[str, Any]:
    room = space(settings.state.dir)
    release = _pairs(Path("/etc/os-release"), "=")
    memory = _pairs(Path("/proc/meminfo"), ":")
    return {
        "agent": agent.__version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "model": health.model(),
        "system": {key: release.get(key, "").strip('"') for key in ("ID", "VERSION_ID")},
        "memory_kb": {key: int(memory[key].split()[0]) for key in MEMORY if key in memory},
        "uptime_s": float(Path("/proc/uptime").read_text(encoding="ascii").split()[0]),
        "load": Path("/proc/loadavg").read_text(encoding="ascii").split()[:3],
        "temperature_c": health.temperature_c(),
        "state_disk": None if room is None else asdict(room),
        "state_read_only": health.read_only(settings.state.dir),
        "interfaces": {
            path.name: (path / "operstate").read_text(encoding="ascii").strip()
            for path in sorted(Path("/sys/class/net").iterdir())
            if (path / "operstate").is_file()
        },
    }


def _settings(settings: Settings, trouble: ConfigError | None) -> dict[str, Any]:
    """Numbers, switches and choices; of texts and tables only whether and how many. Nothing of `site`."""
    shown: dict[str, Any] = {}
    for section in Settings.model_fields:
        if section == "site":
            continue
        values = getattr(settings, section)
        shown[section] = {
            key: _shown(getattr(values, key), field.annotation)
            for key, field in type(values).model_fields.items()
        }
    shown["capture"]["source"] = source_kind_or_none(settings.capture.source)
    return {"trouble": None if trouble is None else str(trouble), "values": shown}


def _shown(value: object, kind: object) -> object:
    if value is None or isinstance(value, bool | int | float) or get_origin(kind) is Literal:
        return value
    if isinstance(value, tuple):
        return {"count": len(value)}
    return {"set": bool(str(value))}


def _units() -> dict[str, Any]:
    found = {}
    for unit in UNITS:
        said = _output("systemctl", "show", unit, f"--property={','.join((*PROPERTIES, 'DropInPaths'))}")
        values = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        drop_ins = len(values.pop("DropInPaths", "").split())
        found[unit] = {**values, "drop_ins": drop_ins}
    return found


def _database(settings: Settings, clock: Clock) -> dict[str, Any]:
    """How much there is, and not of what: no message, no requester, no name of a file."""
    chronicle = Chronicle(settings, clock)
    numbers = chronicle.numbers()
    kinds: dict[str, int] = {}
    for letter in chronicle.letters(Wanted()):
        kind = letter.kind.split("/")[0]
        kinds[kind] = kinds.get(kind, 0) + 1

    def counts(tx: sqlite3.Connection) -> dict[str, Any]:
        return {name: tx.execute(query).fetchall() for name, query in COUNTS.items()}

    return {
        "outbox": None if numbers is None else asdict(numbers),
        "waiting": kinds,
        "counts": look(database_of(settings), counts),
        "alarms": look(
            database_of(settings),
            lambda tx: [code for (code,) in tx.execute("SELECT code FROM active_alarms ORDER BY code")],
        ),
        "wear": look(database_of(settings), lambda tx: list(wear.days(tx, WEAR_DAYS))),
        "audit": [
            {"ts": line.at.ts, "cmd": line.cmd, "status": line.status, "code": line.code}
            for line in chronicle.audit(Wanted(AUDIT_LINES))
        ],
    }


def _doctor(settings: Settings, clock: Clock, *, quick: bool) -> list[dict[str, Any]]:
    checks = runner.chosen(examination(settings, clock), quick=quick)
    results = sorted(runner.run(checks), key=lambda result: result.check.code)
    return [
        {
            "code": result.check.code,
            "status": result.verdict.status.value,
            "text": result.verdict.text.told("en"),
            "seconds": round(result.seconds, 3),
        }
        for result in results
    ]


def _journal() -> list[dict[str, Any]]:
    return [
        {"ts": line.ts, "level": line.level, "logger": line.logger, "text": line.text[:LINE_MAX]}
        for line in islice(journald.newest(), LINES)
    ]


def _kernel() -> list[str]:
    """What the kernel warned of; the newest last."""
    said = _output("dmesg", "--level=emerg,alert,crit,err,warn")
    return [line[:LINE_MAX] for line in said.splitlines()[-KERNEL_LINES:]]


def _output(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=PROGRAM_S, check=False
    )
    if done.returncode:
        raise StairwellError(
            say("{name}: {reason}", name=command[0], reason=done.stderr.strip() or done.returncode),
            fix=say("run it with sudo"),
        )
    return done.stdout


def _pairs(path: Path, between: str) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    parted = (line.partition(between) for line in lines)
    return {key.strip(): value.strip() for key, _, value in parted if value}
