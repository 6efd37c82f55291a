"""A card to be filled, spoilt and pulled: a file system in a file."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CARD_MB = 20


class Card:
    """A file system in a file, mounted by a loop device."""

    def __init__(self, directory: Path) -> None:
        if os.getuid() != 0:
            pytest.skip("mounting a card needs root")
        self.place, self._image = directory / "card", directory / "card.img"
        self.place.mkdir()
        with self._image.open("wb") as file:
            file.truncate(CARD_MB * 1_000_000)
        try:
            subprocess.run(["mkfs.ext4", "-q", self._image], check=True, capture_output=True)
            self.mount()
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("this container may not mount, or has no mkfs.ext4")

    def mount(self) -> None:
        """Put it in."""
        subprocess.run(["mount", "-o", "loop", self._image, self.place], check=True, capture_output=True)

    def fill(self) -> None:
        """To the last byte."""
        with (self.place / "filler").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        """Take the filling out."""
        (self.place / "filler").unlink()

    def give_up(self) -> None:
        """What the kernel does with a card that fails: no more writes, whatever is open."""
        subprocess.run(["mount", "-o", "remount,abort", self.place], check=True, capture_output=True)

    def pull(self) -> None:
        """Out of its place, under whoever uses it."""
        subprocess.run(["umount", "--lazy", self.place], check=True)
