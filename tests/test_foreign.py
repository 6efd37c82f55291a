"""Files that whoever rules the agent may have laid: read by root, and no trap."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from app_parts import settings, toml

from agent import checkedfile, foreign, viewpoint
from agent.config import load
from agent.device.identity import SECRET_NAME, Identity

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ["link", "pipe", "directory", "huge"]


def lay(path: Path, kind: str) -> None:
    """What is not a small file, in its place."""
    match kind:
        case "link":
            path.symlink_to("/dev/zero")
        case "pipe":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "huge":
            path.touch()
            os.truncate(path, 1 << 40)


def test_a_file(tmp_path: Path) -> None:
    """All of it, or nothing of one that is longer than it may be."""
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    assert (b"1234", None) == (foreign.read(path, 4), foreign.read(path, 3))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", KINDS)
def test_no_file(tmp_path: Path, kind: str) -> None:
    """Told at once, whatever it is."""
    path = tmp_path / "file"
    lay(path, kind)
    if kind == "huge":
        assert foreign.read(path, 1000) is None
        return
    with pytest.raises(OSError, match=r"symbolic links|No such file|directory") as caught:
        foreign.read(path, 1000)
    assert str(path) == caught.value.filename


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", KINDS)
def test_drawn(tmp_path: Path, kind: str) -> None:
    """What cannot have been drawn masks the whole picture, as all that is lost."""
    file = tmp_path / "agent.toml"
    file.write_text(toml(settings(tmp_path)), encoding="utf-8")
    for name in (viewpoint.NAME, viewpoint.COPY):
        lay(tmp_path / name, kind)
    assert ["unreadable"] == [mask.name for mask in load(file).privacy.masks]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["link", "pipe", "huge"])
def test_a_key_that_is_none(tmp_path: Path, kind: str) -> None:
    """Whoever erases a kit goes on without it."""
    lay(tmp_path / SECRET_NAME, kind)
    assert Identity.read(tmp_path) is None


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    """Up to the bound, and no more is kept."""
    path = tmp_path / "file"
    room = checkedfile.SIZE_MAX - len(f"{'0' * 64}\n\n")
    checkedfile.write(path, bytes(room))
    assert bytes(room) == checkedfile.read(path)
    path.write_bytes(path.read_bytes() + b"\n")
    assert checkedfile.read(path) is None
