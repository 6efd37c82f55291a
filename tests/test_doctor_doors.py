"""Checks of the ways in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from app_parts import settings
from programs import Programs
from test_device_network import LITTLE, put
from test_doctor_papers import NOW, Wall

from agent.doctor import doors

if TYPE_CHECKING:
    from pathlib import Path

    from agent.doctor.check import Verdict

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
SSH = "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1234 1\n"
OWN = "   1: 0100007F:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 1235 1\n"
VNC = "   2: 00000000:170C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1236 1\n"
CHAINS = (
    '{"nftables": [{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5"}}, '
    '{"chain": {"family": "inet", "table": "filter", "name": "input", "handle": 1, "type": "filter", '
    '"hook": "input", "prio": 0, "policy": "drop"}}]}'
)


def ask(code: str, root: Path, **sections: object) -> Verdict:
    checks = doors.checks(settings(root, **sections), Wall(), root)  # type: ignore[arg-type]
    return next(check for check in checks if check.code == code).ask()


@LITTLE
@pytest.mark.parametrize(("sockets", "expected"), [(SSH + OWN, "ok"), ("", "ok"), (SSH + OWN + VNC, "warn")])
def test_ports(sockets: str, expected: str, tmp_path: Path) -> None:
    """SSH is let in; what listens on this machine only is no door."""
    put(tmp_path, "proc/net/tcp", HEAD + sockets)
    verdict = ask("sec.ports", tmp_path)
    assert expected == verdict.status
    assert ("0.0.0.0:5900" in verdict.text.uk) == (expected == "warn")


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ("PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin no\n", "ok"),
        ("PasswordAuthentication no\nKbdInteractiveAuthentication no\n", "warn"),
        ("KbdInteractiveAuthentication no\n", "fail"),
        ("PasswordAuthentication no\n", "fail"),
        (None, "ok"),
    ],
)
def test_ssh(configuration: str | None, expected: str, tmp_path: Path) -> None:
    """Keys only, and nobody as root; a kit without the server has that door shut."""
    if configuration is not None:
        put(tmp_path, "etc/ssh/sshd_config", configuration)
    assert expected == ask("sec.ssh", tmp_path).status


def test_ssh_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cloud-init's part of it is root's alone."""

    def denied(_root: Path) -> None:
        raise PermissionError(13, "Permission denied", "/etc/ssh/sshd_config.d/50-cloud-init.conf")

    monkeypatch.setattr(doors.sshd, "configuration", denied)
    verdict = ask("sec.ssh", tmp_path)
    assert verdict.status == "skip"
    assert "50-cloud-init.conf" in verdict.text.en


@pytest.mark.parametrize(
    ("chains", "code", "expected"),
    [
        (CHAINS, 0, "ok"),
        (CHAINS.replace("drop", "accept"), 0, "warn"),
        ('{"nftables": []}', 0, "warn"),
        ("", 1, "skip"),
        ("no JSON", 0, "skip"),
    ],
)
def test_firewall(
    chains: str, code: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As nft 1.0.6 prints its chains; only root may ask."""
    Programs(tmp_path, monkeypatch).put("nft", chains, code)
    assert expected == ask("sec.firewall", tmp_path).status


@pytest.mark.parametrize(("days", "expected"), [(1, "ok"), (40, "warn"), (100, "fail"), (None, "skip")])
def test_updates(days: int | None, expected: str, tmp_path: Path) -> None:
    """Looked for lately, long ago, never."""
    if days is not None:
        put(tmp_path, doors.STAMP, "")
        when = NOW.timestamp() - days * 86_400
        os.utime(tmp_path / doors.STAMP, (when, when))
    assert expected == ask("sec.updates", tmp_path).status


def test_updates_that_wait(tmp_path: Path) -> None:
    """A new kernel protects nobody before a reboot."""
    put(tmp_path, "run/reboot-required", "*** System restart required ***\n")
    assert ask("sec.updates", tmp_path).status == "warn"


def test_writable(tmp_path: Path) -> None:
    """Who may change the settings or the model rules the kit."""
    put(tmp_path, "etc/stairwell/agent.toml", "")
    (tmp_path / "etc/stairwell/agent.toml").chmod(0o640)
    assert ask("sec.writable", tmp_path).status == "ok"
    (tmp_path / "etc/stairwell/agent.toml").chmod(0o646)
    verdict = ask("sec.writable", tmp_path)
    assert verdict.status == "fail"
    assert "agent.toml" in verdict.text.en
    (tmp_path / "etc/stairwell/agent.toml").chmod(0o640)
    put(tmp_path, "card.toml", "")
    (tmp_path / "card.toml").chmod(0o666)
    assert ask("sec.writable", tmp_path, detector={"model": str(tmp_path / "card.toml")}).status == "fail"
