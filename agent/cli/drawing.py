"""A picture drawn in a terminal: with half blocks anywhere, with its pixels where there are sixels."""

from __future__ import annotations

import os
import re
import select
import struct
import sys
import termios
import tty
from fcntl import ioctl
from typing import TYPE_CHECKING

import cv2
import numpy as np
from rich.color import Color
from rich.segment import Segment, Segments
from rich.style import Style

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    """RGB, shape (height, width, 3)."""

UPPER = "\N{UPPER HALF BLOCK}"
CELL = (8, 16)  # pixels of a character, where the terminal does not tell
LEVELS = 6  # of each colour: 216 of the 256 that sixel terminals have
BAND = 6  # rows of pixels in one line of sixels
ANSWER_S = 0.5  # a terminal answers at once; one behind a slow line has this long
_SIXEL = "4"  # what a terminal names among its abilities (DEC's "primary device attributes")
# An ordered dither: neighbouring levels alternate, so that a wall has no steps. Bayer's 4 x 4, -0.5 to 0.5.
_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16 - 0.47


def fitted(size: tuple[int, int], columns: int, lines: int) -> tuple[int, int]:
    """The columns and lines of half blocks that a picture of this size (width, height) gets, in its shape."""
    width, height = size
    wide = min(columns, max(2, int(2 * lines * width / height)))
    return wide, max(1, round(wide * height / width / 2))


def blocks(image: Image, columns: int, lines: int) -> Segments:
    """The picture in coloured half blocks, two pixels a character."""
    small = cv2.resize(image, (columns, 2 * lines), interpolation=cv2.INTER_AREA)
    segments = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            style = Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
            segments.append(Segment(UPPER, style))
        segments.append(Segment.line())
    return Segments(segments)


def sixels(image: Image) -> str:
    """The picture as the characters that draw it (DEC STD 070), in a palette of LEVELS of each colour."""
    height, width = image.shape[:2]
    noise = np.tile(_BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width, None]
    level = np.clip(np.rint(image / 255 * (LEVELS - 1) + noise), 0, LEVELS - 1).astype(np.int32)
    index = (level[..., 0] * LEVELS + level[..., 1]) * LEVELS + level[..., 2]
    parts = [f'\x1bP0;1q"1;1;{width};{height}']
    for colour in np.unique(index).tolist():
        red, green, blue = (
            round(100 * (colour // LEVELS**place % LEVELS) / (LEVELS - 1)) for place in (2, 1, 0)
        )
        parts.append(f"#{colour};2;{red};{green};{blue}")
    for top in range(0, height, BAND):
        band = index[top : top + BAND]
        bits = 1 << np.arange(len(band))[:, None]
        for colour in np.unique(band).tolist():
            row = ((band == colour) * bits).sum(axis=0) + ord("?")
            parts.append(f"#{colour}{_runs(bytes(row.astype(np.uint8)).decode('ascii'))}$")
        parts.append("-")
    return "".join([*parts, "\x1b\\"])


def has_sixels() -> bool:
    """Whether the terminal says that it can draw them; False where there is none to ask."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        os.write(sys.stdout.fileno(), b"\x1b[c")
        answer = b""
        while not answer.endswith(b"c") and select.select([terminal], [], [], ANSWER_S)[0]:
            answer += os.read(terminal, 64)
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)
    found = re.search(rb"\x1b\[\?([0-9;]*)c", answer)
    return found is not None and _SIXEL in found[1].decode("ascii").split(";")


def cell() -> tuple[int, int]:
    """Width and height of a character in pixels, as far as the terminal tells."""
    size = struct.pack("4H", 0, 0, 0, 0)
    try:
        lines, columns, width, height = struct.unpack(
            "4H", ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, size)
        )
    except OSError:
        return CELL
    return (width // columns, height // lines) if width and height and columns and lines else CELL


def _runs(row: str) -> str:
    """Four and more of the same by their number; nothing at the end is left out."""
    return re.sub(r"(.)\1{3,}", lambda run: f"!{len(run[0])}{run[1]}", row.rstrip("?"))
