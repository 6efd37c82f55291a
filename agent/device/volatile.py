"""A key that never reaches the card: it outlives this process at most, never the power."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_BYTES = 32
MOUNTS = Path("/proc/self/mountinfo")
IN_MEMORY = {"tmpfs", "ramfs"}


def volatile_key(environment: Mapping[str, str] = os.environ, mounts: Path = MOUNTS) -> bytes:
    """32 random bytes: the same again after a restart of the service, others after a power cut.

    They lie in systemd's RUNTIME_DIRECTORY, if that is in memory; without it they are new in each process.
    """
    fresh = os.urandom(KEY_BYTES)
    directory = memory_dir(environment, mounts)
    if directory is None:
        return fresh
    path = directory / "pictures.key"
    with contextlib.suppress(FileNotFoundError):
        if len(kept := path.read_bytes()) == KEY_BYTES:
            return kept
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, fresh)
    finally:
        os.close(descriptor)
    return fresh


def memory_dir(environment: Mapping[str, str] = os.environ, mounts: Path = MOUNTS) -> Path | None:
    """Systemd's RUNTIME_DIRECTORY, if it is there and in memory."""
    named = _named(environment)
    return Path(named) if named and _file_system(Path(named), mounts) in IN_MEMORY else None


def runtime_dir(otherwise: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where this run keeps what ends with it: systemd's RUNTIME_DIRECTORY, or the place given."""
    named = _named(environment)
    return Path(named) if named else otherwise


def _named(environment: Mapping[str, str]) -> str:
    return environment.get("RUNTIME_DIRECTORY", "").split(":")[0]


def _file_system(path: Path, mounts: Path) -> str:
    """The type of the file system that `path` lies on (proc(5): the one with the longest mount point)."""
    best, kind = -1, ""
    for line in mounts.read_text(encoding="utf-8").splitlines():
        left, _, right = line.partition(" - ")
        point = Path(left.split()[4].replace("\\040", " "))
        if path.resolve().is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split()[0]
    return kind
