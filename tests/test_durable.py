"""Files that are whole or not there."""

from __future__ import annotations

import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from clips_footage import small_disk

from agent.durable import sync_directory, write_whole

if TYPE_CHECKING:
    from pathlib import Path


def test_writes_with_the_mode_that_is_asked(tmp_path: Path) -> None:
    """The mode holds from the first byte on; what was there is replaced, nothing lies beside."""
    path = tmp_path / "key"
    path.write_bytes(b"old and longer")
    path.chmod(0o644)
    write_whole(path, b"new", 0o600)
    assert (b"new", 0o600) == (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
    assert [path] == list(tmp_path.iterdir())


def test_a_rest_of_an_earlier_try_is_no_hindrance(tmp_path: Path) -> None:
    """A power cut may have left a half-written new file: it is written anew."""
    path = tmp_path / "key"
    path.with_name("key.new").write_bytes(b"half")
    write_whole(path, b"whole", 0o600)
    assert [path] == list(tmp_path.iterdir())


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    """ENOSPC: the old content stays, the half-written new one goes."""
    with small_disk(tmp_path / "disk", 64) as disk:
        path = disk / "manifest"
        write_whole(path, b"old", 0o600)
        with pytest.raises(OSError, match="No space left"):
            write_whole(path, bytes(1 << 20), 0o600)
        assert b"old" == path.read_bytes()
        assert [path] == list(disk.iterdir())


def test_a_read_only_disk_is_told(tmp_path: Path) -> None:
    """EROFS."""
    with small_disk(tmp_path / "disk", 64) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(OSError, match="Read-only"):
            write_whole(disk / "a", b"a", 0o600)


def test_sync_directory_needs_a_directory(tmp_path: Path) -> None:
    """It raises what the system says."""
    with pytest.raises(FileNotFoundError):
        sync_directory(tmp_path / "none")
