"""The key that stays in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clips_footage import small_disk

from agent.device.volatile import KEY_BYTES, volatile_key

if TYPE_CHECKING:
    from pathlib import Path


def test_without_a_runtime_directory_it_is_new_each_time() -> None:
    """Nothing is written anywhere, and no two processes share it."""
    first, second = volatile_key({}), volatile_key({})
    assert KEY_BYTES == len(first)
    assert first != second


def test_a_directory_on_a_disk_is_not_trusted(tmp_path: Path) -> None:
    """A key on the card would open the card: it is not put there."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    keys = {volatile_key({"RUNTIME_DIRECTORY": str(tmp_path)}, mounts) for _ in range(2)}
    assert 2 == len(keys)
    assert ["mountinfo"] == [path.name for path in tmp_path.iterdir()]


def test_in_memory_it_outlives_the_process(tmp_path: Path) -> None:
    """After a restart of the service the pictures that wait can still be shown; a torn file is made anew."""
    with small_disk(tmp_path / "run", 64) as run:
        environment = {"RUNTIME_DIRECTORY": f"{run}:/other"}
        first = volatile_key(environment)
        assert first == volatile_key(environment)
        assert 0o600 == (run / "pictures.key").stat().st_mode & 0o777
        (run / "pictures.key").write_bytes(b"short")
        assert first != volatile_key(environment)
