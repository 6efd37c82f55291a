"""The watchdog: fed by systemd; tried by a machine that hangs on purpose, and judged in its next boot."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, settings

from agent.app import burnin
from agent.cli import firstboot
from agent.device import watchdog
from agent.device.watchdog import Hang, feeding, hang
from agent.doctor import boot
from agent.doctor.check import Status
from agent.errors import StairwellError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

RSTS = "proc/device-tree/chosen/bootloader/rsts"
BY_WATCHDOG, BY_POWER = 0x20, 0x1000  # of PM_RSTS, bcm2835_wdt.c


class Boot(Hands):
    """A clock in the boot `boot`."""

    def __init__(self, boot_id: str) -> None:
        super().__init__(60.0)
        self.boot = boot_id


def started(root: Path, rsts: int | None) -> Path:
    """A machine whose board says so of this start."""
    if rsts is not None:
        (root / RSTS).parent.mkdir(parents=True)
        (root / RSTS).write_bytes(rsts.to_bytes(4, "big"))
    return root


def told(directory: Path, clock: Boot) -> tuple[Status, str]:
    [_, check] = boot.checks(settings(directory), clock)
    verdict = check.ask()
    return verdict.status, verdict.text.en


@pytest.mark.parametrize(
    ("rsts", "status", "text"),
    [
        (BY_WATCHDOG, Status.OK, "tried: it did"),
        (BY_POWER, Status.FAIL, "tried: it did not, the kit hung until its power was cut"),
        (None, Status.SKIP, "tried; this board does not tell what started it"),
    ],
)
def test_a_hang_is_judged_in_the_next_boot(
    tmp_path: Path, rsts: int | None, status: Status, text: str
) -> None:
    """What started that boot is kept: later boots, started otherwise, change nothing of it."""
    state = tmp_path / "state"
    state.mkdir()
    assert Status.SKIP is told(state, Boot("a"))[0]
    Hang(state, Boot("a")).note()
    Hang(state, Boot("a")).judge(started(tmp_path / "1", BY_WATCHDOG), "none")
    assert (Status.FAIL, "the kit was to hang, and works on") == told(state, Boot("a"))
    assert Status.SKIP is told(state, Boot("b"))[0]
    Hang(state, Boot("b")).judge(started(tmp_path / "2", rsts), "none")
    assert (status, text) == told(state, Boot("b"))
    Hang(state, Boot("c")).judge(started(tmp_path / "3", 0x200), "none")
    assert (status, text) == told(state, Boot("c"))


def test_the_drivers_word_counts(tmp_path: Path) -> None:
    """A watchdog that is no Raspberry Pi's says by its driver that it was it."""
    path = tmp_path / "sys/class/watchdog/watchdog0/bootstatus"
    path.parent.mkdir(parents=True)
    path.write_text("32\n")
    Hang(tmp_path, Boot("a")).note()
    Hang(tmp_path, Boot("b")).judge(tmp_path, "none")
    assert (Status.OK, "tried: it did") == told(tmp_path, Boot("b"))


def test_a_damaged_note_is_none(tmp_path: Path) -> None:
    """Nothing was tried then, and a start of the agent is not held up by it."""
    (tmp_path / watchdog.NAME).write_text('{"bot": 1}')
    Hang(tmp_path, Boot("b")).judge(tmp_path, "none")
    assert Hang(tmp_path, Boot("b")).trial is None


def test_a_note_without_a_disk(tmp_path: Path) -> None:
    """Nothing hangs that could not be judged afterwards."""
    with pytest.raises(StorageError, match="cannot be written"):
        Hang(tmp_path / "none", Boot("a")).note()


def test_the_kernel_is_stopped_and_not_restarted(tmp_path: Path) -> None:
    """A kernel that restarted itself would prove nothing of the watchdog: that is switched off before."""
    for name in ("proc/sys/kernel/panic", "proc/sysrq-trigger"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("10")
    hang(tmp_path)
    assert "0" == (tmp_path / "proc/sys/kernel/panic").read_text()
    assert "c" == (tmp_path / "proc/sysrq-trigger").read_text()


# --- fed ------------------------------------------------------------------------------------------------


def systemd(directory: Path, period: str, *pings: int) -> None:
    """A systemctl that tells the times of these feedings, one with each question, the last for ever."""
    script = directory / "systemctl"
    script.write_text(
        f"#!/bin/sh\ncd {directory}\nset -- {' '.join(map(str, pings))}\n"
        'n=$(($(cat asked 2>/dev/null || echo 0) + 1))\necho "$n" >asked\n'
        '[ "$n" -le $# ] || n=$#\nshift $((n - 1))\n'
        f'echo RuntimeWatchdogUSec={period}\necho "WatchdogLastPingTimestampMonotonic=$1"\n'
    )
    script.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(burnin, "FED_LOOK_S", 0.01)
    return tmp_path


@pytest.mark.parametrize(("period", "seconds"), [("14s", 14.0), ("1min 30s", 90.0), ("500ms", 0.5)])
def test_what_systemd_says(path: Path, period: str, seconds: float) -> None:
    """Its spans of time are understood."""
    systemd(path, period, 1234)
    assert (seconds, 1234) == feeding()


@pytest.mark.parametrize(("period", "last"), [("0", 5), ("infinity", 5), ("14s", 0)])
def test_nothing_is_fed(path: Path, period: str, last: int) -> None:
    """Switched off, or never fed: both are none."""
    systemd(path, period, last)
    assert feeding() is None


def burned(path: Path) -> tuple[Status, str]:
    found = burnin.checks(settings(path), Hands(60.0))
    (check,) = [one for one in found if one.code == "burn.watchdog"]
    verdict = check.ask()
    return verdict.status, verdict.text.en


def test_one_that_is_fed(path: Path) -> None:
    """It passes once a feeding was seen."""
    systemd(path, "14s", 7, 7, 7, 8)
    assert (Status.OK, "fed, and waits 14 s") == burned(path)


def test_one_that_is_not(path: Path) -> None:
    """Armed and not fed, or not armed at all, it fails."""
    systemd(path, "100ms", 7)
    assert (Status.FAIL, "not fed within 0.1 s") == burned(path)
    systemd(path, "0", 0)
    assert (Status.FAIL, "systemd does not feed it") == burned(path)


# --- the command ----------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="what comes before is asked of root")
def test_no_hang_without_a_watchdog(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that nothing would start anew is not stopped, and nothing is noted."""
    monkeypatch.setattr(firstboot, "stop_the_kernel", lambda: pytest.fail("this very machine would hang"))
    systemd(path, "0", 0)
    with pytest.raises(StairwellError, match="would stay so"):
        firstboot._hang(Hang(path, Boot("a")), yes=True)  # the command reads the kit's own file
    assert Hang(path, Boot("a")).trial is None
