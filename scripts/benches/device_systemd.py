"""The service under real systemd while a part of it stands still: see guest/service.py for what is promised.

A thread is stopped from outside by ptrace, so the agent under test is the packaged one, without hooks.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import container
from device_package import GUEST, built, recipient, reported
from findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

REBOOTS = "The tenth failure within an hour makes the kit reboot; the agent has no right to it of its own."
LIMIT_S = 2400.0  # stalls are found by time-outs of up to two minutes each


def findings_of(suite: str) -> Iterator[Finding]:
    """Start, watchdog, a stall of each stage, a reboot that the service asks for."""
    container.debian(suite)
    with tempfile.TemporaryDirectory(dir=container.ROOTS) as directory:
        files = {
            "machine.py": GUEST / "machine.py",
            "agent.deb": built(suite, Path(directory) / "deb"),
            "freeze.py": GUEST / "freeze.py",
            "recipient": recipient(Path(directory)),
        }
        done = container.boot(container.debian(suite), GUEST / "service.py", files, LIMIT_S)
    yield from reported("systemd", suite, done)
    yield Finding("systemd", suite, "reboots", REBOOTS, done.rebooted, 0.0, {"failures": 10})
