"""Pictures in a terminal: what is drawn is read back as the terminal would."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
from fcntl import ioctl
from struct import pack
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.cli import drawing

if TYPE_CHECKING:
    from numpy.typing import NDArray


def picture(height: int = 50, width: int = 70) -> NDArray[np.uint8]:
    """Colours from end to end, with a black rectangle."""
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x + y) % 256], axis=2).astype(
        np.uint8
    )
    image[10:20, 10:20] = 0
    return image


def undrawn(text: str) -> NDArray[np.uint8]:
    """The picture that these sixels draw."""
    head = re.match(r'\x1bP0;1q"1;1;(\d+);(\d+)', text)
    assert head is not None
    assert text.endswith("\x1b\\")
    image = np.zeros((int(head[2]), int(head[1]), 3), np.uint8)
    palette: dict[int, list[int]] = {}
    top = column = colour = 0
    for part in re.findall(r"#\d+(?:;2;\d+;\d+;\d+)?|!\d+.|[$\-]|[?-~]", text[head.end() : -2]):
        if part[0] == "#":
            colour, *values = map(int, part[1:].split(";"))
            if values:
                palette[colour] = [round(value * 2.55) for value in values[1:]]
        elif part == "$":
            column = 0
        elif part == "-":
            top, column = top + 6, 0
        else:
            count = int(part[1:-1]) if part[0] == "!" else 1
            for row in range(6):
                if (ord(part[-1]) - 63) >> row & 1:
                    image[top + row, column : column + count] = palette[colour]
            column += count
    return image


@pytest.mark.parametrize("size", [(50, 70), (48, 64), (1, 1), (7, 300)])
def test_sixels(size: tuple[int, int]) -> None:
    """Every pixel is drawn, in a colour near its own: within the step of six levels and the dither."""
    image = picture(max(2, size[0]), max(2, size[1]))[: size[0], : size[1]]
    shown = undrawn(drawing.sixels(image))
    assert image.shape == shown.shape
    assert np.abs(shown.astype(int) - image).max() <= 52
    assert np.abs(shown.mean(axis=(0, 1)) - image.mean(axis=(0, 1))).max() < 12 or image.size < 100


@pytest.mark.parametrize(
    ("size", "columns", "lines", "expected"),
    [
        ((640, 480), 80, 22, (58, 22)),
        ((1920, 1080), 80, 22, (78, 22)),
        ((1920, 1080), 40, 60, (40, 11)),
        ((480, 640), 80, 22, (33, 22)),
    ],
)
def test_it_fits(size: tuple[int, int], columns: int, lines: int, expected: tuple[int, int]) -> None:
    """On the screen, both ways, with its shape."""
    assert expected == drawing.fitted(size, columns, lines)


@pytest.mark.parametrize(
    ("answer", "expected"), [(b"\x1b[?62;4;22c", b"True"), (b"\x1b[?1;2c", b"False"), (b"", b"False")]
)
def test_the_terminal_is_asked(answer: bytes, expected: bytes) -> None:
    """One that names sixels among its abilities, one that does not, and a silent one."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, pack("4H", 24, 80, 800, 480))
    before = termios.tcgetattr(slave)
    code = "from agent.cli.drawing import cell, has_sixels; print(has_sixels(), cell(), flush=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=slave, stdout=slave) as process:
        said = b""
        while not said.endswith(b"\x1b[c"):
            said += os.read(master, 100)
        os.write(master, answer)
        assert 0 == process.wait(30)
    assert before == termios.tcgetattr(slave)
    assert expected + b" (10, 20)" in os.read(master, 1000)
    os.close(slave)
    os.close(master)


def test_no_terminal() -> None:
    """Nobody is asked where nobody is."""
    code = "from agent.cli.drawing import cell, has_sixels; print(has_sixels(), cell())"
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    assert b"False (8, 16)" == done.stdout.strip()
