"""The agent's lines in systemd's journal, read by `journalctl`, which knows who may read them.

The agent writes `LEVEL logger: text` to its standard error; what follows without such a head (a traceback)
belongs to the line before it. Lines that systemd itself adds about the unit have their level as a number.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, get_args

from agent.device.clock import labelled
from agent.errors import StorageError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UNITS = (
    "stairwell-agent",
    "stairwell-check",
    "stairwell-renew",
    "stairwell-reboot",
    "stairwell-update",
    "stairwell-trial",
)
Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = get_args(Level)

_HEAD = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL) ([\w.]+): (.*)", re.DOTALL)
_SYSLOG: tuple[Level, ...] = ("error",) * 4 + ("warning", "info", "info", "debug")  # syslog(3): 0 emerg … 7
_FORBIDDEN = ("not seeing messages from other users", "insufficient permissions")
"""What journalctl says to who is in no group for it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was said. `ts` is UTC, RFC 3339."""

    ts: str | None
    level: Level
    logger: str
    """The agent's logger; of another program its name."""
    text: str
    pid: int | None


@dataclass(frozen=True, slots=True)
class _Raw:
    line: Line
    head: bool
    """Whether it begins something, and does not go on with what was said before."""


def newest(*, since: float | None = None, until: float | None = None) -> Iterator[Line]:
    """What was said between two times (seconds since the epoch), the newest first.

    Raises:
        StorageError: there is no journal, or it may not be read.
    """
    tail: list[_Raw] = []
    for raw in _run(*_between(since, until), "--reverse"):
        if not raw.head:
            tail.append(raw)
            continue
        yield _joined(raw.line, [one for one in reversed(tail) if one.line.pid == raw.line.pid])
        tail = [one for one in tail if one.line.pid != raw.line.pid]
    yield from (one.line for one in tail)  # its head was rotated away


def following(since: float) -> Iterator[Line]:
    """What is said from this time on, as it is said; without end.

    Raises:
        StorageError: as `newest`.
    """
    last: dict[int | None, Line] = {}
    for raw in _run(f"--since=@{since:.6f}", "--follow", "--lines=all"):
        before = last.get(raw.line.pid)
        if raw.head or before is None:
            last[raw.line.pid] = raw.line
            yield raw.line
        else:
            yield replace(before, ts=raw.line.ts, text=raw.line.text)


def _between(since: float | None, until: float | None) -> Iterator[str]:
    if since is not None:
        yield f"--since=@{since:.6f}"
    if until is not None:
        yield f"--until=@{until:.6f}"


def _run(*arguments: str) -> Iterator[_Raw]:
    units = [f"--unit={unit}.service" for unit in UNITS]
    command = ["journalctl", "--output=json", "--no-pager", *units, *arguments]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise StorageError(
            say("no journalctl here: without systemd nobody keeps the agent's lines"),
            fix=say("read them where the agent was started"),
        ) from None
    with process:
        assert process.stdout is not None  # noqa: S101 - they are pipes
        assert process.stderr is not None  # noqa: S101
        try:
            first = process.stdout.readline()
            for line in chain([first] if first else [], process.stdout):
                yield _parsed(json.loads(line))
            said = process.stderr.read().decode(errors="replace").strip()
            process.wait()
            if not first and said:
                raise _refused(said)
        finally:
            process.terminate()


def _refused(said: str) -> StorageError:
    if any(word in said for word in _FORBIDDEN):
        return StorageError(
            say("the journal: permission denied"),
            fix=say(
                "run it with sudo, or join the group and log in again: sudo usermod -aG systemd-journal $USER"
            ),
        )
    return StorageError(
        say("the journal cannot be read ({said})", said=said),
        fix=say("see that systemd-journald runs: systemctl status systemd-journald"),
    )


def _parsed(record: dict[str, Any]) -> _Raw:
    text, pid = _text(record.get("MESSAGE")), record.get("_PID")
    name = record.get("SYSLOG_IDENTIFIER", "")
    ts = labelled(int(record["__REALTIME_TIMESTAMP"]) / 1e6)
    own = name == "stairwell"
    level = _SYSLOG[min(7, int(record.get("PRIORITY", 6)))]
    head = _HEAD.fullmatch(text) if own else None
    if head is not None:
        named, name, text = head.groups()
        level = "error" if named == "CRITICAL" else _level(named)
    line = Line(ts, level, name, text, None if pid is None else int(pid))
    return _Raw(line, not own or head is not None)


def _level(name: str) -> Level:
    return next(level for level in LEVELS if level == name.lower())


def _text(message: str | list[int] | None) -> str:
    """What journalctl makes of a line: numbers when it is no UTF-8, nothing when it is too long to show."""
    if message is None:
        return "(too long to show)"
    return message if isinstance(message, str) else bytes(message).decode(errors="replace")


def _joined(line: Line, more: Iterable[_Raw]) -> Line:
    return replace(line, text="\n".join([line.text, *(raw.line.text for raw in more)]))
