"""Checks of the disks."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from app_parts import settings
from standin import standin
from test_device_storage import block, mmc

from agent.device import boot, health, storage
from agent.device.account import Account
from agent.device.storage import Space
from agent.doctor import disk

if TYPE_CHECKING:
    from agent.doctor.check import Verdict


def ask(code: str, state: Path, root: Path = Path("/")) -> Verdict:
    return next(check for check in disk.checks(settings(state), root) if check.code == code).ask()


def test_state(tmp_path: Path) -> None:
    """There, or not."""
    assert ask("disk.state", tmp_path).status == "ok"
    assert ask("disk.state", tmp_path / "missing").status == "fail"


def test_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that turned read-only is told in the words of its alarm."""
    assert ask("disk.writable", tmp_path).status == "ok"
    monkeypatch.setattr(health, "read_only", lambda _path: True)
    verdict = ask("disk.writable", tmp_path)
    assert verdict.status == "fail"
    assert "read-only" in verdict.text.en


def test_no_right_to_write(tmp_path: Path) -> None:
    """It is the agent's right that counts, not that of who asks; the fix names both."""
    tmp_path.chmod(0o500)
    if os.geteuid() == 0:
        os.chown(tmp_path, 65_534, 65_534)
    verdict = ask("disk.writable", tmp_path)
    tmp_path.chmod(0o700)
    assert verdict.status == "fail"
    assert verdict.fix is not None
    assert f"chown -R {Account.owner(tmp_path).name} {tmp_path}" in verdict.fix.en


@pytest.mark.parametrize(("share", "expected"), [(0.5, "ok"), (0.08, "warn"), (0.01, "fail"), (None, "skip")])
def test_inodes(share: float | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares of the places; btrfs has no such limit."""
    monkeypatch.setattr(storage, "inodes", lambda _path: share)
    assert expected == ask("disk.inodes", tmp_path).status


@pytest.mark.parametrize(("lines", "expected"), [([], "ok"), (["mmc0: error -110"], "fail"), (None, "skip")])
def test_complaints(
    lines: list[str] | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's last word on the card is shown."""
    monkeypatch.setattr(boot, "disk_errors", lambda: lines)
    verdict = ask("disk.kernel", tmp_path)
    assert expected == verdict.status
    assert ("error -110" in verdict.text.uk) == (expected == "fail")


@pytest.mark.parametrize(
    ("free", "reserve_mb", "expected"),
    [
        (40, 512, "ok"),
        (14, 512, "warn"),
        (0.512, 512, "warn"),  # full as it is meant to be
        (0.45, 512, "fail"),
        (9, 0, "warn"),
        (7, 0, "fail"),
        (None, 512, "skip"),
    ],
)
def test_free(
    free: float | None, reserve_mb: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares of the file system, and what retention keeps of it."""
    space = None if free is None else Space(100_000_000_000, round(free * 1e9))
    monkeypatch.setattr(storage, "space", lambda _path: space)
    chosen = settings(tmp_path, clips={"reserve_mb": reserve_mb})
    (check,) = (one for one in disk.checks(chosen, tmp_path) if one.code == "disk.free")
    assert expected == check.ask().status


@pytest.mark.parametrize(("seconds", "expected"), [(0.01, "ok"), (0.3, "warn"), (1.2, "fail")])
def test_write_time(seconds: float, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slowest sync counts, and nothing is left behind."""
    now = [0.0]

    def slow_sync(_descriptor: int) -> None:
        now[0] += seconds

    monkeypatch.setattr(disk, "os", standin(os, fsync=slow_sync))
    monkeypatch.setattr(disk, "time", standin(time, monotonic=lambda: now[0]))
    assert expected == ask("disk.write_ms", tmp_path).status
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full or broken disk is a failure in its own words."""

    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(disk, "os", standin(os, fsync=broken))
    verdict = ask("disk.write_ms", tmp_path)
    assert verdict.status == "fail"
    assert "the disk fails" in verdict.text.en
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("count", "expected"), [("0", "ok"), ("3", "fail"), (None, "skip")])
def test_errors(count: str | None, expected: str, tmp_path: Path) -> None:
    """What ext4 counted."""
    root = tmp_path / "root"
    block(root, tmp_path, "mmcblk0", "mmcblk0p2")
    if count is not None:
        path = root / "sys/fs/ext4/mmcblk0p2/errors_count"
        path.parent.mkdir(parents=True)
        path.write_text(count)
    assert expected == ask("disk.errors", tmp_path, root).status


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"life_time": "0x01 0x02"}, "ok"),
        ({"life_time": "0x08 0x02"}, "warn"),
        ({"life_time": "0x0a 0x02"}, "fail"),
        ({"pre_eol_info": "0x03"}, "fail"),
        ({}, "skip"),
        (None, "skip"),
    ],
)
def test_wear(files: dict[str, str] | None, expected: str, tmp_path: Path) -> None:
    """What the chip says of itself; SD cards say nothing, and other disks are none."""
    root = tmp_path / "root"
    block(root, tmp_path, "mmcblk0", "mmcblk0p2")
    if files is not None:
        mmc(root, name="X", cid="15", **files)
    assert expected == ask("sd.life", tmp_path, root).status
