"""How this machine was started, and how it ended before."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from agent.device import program

ROOT = Path("/")
JOURNAL = "var/log/journal"
LAST_WORD = "Journal stopped"  # systemd-journald's, at every orderly shutdown
JOURNAL_S = 15.0  # a worn card reads 64 MB of journal for so long


def watchdog(root: Path = ROOT) -> str | None:
    """What the first hardware watchdog does (`active`, `inactive`); None where there is none.

    From sysfs (Documentation/ABI/testing/sysfs-class-watchdog).
    """
    return _text(root / "sys/class/watchdog/watchdog0/state")


def boots() -> list[float] | None:
    """When each boot began that the journal knows, in seconds since 1970, oldest first; None without one.

    `journalctl --list-boots` has a line of headings since systemd 254, and none before.
    """
    answer = program.ask("journalctl", "--list-boots", "--quiet", timeout_s=JOURNAL_S)
    if answer is None or answer.code != 0:
        return None
    found = re.findall(
        r"^ *-?\d+ +[0-9a-f]{32} +\w{3} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", answer.out, re.MULTILINE
    )
    return [datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp() for when in found] or None


def ended_in_order() -> bool | None:
    """Whether the boot before this one was shut down; False for a power cut, a crash or a watchdog.

    None when the journal does not reach that far back, or is not ours to read.
    """
    answer = program.ask(
        "journalctl", "--boot=-1", "--lines=20", "--output=cat", "--quiet", timeout_s=JOURNAL_S
    )
    if answer is None or answer.code != 0 or not answer.out.strip():
        return None
    return LAST_WORD in answer.out


def disk_errors() -> list[str] | None:
    """What the kernel has said of cards and file systems since the boot; None when it is not ours to read."""
    pattern = r"I/O error|EXT4-fs error|mmc[0-9]+: (error|timeout|card never)|mmcblk[0-9]+.*(error|timed out)"
    words = ("--dmesg", "--boot", "--output=cat", "--quiet", "--lines=200")
    seen = program.ask("journalctl", *words, "--lines=1", timeout_s=JOURNAL_S)
    if seen is None or seen.code != 0 or not seen.out.strip():
        return None
    answer = program.ask("journalctl", *words, f"--grep={pattern}", timeout_s=JOURNAL_S)
    return None if answer is None else answer.out.splitlines()  # it ends with 1 when nothing fits


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
