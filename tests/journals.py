"""A journal as systemd keeps it, and a `journalctl` that reads nothing else."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WRITER = "/lib/systemd/systemd-journal-remote"
BOOT = "0123456789abcdef0123456789abcdef"
BEGAN = 1_795_773_600  # 2026-11-27T10:00:00Z


def record(text: str, at: float, *, name: str = "stairwell", pid: int = 100, priority: int = 6) -> bytes:
    """One line of the unit, in the Journal Export Format; by `name` systemd also those about it."""
    unit = "_SYSTEMD_UNIT" if name == "stairwell" else "UNIT"
    micros = int((BEGAN + at) * 1e6)
    fields = [
        f"__REALTIME_TIMESTAMP={micros}",
        f"__MONOTONIC_TIMESTAMP={int((at + 100) * 1e6)}",
        f"_BOOT_ID={BOOT}",
        f"PRIORITY={priority}",
        f"SYSLOG_IDENTIFIER={name}",
        f"_PID={pid}",
        f"{unit}=stairwell-agent.service",
        f"MESSAGE={text}",
    ]
    return "\n".join([*fields, "", ""]).encode()


def journal(directory: Path, records: list[bytes]) -> Path:
    """A directory for PATH whose `journalctl` is systemd's own, on a journal of these records alone."""
    directory.mkdir()
    (directory / "records").write_bytes(b"".join(records))
    written = [WRITER, "--output", directory / "test.journal", directory / "records"]
    subprocess.run(written, check=True, capture_output=True)
    # It is written into eight megabytes of zeros, which need not lie on a disk.
    subprocess.run(["fallocate", "--dig-holes", directory / "test.journal"], check=True)
    program = directory / "journalctl"
    program.write_text(
        f'#!/bin/sh\nexec {shutil.which("journalctl")} --file "{directory}/test.journal" "$@"\n'
    )
    program.chmod(0o755)
    return directory
