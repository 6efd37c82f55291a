"""The board's troubles as alarms."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, settings
from test_device_memory import grant
from test_doctor_machine import put

from agent.app import vitals
from agent.app.proof import Proof
from agent.app.vitals import CLEAR_S, LOOK_S, Vitals
from agent.app.want import CALM_S, STEP_S
from agent.backbone.delivery import Delivery
from agent.device import health, storage
from agent.device.power import THROTTLED
from agent.device.storage import Space
from agent.doctor.registry import ALARMS

if TYPE_CHECKING:
    from agent.app.want import Want


class Said:
    """What an announcer would have said last of each alarm."""

    def __init__(self, *active: str) -> None:
        self.now: dict[str, bool] = dict.fromkeys(active, True)
        self.told: list[Want] = []

    @property
    def alarms(self) -> tuple[str, ...]:
        """See Announcer."""
        return tuple(code for code, active in self.now.items() if active)

    def alarm(self, code: str, *, active: bool, detail: str = "") -> None:
        """See Announcer."""
        assert detail
        self.now[code] = active


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(health, "THERMAL", tmp_path / "temp")
    monkeypatch.setenv("PATH", str(tmp_path))
    put(tmp_path, THROTTLED, "0")
    put(tmp_path, "temp", "50000")
    put(tmp_path, "proc/meminfo", "MemTotal: 437000 kB\nMemAvailable: 200000 kB\n")
    return tmp_path


def watch(root: Path, said: Said) -> Vitals:
    return Vitals(settings(root), said, Hands(), Delivery, said.told.append, root)  # type: ignore[arg-type]


def test_each_code_is_a_check_and_an_alarm() -> None:
    """The doctor and the agent speak of the same things."""
    assert set(vitals.RAISE_S) <= set(ALARMS)
    assert set(vitals.RAISE_S) >= vitals.WARNINGS


def test_a_healthy_board_is_silent(root: Path) -> None:
    """Nothing is raised, however often it is looked at."""
    said = Said()
    watcher = watch(root, said)
    for now in range(0, 1000, 15):
        watcher.look(now)
    assert said.alarms == ()


def test_a_sag_is_told_at_once_and_kept_for_a_while(root: Path) -> None:
    """One alarm for a supply that sags again and again."""
    said = Said()
    watcher = watch(root, said)
    put(root, THROTTLED, "50005")
    watcher.look(0.0)
    assert said.alarms == ("power.undervoltage",)
    put(root, THROTTLED, "50000")
    watcher.look(LOOK_S)
    watcher.look(CLEAR_S)
    assert "power.undervoltage" in said.alarms
    watcher.look(LOOK_S + CLEAR_S)
    assert said.alarms == ()


def test_heat_must_last(root: Path) -> None:
    """A minute above the limit, not a moment."""
    said = Said()
    watcher = watch(root, said)
    put(root, "temp", "85000")
    watcher.look(0.0)
    assert said.alarms == ()
    watcher.look(60.0)
    assert said.alarms == ("temp.cpu",)


@pytest.mark.parametrize(
    ("code", "short_s", "long_s"),
    [("temp.fan", 45.0, 60.0), ("disk.free", 585.0, 600.0), ("disk.inodes", 585.0, 600.0)],
)
def test_what_comes_and_goes_must_last(
    code: str, short_s: float, long_s: float, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fan that begins to turn, or a card that an update fills for a while, is no alarm yet."""
    match code:
        case "temp.fan":
            for name, text in {"name": "pwmfan", "pwm1": "128", "fan1_input": "0"}.items():
                put(root, f"sys/class/hwmon/hwmon0/{name}", text)
        case "disk.free":
            monkeypatch.setattr(storage, "space", lambda _path: Space(32_000_000_000, 200_000_000))
        case "disk.inodes":
            monkeypatch.setattr(storage, "inodes", lambda _path: 0.02)
    said = Said()
    watcher = watch(root, said)
    watcher.look(0.0)
    watcher.look(short_s)
    assert said.alarms == ()
    watcher.look(long_s)
    assert said.alarms == (code,)


def test_between_two_looks_nothing_is_asked(root: Path) -> None:
    """The supervisor ticks twice a second; the board is asked four times a minute."""
    said = Said()
    watcher = watch(root, said)
    watcher.look(0.0)
    put(root, THROTTLED, "50005")
    watcher.look(LOOK_S - 1)
    assert said.alarms == ()


def test_what_an_earlier_run_raised_is_cleared_when_it_is_over(root: Path) -> None:
    """And not before it has been calm for a while."""
    said = Said("temp.cpu")
    watcher = watch(root, said)
    watcher.look(0.0)
    assert said.alarms == ("temp.cpu",)
    watcher.look(CLEAR_S)
    assert said.alarms == ()


def test_what_is_done_without_follows_the_board(root: Path) -> None:
    """A hot board analyses less; what was read is there for the heartbeat."""
    said = Said()
    watcher = watch(root, said)
    put(root, "temp", "85000")
    watcher.look(0.0)
    watcher.look(STEP_S)
    assert said.told[-1].analysis == 0.5
    assert watcher.board.celsius == 85.0
    assert watcher.board.throttling is not None
    assert round(watcher.board.memory or 0, 2) == 0.46


def test_want_of_the_units_own_memory(root: Path) -> None:
    """Room on the board does not help an agent that its unit holds back; what it usually has is no want."""
    unit = (Path(__file__).parent.parent / "systemd" / "stairwell-agent.service").read_text()
    high, most = (
        int(re.search(rf"(?m)^{key}=(\d+)M$", unit)[1]) << 20 for key in ("MemoryHigh", "MemoryMax")
    )
    said = Said()
    watcher = watch(root, said)

    def has(megabytes: int, now: float) -> float:
        grant(root, megabytes * 1_000_000, str(high), str(most))
        watcher.look(now)
        return said.told[-1].ring

    usual = 235 + 7 + 2  # with libx264; pages of files in use, and the kernel's
    assert [1.0, 1.0] == [has(usual, 0.0), has(usual, STEP_S)]
    assert [1.0, 0.5] == [has(270, 2 * STEP_S), has(270, 3 * STEP_S)]
    assert [0.5, 1.0] == [has(usual, 4 * STEP_S), has(usual, 5 * STEP_S + CALM_S)]


def test_a_failed_burn_in_is_told(root: Path) -> None:
    """With the parts that failed; it is over once the kit has passed another one."""
    said = Said()
    watcher = watch(root, said)
    kit = settings(root).kit.id

    def proved(status: str) -> None:
        Proof.of(kit, None, [{"code": "burn.card", "status": status, "text": "x"}]).write(root)

    proved("fail")
    watcher.look(0.0)
    assert said.alarms == ("kit.burnin",)
    proved("ok")
    watcher.look(LOOK_S)
    watcher.look(LOOK_S + CLEAR_S + LOOK_S)
    assert said.alarms == ()
