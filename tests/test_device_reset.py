"""Why the board started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from app_parts import Hands

from agent.device.reset import NAME, REGISTER, Boot, BootRecord, cause, register

if TYPE_CHECKING:
    from pathlib import Path

POWER, TURNED_OFF_AND_ON = 0x1000, 0x1020  # `vcgencmd get_rsts`
BEGAN = 1000.0  # of the monotonic clock: each boot's first agent
WATCHDOG, WITH_A_PARTITION, SOFTWARE = 0x20, 0x574, 0x220


def machine(root: Path, rsts: int | None = None, *, bootstatus: str | None = None) -> Path:
    if rsts is not None:
        (root / REGISTER).mkdir(parents=True, exist_ok=True)
        (root / REGISTER / "rsts").write_bytes(rsts.to_bytes(4, "big"))
    if bootstatus is not None:
        path = root / "sys/class/watchdog/watchdog0"
        path.mkdir(parents=True)
        (path / "bootstatus").write_text(f"{bootstatus}\n")
    return root


def started(state: Path, boot: str, root: Path, at: float = BEGAN) -> BootRecord:
    record = BootRecord(state, Hands(at, boot))
    record.open(root, "no-vcgencmd-here")
    return record


@pytest.mark.parametrize(
    ("rsts", "in_order", "expected"),
    [
        (POWER, False, "power"),
        (POWER, None, "power"),
        (WATCHDOG, False, "watchdog"),
        (WATCHDOG, True, "reboot"),
        (WATCHDOG, None, None),
        (WITH_A_PARTITION, True, "reboot"),
        (SOFTWARE, False, "reboot"),
        (TURNED_OFF_AND_ON, False, "watchdog"),
        (0x555, False, None),
        (0, False, None),
        (None, False, None),
    ],
)
def test_the_register_and_the_mark_together_tell(
    rsts: int | None, in_order: bool | None, expected: str | None
) -> None:
    """A Pi reboots by its watchdog: only the agent's own end tells the two apart. Nothing is guessed."""
    assert expected == cause(rsts, in_order=in_order)


def test_the_drivers_own_word_counts_most() -> None:
    """A driver that knows of the watchdog needs no register."""
    assert "watchdog" == cause(None, in_order=True, card_reset=True)


def test_a_kit_that_was_cut_off(tmp_path: Path) -> None:
    """Its agent never said an end; a stop in order is one, whatever ends the boot then."""
    root, state = machine(tmp_path / "root", WATCHDOG), tmp_path
    assert Boot(None, None, BEGAN) == started(state, "aaaaaaaa", root).boot
    cut = started(state, "bbbbbbbb", root)
    assert Boot("watchdog", in_order=False, began=BEGAN) == cut.boot
    cut.close()
    assert Boot("watchdog", in_order=False, began=BEGAN) == cut.boot
    assert Boot("reboot", in_order=True, began=BEGAN) == started(state, "cccccccc", root).boot


def test_it_is_found_out_once_in_each_boot(tmp_path: Path) -> None:
    """An agent that crashes and is started anew says the same of the boot as the first."""
    root, state = machine(tmp_path / "root", POWER), tmp_path
    started(state, "aaaaaaaa", root)
    machine(root, WATCHDOG)
    assert Boot("power", None, BEGAN) == started(state, "aaaaaaaa", root, 5000.0).boot


def test_whoever_did_not_open_it_is_told_nothing_old(tmp_path: Path) -> None:
    """What an earlier boot was is no answer."""
    started(tmp_path, "aaaaaaaa", machine(tmp_path / "root", POWER)).close()
    assert Boot() == BootRecord(tmp_path, Hands(boot="bbbbbbbb")).boot


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b"\xff", b'{"boot": "aaaaaaaa", "reset": 7, "in_order": "no", "began": "soon"}']
)
def test_a_damaged_record_is_none(damage: bytes, tmp_path: Path) -> None:
    """A card may give back anything."""
    (tmp_path / NAME).write_bytes(damage)
    assert Boot() == BootRecord(tmp_path, Hands(boot="aaaaaaaa")).boot
    assert Boot("power", None, BEGAN) == started(tmp_path, "bbbbbbbb", machine(tmp_path / "root", POWER)).boot


def test_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    """Then nothing is known, and nothing ends."""
    record = started(tmp_path / "missing", "aaaaaaaa", machine(tmp_path / "root", POWER))
    record.close()
    assert Boot() == record.boot


def test_the_watchdogs_driver(tmp_path: Path) -> None:
    """WDIOF_CARDRESET in bootstatus, as the drivers of other boards say it."""
    root = machine(tmp_path / "root", bootstatus="32")
    assert "watchdog" == started(tmp_path, "aaaaaaaa", root).boot.reset


def test_the_register_by_the_firmwares_program(tmp_path: Path) -> None:
    """Boards without a bootloader of their own are asked; words that are no answer are none."""
    program = tmp_path / "vcgencmd"
    answers = {
        "echo get_rsts=1020": 0x1020,
        "echo VCHI initialization failed; exit 255": None,
        "echo no": None,
    }
    for script, expected in answers.items():
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        assert expected == register(tmp_path, str(program))
    assert register(tmp_path, str(tmp_path / "missing")) is None
