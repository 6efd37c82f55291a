"""How the machine started and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from programs import Programs

from agent.device import boot

if TYPE_CHECKING:
    from pathlib import Path

# As systemd 252 (Bookworm) and 257 (Trixie) print them.
BOOTS_252 = """\
 -1 1d2f4c0b5a6e4d9e8f7a6b5c4d3e2f10 Thu 2026-11-26 20:15:03 UTC\N{EM DASH}Fri 2026-11-27 04:02:11 UTC
  0 9a8b7c6d5e4f40312233445566778899 Fri 2026-11-27 04:03:40 UTC\N{EM DASH}Fri 2026-11-27 10:11:12 UTC
"""
BOOTS_257 = """\
IDX BOOT ID                          FIRST ENTRY                 LAST ENTRY
 -1 1d2f4c0b5a6e4d9e8f7a6b5c4d3e2f10 Thu 2026-11-26 20:15:03 UTC Fri 2026-11-27 04:02:11 UTC
  0 9a8b7c6d5e4f40312233445566778899 Fri 2026-11-27 04:03:40 UTC Fri 2026-11-27 10:11:12 UTC
"""
IN_ORDER = """\
Reached target reboot.target - System Reboot.
Shutting down.
Using hardware watchdog 'Broadcom BCM2835 Watchdog timer', version 0, device /dev/watchdog0
Journal stopped
"""
CUT = "person 01M810CZZ29AREEN156GMCV6RD: new\nStarted apt-daily.service - Daily apt download activities.\n"
NO_BOOT = "Specifying boot ID or boot offset has no effect, no persistent journal was found.\n"


@pytest.mark.parametrize("listed", [BOOTS_252, BOOTS_257], ids=["252", "257"])
def test_boots(listed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their beginnings, from either form."""
    Programs(tmp_path, monkeypatch).put("journalctl", listed, when="--list-boots*")
    assert [1_795_724_103.0, 1_795_752_220.0] == boot.boots()


@pytest.mark.parametrize(("said", "code", "expected"), [(IN_ORDER, 0, True), (CUT, 0, False), ("", 1, None)])
def test_the_end_before(
    said: str, code: int, expected: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that was closed, one that breaks off, and none."""
    Programs(tmp_path, monkeypatch).put("journalctl", said, code, when="--boot=-1*")
    assert expected == boot.ended_in_order()


def test_without_a_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known, and nothing is made up."""
    programs = Programs(tmp_path, monkeypatch)
    assert (None, None, None) == (boot.boots(), boot.ended_in_order(), boot.disk_errors())
    programs.put("journalctl", "", 0)
    assert (None, None, None) == (boot.boots(), boot.ended_in_order(), boot.disk_errors())


def test_the_kernel_on_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that fit; journalctl ends with 1 when none does."""
    programs = Programs(tmp_path, monkeypatch)
    programs.put("journalctl", "Booting Linux on physical CPU 0x0\n", when="*--lines=1*")
    programs.put("journalctl", "", 1, when="*--grep=*")
    assert [] == boot.disk_errors()
    line = "mmcblk0: error -110 sending status command, retrying"
    programs.put("journalctl", f"{line}\n", when="*--grep=*")
    assert [line] == boot.disk_errors()


def test_watchdog(tmp_path: Path) -> None:
    """As sysfs tells."""
    assert None is boot.watchdog(tmp_path)
    home = tmp_path / "sys/class/watchdog/watchdog0"
    home.mkdir(parents=True)
    (home / "state").write_text("active\n")
    assert "active" == boot.watchdog(tmp_path)
