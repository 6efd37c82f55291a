"""A disk that a card is written to: what it is, and whether it may be written at all."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from agent.errors import StairwellError

BLOCKS = Path("/sys/dev/block")
MOUNTINFO, SWAPS = Path("/proc/self/mountinfo"), Path("/proc/swaps")
SECTOR = 512  # of /sys/block/*/size, whatever the disk's own is


@dataclass(frozen=True, slots=True)
class Disk:
    """A whole disk, as the kernel describes it."""

    path: Path
    model: str
    size: int
    removable: bool
    """It can be taken out: a USB stick or reader, or an SD card in a slot of the machine."""
    in_use: tuple[str, ...]
    """Where it, or a partition of it, is mounted, or what else holds it."""

    def __str__(self) -> str:
        return f"{self.path}: {self.model}, {self.size / 1e9:.1f} GB"


def disk_at(path: Path) -> Disk | None:
    """The disk that `path` is; None when it is no block device, or nothing that can be looked at.

    Raises:
        StairwellError: it is a partition of a disk.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    if not stat.S_ISBLK(found.st_mode):
        return None
    return described(path, BLOCKS / f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}")


def described(path: Path, home: Path, mountinfo: Path = MOUNTINFO) -> Disk:
    """The disk at `path`, which the kernel describes in the directory `home`.

    Raises:
        StairwellError: it is a partition of a disk.
    """
    home = home.resolve()
    if (home / "partition").exists():
        raise StairwellError(f"{path}: a partition", fix=f"name the whole disk, /dev/{home.parent.name}")
    kind = _read(home / "device" / "type")  # "SD" of a card in a slot, "MMC" of a soldered one
    model = " ".join(filter(None, (_read(home / "device" / "vendor"), _read(home / "device" / "model"))))
    return Disk(
        path=path,
        model=model or _read(home / "device" / "name") or home.name,
        size=int(_read(home / "size") or 0) * SECTOR,
        removable=_read(home / "removable") == "1" or kind == "SD",
        in_use=_uses(home, mountinfo),
    )


def check(disk: Disk, needed: int, *, force: bool) -> None:
    """Whether a card of `needed` bytes may be written to it; `force` allows a disk that cannot be taken out.

    Raises:
        StairwellError: it may not; the text says why.
    """
    if disk.in_use:
        raise StairwellError(
            f"{disk}: in use ({', '.join(disk.in_use)})",
            fix="unmount it, if it is the card: its name is above",
        )
    if not disk.removable and not force:
        raise StairwellError(
            f"{disk}: not a removable disk", fix="look whether it is the card; if it is, say --force"
        )
    if disk.size < needed:
        raise StairwellError(
            f"{disk}: too small for {needed / 1e9:.1f} GB",
            fix="put in a larger card (or any, if there is none)",
        )


def _uses(home: Path, mountinfo: Path) -> tuple[str, ...]:
    own = [home, *(path.parent for path in home.glob("*/partition"))]
    numbers = {_read(path / "dev") for path in own}
    lines = (line.split() for line in mountinfo.read_text(encoding="utf-8").splitlines())
    mounted = [words[4] for words in lines if words[2] in numbers]
    swaps = {line.split()[0] for line in SWAPS.read_text(encoding="utf-8").splitlines()[1:] if line}
    swapped = ["swap" for path in own if f"/dev/{path.name}" in swaps]
    held = [holder.name for path in own for holder in (path / "holders").glob("*")]
    return (*mounted, *swapped, *held)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
