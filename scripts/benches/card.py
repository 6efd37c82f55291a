"""A card for a bench: ext4 as on a kit, in a file, whose block device counts what reaches it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import StairwellError

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE_MB = 512
SECTOR = 512  # of /sys/block/*/stat, whatever the disk's own are
SECTORS_WRITTEN = 6  # the place of that figure there: Documentation/block/stat.rst
# Blocks as on any card of more than 512 MB, and nothing left for the kernel to write in the background.
FORMAT = ("-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0")
OPTIONS = "noatime"  # as Raspberry Pi OS mounts its card


@dataclass(frozen=True, slots=True)
class Card:
    """It lies at `place`, which is its file system's root."""

    place: Path
    device: str

    def written(self) -> int:
        """Bytes that have reached the device, the file system's journal included; what waits goes first."""
        fd = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        subprocess.run(["sync", "--file-system", self.place], check=True)
        counters = Path(f"/sys/class/block/{self.device}/stat").read_text("ascii").split()
        return SECTOR * int(counters[SECTORS_WRITTEN])


@contextlib.contextmanager
def card(directory: Path, options: str = OPTIONS) -> Iterator[Card]:
    """A card that is mounted in `directory`, with these options.

    Raises:
        StairwellError: nobody may mount here.
    """
    image, place = directory / "card.img", directory / "card"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE_MB * 1_000_000)
    try:
        _run("mkfs.ext4", *FORMAT, image)
        device = _run("losetup", "--find", "--show", image)
    except (OSError, subprocess.CalledProcessError) as error:
        raise _refused(error) from None
    try:
        _run("mount", "-o", options, device, place)
        try:
            yield Card(place, Path(device).name)
        finally:
            _run("umount", place)
    except subprocess.CalledProcessError as error:
        raise _refused(error) from None
    finally:
        _run("losetup", "--detach", device)


def _run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _refused(error: OSError | subprocess.CalledProcessError) -> StairwellError:
    said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
    return StairwellError(
        f"a card in a file: {said}", fix="run it as root, where loop devices may be mounted"
    )
