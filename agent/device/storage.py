"""The disk that a path lies on: its size, its file system's errors, and how worn its flash is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Space:
    """A file system, in bytes; `free` is what an unprivileged process may still take."""

    total: int
    free: int

    @property
    def share(self) -> float:
        """The free part, 0..1."""
        return self.free / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Card:
    """A card or chip of flash (mmc). What the kernel does not tell is None.

    `life` is the part of its life that is used up, 0.1 = 10 % and at most 1.1, by JESD84-B51 (EXT_CSD 268f.);
    SD cards do not have it. `spent` says that its spare blocks run out (PRE_EOL_INFO above 1).
    """

    name: str
    serial: str | None
    made: str | None
    life: float | None
    spent: bool | None


def space(path: Path) -> Space | None:
    """The file system of `path`; None when it does not answer."""
    try:
        state = os.statvfs(path)
    except OSError:
        return None
    return Space(state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize)


def inodes(path: Path) -> float | None:
    """The free share of the file system's places for files; None where there is no such limit."""
    try:
        state = os.statvfs(path)
    except OSError:
        return None
    return state.f_favail / state.f_files if state.f_files else None


def mount_point(path: Path) -> Path:
    """The directory at which the file system of `path` is mounted."""
    whole = path.resolve()
    return next((folder for folder in (whole, *whole.parents) if folder.is_mount()), whole)


def device(path: Path, root: Path = ROOT) -> str | None:
    """The whole disk that `path` lies on (`mmcblk0`), None where it is no disk (tmpfs …)."""
    try:
        number = path.stat().st_dev
        real = (root / f"sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve(strict=True)
    except OSError:
        return None
    return real.parent.name if (real / "partition").exists() else real.name


def partition(path: Path, root: Path = ROOT) -> str | None:
    """The partition that `path` lies on (`mmcblk0p2`), None as in `device`."""
    try:
        number = path.stat().st_dev
        return (root / f"sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve(strict=True).name
    except OSError:
        return None


def file_system_errors(name: str, root: Path = ROOT) -> int | None:
    """Errors that ext4 has counted on a partition since it was made; None where nobody counts."""
    return _number(root / f"sys/fs/ext4/{name}/errors_count")


def card(name: str, root: Path = ROOT) -> Card | None:
    """The flash behind a disk; None when it is no card."""
    home = root / f"sys/block/{name}/device"
    title = _text(home / "name")
    if title is None or _text(home / "cid") is None:
        return None
    # "0x01 0x02": two kinds of blocks, each in tenths of its life; 0 is "not defined".
    tenths = [int(word, 16) for word in (_text(home / "life_time") or "").split()]
    state = _text(home / "pre_eol_info")
    return Card(
        title,
        _text(home / "serial"),
        _text(home / "date"),
        max(tenths) / 10 if any(tenths) else None,
        None if state is None or int(state, 16) == 0 else int(state, 16) > 1,
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and text.isdigit() else None
