"""The plain file behind a clip, on real file systems."""

from __future__ import annotations

import errno
import hashlib
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from clips_footage import small_disk

from agent.clips.fragment import Progress
from agent.clips.sink import FileSink, Stored, refused
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRESS = Progress("h264", 64, 48, 3, 1.0, ())


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 256) as place:
        yield place


def test_writes_what_it_is_given(tmp_path: Path) -> None:
    """Bytes in order, readable for the agent's group only."""
    path = tmp_path / "clip.mp4"
    sink = FileSink(path)
    sink.write(b"ab")
    sink.sync(PROGRESS)
    sink.write(b"c")
    stored = Stored(3, hashlib.sha256(b"abc").hexdigest())
    assert (0, stored) == (sink.missing(), sink.finish(PROGRESS))
    sink.close()
    assert b"abc" == path.read_bytes()
    assert 0 == stat.S_IMODE(path.stat().st_mode) & 0o137


def test_never_writes_over_a_file(tmp_path: Path) -> None:
    """A name that is taken is an error, and the file that has it is untouched."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"evidence")
    with pytest.raises(StorageError, match=r"clip\.mp4: cannot be created"):
        FileSink(path)
    assert b"evidence" == path.read_bytes()


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """The path and the remedy."""
    with pytest.raises(StorageError, match=r"nowhere/clip\.mp4.*mounted"):
        FileSink(tmp_path / "nowhere" / "clip.mp4")


def test_a_full_disk_is_named(tiny_disk: Path) -> None:
    """ENOSPC comes with the path and what to do."""
    sink = FileSink(tiny_disk / "clip.mp4")
    with pytest.raises(StorageError, match=r"disk/clip\.mp4: cannot be written.*free space"):
        sink.write(bytes(1 << 20))
    sink.close()


def test_a_read_only_disk_is_named(tiny_disk: Path) -> None:
    """EROFS: the usual end of a worn card."""
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with pytest.raises(StorageError, match="read-only"):
        FileSink(tiny_disk / "clip.mp4")


def test_a_failed_sync_and_close_are_told(tmp_path: Path) -> None:
    """A descriptor that went bad shows at the next step, not never."""
    sink = FileSink(tmp_path / "clip.mp4")
    sink.close()
    with pytest.raises(StorageError, match="synced"):
        sink.sync(PROGRESS)
    with pytest.raises(StorageError, match="closed"):
        sink.close()


def test_an_unforeseen_error_has_a_fix_too(tmp_path: Path) -> None:
    """Errors without a remedy of their own still name path and reason."""
    error = refused(tmp_path, "written", OSError(errno.EFBIG, "File too large"))
    assert f"{tmp_path}: cannot be written (File too large)" == error.problem
    assert "" != error.fix
