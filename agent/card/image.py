"""An official image: where its partitions lie, and which system it is. It is only read, and not as root."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agent.card.program import ProgramError, run
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

SECTOR = 512
SIGNATURE_AT, ENTRIES_AT, ENTRY_BYTES = 510, 446, 16  # of a master boot record
FAT_KINDS, LINUX_KIND, PROTECTIVE_KIND = {0x0B, 0x0C}, 0x83, 0xEE
OFFICIAL = "take a Raspberry Pi OS Lite (64-bit) image, Bookworm or Trixie, from raspberrypi.com"

Suite = Literal["bookworm", "trixie"]
SUITES: dict[str, Suite] = {"bookworm": "bookworm", "trixie": "trixie"}


@dataclass(frozen=True, slots=True)
class Partition:
    """Where a partition lies, in bytes."""

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The official layout: one FAT partition to boot from, one ext4 with the system."""

    boot: Partition
    root: Partition
    size: int


@dataclass(frozen=True, slots=True)
class System:
    """What the image is."""

    suite: Suite
    cloud_init: bool
    """It is customised by cloud-init; else by firstrun.sh (Bookworm, and the first images of Trixie)."""


def layout(path: Path) -> Layout:
    """Where the partitions of the raw image at `path` lie.

    Raises:
        ConfigError: it cannot be read, has another layout, or ends before its partitions do.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(SECTOR)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", fix=OFFICIAL) from None
    if len(head) < SECTOR or head[SIGNATURE_AT:] != b"\x55\xaa":
        raise ConfigError(f"{path}: no disk image (it has no partition table)", fix=OFFICIAL)
    found = []
    for number in range(4):
        entry = head[ENTRIES_AT + number * ENTRY_BYTES :][:ENTRY_BYTES]
        kind = entry[4]
        start, count = struct.unpack_from("<II", entry, 8)
        if kind:
            found.append((kind, Partition(start * SECTOR, count * SECTOR)))
    kinds = [kind for kind, _ in found]
    if len(kinds) != 2 or kinds[0] not in FAT_KINDS or kinds[1] != LINUX_KIND:  # noqa: PLR2004 # as Layout says
        what = "GPT" if PROTECTIVE_KIND in kinds else f"partitions {', '.join(f'{k:02x}' for k in kinds)}"
        raise ConfigError(f"{path}: not the layout of an official image ({what})", fix=OFFICIAL)
    boot, root = (partition for _, partition in found)
    end = root.start + root.size
    if not 2 * SECTOR <= boot.start < boot.start + boot.size <= root.start:
        raise ConfigError(f"{path}: its partitions overlap", fix=OFFICIAL)
    if end > size:
        raise ConfigError(
            f"{path}: cut off after {size} of {end} bytes", fix="download it again, and check its SHA-256"
        )
    return Layout(boot, root, size)


def identify(path: Path, where: Layout) -> System:
    """Which system the raw image at `path` holds, by what lies in its root.

    Raises:
        ConfigError: it is not Raspberry Pi OS Lite (64-bit) of a suite that we know.
    """
    root = f"{path}?offset={where.root.start}"
    issue = _text(root, "/etc/rpi-issue")
    if "Raspberry Pi reference" not in issue:
        raise ConfigError(f"{path}: no Raspberry Pi OS in its root partition", fix=OFFICIAL)
    name = re.search(r"^VERSION_CODENAME=(\w+)$", _text(root, "/usr/lib/os-release"), re.MULTILINE)
    suite = SUITES.get(name[1]) if name else None
    if suite is None:
        raise ConfigError(f"{path}: its suite is {name[1] if name else 'unknown'}", fix=OFFICIAL)
    if not _there(root, "/usr/lib/aarch64-linux-gnu"):
        raise ConfigError(f"{path}: a 32-bit system", fix=OFFICIAL)
    stage = re.search(r"\bstage(\d)\b", issue)
    if stage is None or stage[1] != "2":  # pi-gen: 2 is Lite, 4 and 5 have a desktop
        raise ConfigError(
            f"{path}: not the Lite image ({stage[0] if stage else 'no stage named'})", fix=OFFICIAL
        )
    return System(suite, cloud_init=_there(root, "/etc/cloud/cloud.cfg"))


def _text(root: str, path: str) -> str:
    """A file's content; empty when there is none (debugfs then only complains)."""
    try:
        return run("debugfs", "-R", f"cat {path}", root).decode(errors="replace")
    except ProgramError:
        return ""


def _there(root: str, path: str) -> bool:
    return b"Inode:" in run("debugfs", "-R", f"stat {path}", root)
