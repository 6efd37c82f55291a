"""The disk that a path lies on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.device import storage
from agent.device.storage import Card, Space


def block(root: Path, path: Path, name: str, part: str | None = None) -> None:
    """A fake /sys in which `path` lies on the disk `name`, on its partition `part`."""
    number = path.stat().st_dev
    home = root / "sys/devices/platform/mmc" / name
    real = home / part if part else home
    real.mkdir(parents=True)
    if part:
        (real / "partition").write_text("2\n")
    link = root / f"sys/dev/block/{os.major(number)}:{os.minor(number)}"
    link.parent.mkdir(parents=True)
    link.symlink_to(real)


def mmc(root: Path, **files: str) -> None:
    home = root / "sys/block/mmcblk0/device"
    home.mkdir(parents=True)
    for name, text in files.items():
        (home / name).write_text(text + "\n")


def test_space_is_that_of_the_file_system(tmp_path: Path) -> None:
    """The figures are statvfs's; a place that is not there has none."""
    found = storage.space(tmp_path)
    assert found is not None
    assert 0 < found.free <= found.total
    assert 0 < found.share <= 1
    assert storage.space(tmp_path / "missing") is None
    assert Space(0, 0).share == 0.0


def test_disk_and_partition(tmp_path: Path) -> None:
    """A path on the card's second partition lies on the card."""
    root = tmp_path / "root"
    block(root, tmp_path, "mmcblk0", "mmcblk0p2")
    assert storage.device(tmp_path, root) == "mmcblk0"
    assert storage.partition(tmp_path, root) == "mmcblk0p2"


def test_a_whole_disk(tmp_path: Path) -> None:
    """A disk without partitions is its own."""
    root = tmp_path / "root"
    block(root, tmp_path, "sda")
    assert storage.device(tmp_path, root) == storage.partition(tmp_path, root) == "sda"


def test_no_disk() -> None:
    """What lies in memory lies on no disk."""
    assert storage.device(Path("/proc")) is None
    assert storage.partition(Path("/proc")) is None


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("17", 17), (None, None), ("?", None)])
def test_errors_of_the_file_system(text: str | None, expected: int | None, tmp_path: Path) -> None:
    """What ext4 counts; nothing where nobody does."""
    if text is not None:
        path = tmp_path / "sys/fs/ext4/mmcblk0p2/errors_count"
        path.parent.mkdir(parents=True)
        path.write_text(text + "\n")
    assert expected == storage.file_system_errors("mmcblk0p2", tmp_path)


def test_a_chip_tells_its_age(tmp_path: Path) -> None:
    """The more worn kind of its blocks counts."""
    mmc(
        tmp_path,
        name="BJTD4R",
        cid="150100424a5444345206d1c2a1b9c200",
        serial="0xd1c2a1b9",
        date="12/2023",
        life_time="0x02 0x03",
        pre_eol_info="0x01",
    )
    assert Card("BJTD4R", "0xd1c2a1b9", "12/2023", 0.3, spent=False) == storage.card("mmcblk0", tmp_path)


def test_a_card_that_tells_nothing_of_its_age(tmp_path: Path) -> None:
    """SD cards have name and serial, and no figure for wear: absent, not zero."""
    mmc(tmp_path, name="SD64G", cid="035344534436344780", serial="0x12345678", date="03/2025")
    assert Card("SD64G", "0x12345678", "03/2025", None, None) == storage.card("mmcblk0", tmp_path)


def test_a_chip_that_runs_out_of_spares(tmp_path: Path) -> None:
    """Said by itself, though it does not tell its age."""
    mmc(tmp_path, name="X", cid="15", life_time="0x00 0x00", pre_eol_info="0x02")
    assert Card("X", None, None, None, spent=True) == storage.card("mmcblk0", tmp_path)


def test_no_card(tmp_path: Path) -> None:
    """A hard disk has a name too, but no card's identity."""
    assert storage.card("sda", tmp_path) is None
    mmc(tmp_path, name="disk")
    assert storage.card("mmcblk0", tmp_path) is None
