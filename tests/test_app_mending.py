"""`stairwell doctor --fix` on real files: what it does, and that it is noted."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from app_parts import settings
from kits import Kit
from programs import Programs
from test_app_examination import WELL
from test_device_account import everything_open
from test_device_unit import FAILED, RUNNING
from test_doctor_papers import issue

from agent.app import hatch, mending
from agent.app.examination import examination
from agent.app.hatch import Hatch
from agent.device.clock import SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from agent.app.mending import Mending
    from agent.config import Settings

NOBODY = 65_534
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def mend(code: str, chosen: Settings, root: Path | None = None, *, do: bool = True) -> Mending:
    clock = SystemClock()
    checks = examination(chosen, clock) if root is None else examination(chosen, clock, root)
    return mending.mend(next(check for check in checks if check.code == code), chosen, clock, do=do)


def statuses(done: Mending) -> tuple[str, str | None]:
    return done.before.verdict.status, None if done.after is None else done.after.verdict.status


def audited(kit: Kit) -> list[tuple[str, str, str]]:
    """Command, status and code of each line."""
    return kit.journal.ask(lambda tx: tx.execute("SELECT cmd, status, code FROM audit ORDER BY n").fetchall())


def test_a_key_that_is_open(tmp_path: Path) -> None:
    """Said without --yes, done with it, noted, and asked again. The second time there is nothing to do."""
    kit = Kit(tmp_path)
    files = issue(tmp_path)
    chosen = settings(tmp_path, backbone={"tls": True, **files})
    key = tmp_path / "kit.pem"
    key.chmod(0o644)
    assert ("fail", None) == statuses(mend("sec.secrets", chosen, do=False))
    assert 0o644 == stat.S_IMODE(key.stat().st_mode)
    assert [] == audited(kit)
    done = mend("sec.secrets", chosen)
    assert ("fail", "ok", None, None) == (*statuses(done), done.trouble, done.unnoted)
    assert 0o600 == stat.S_IMODE(key.stat().st_mode)
    assert ("ok", None) == statuses(mend("sec.secrets", chosen))
    assert [("doctor/fix", "ok", "sec.secrets")] == audited(kit)
    kit.end()


@ROOT_ONLY
def test_a_key_that_the_agent_may_not_read(tmp_path: Path) -> None:
    """It is given to the agent's user, and closed to all others."""
    files = issue(tmp_path)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, NOBODY, NOBODY)
    everything_open(tmp_path)
    done = mend("id.files", settings(state, backbone={"tls": True, **files, "key_file": files["key_file"]}))
    while done.after is not None and done.after.verdict.status == "fail":  # one file at a time
        done = mend("id.files", settings(state, backbone={"tls": True, **files}))
    assert "ok" == (done.after or done.before).verdict.status
    key = (tmp_path / "kit.pem").stat()
    assert (NOBODY, 0o400) == (key.st_uid, stat.S_IMODE(key.st_mode))


@ROOT_ONLY
def test_a_state_directory_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who once ran the agent as root left files that its own user may not write."""
    monkeypatch.setattr("agent.device.account.SERVICE_USER", "nobody")
    state = tmp_path / "state"
    kit = Kit(state) if state.mkdir() is None else None
    everything_open(tmp_path)
    state.chmod(0o700)
    done = mend("disk.writable", settings(state))
    assert ("fail", "ok") == statuses(done)
    assert {NOBODY} == {path.stat().st_uid for path in (state, state / "agent.db")}
    assert kit is not None
    kit.end()


@ROOT_ONLY
def test_no_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made; that there was no database to note it in is said."""
    monkeypatch.setattr("agent.doctor.disk.SERVICE_USER", "nobody")
    monkeypatch.setattr("agent.doctor.disk.SERVICE_GROUP", "nogroup")
    state = tmp_path / "state"
    done = mend("disk.state", settings(state))
    assert ("fail", "ok", None) == (*statuses(done), done.trouble)
    assert (NOBODY, 0o700) == (state.stat().st_uid, stat.S_IMODE(state.stat().st_mode))
    assert done.unnoted is not None


def test_settings_that_others_may_change(tmp_path: Path) -> None:
    """Closed to them, and open to read as before."""
    place = tmp_path / "etc/stairwell/agent.toml"
    place.parent.mkdir(parents=True)
    place.touch()
    place.chmod(0o666)
    done = mend("sec.writable", settings(tmp_path), tmp_path)
    assert ("fail", "ok") == statuses(done)
    assert 0o644 == stat.S_IMODE(place.stat().st_mode)


@ROOT_ONLY
@pytest.mark.parametrize("code", ["id.files", "sec.secrets"])
def test_a_link_in_the_agents_own_directory(code: str, tmp_path: Path) -> None:
    """Who rules the agent could lay one to any file of root's: neither its owner nor its mode is changed."""
    files = issue(tmp_path)
    everything_open(tmp_path)
    victim = tmp_path / "shadow"
    victim.touch()
    victim.chmod(0o604 if code == "sec.secrets" else 0o600)
    before = victim.stat()
    state = tmp_path / "state"
    state.mkdir()
    (state / "kit.key").symlink_to(victim)
    os.chown(state, NOBODY, NOBODY)
    chosen = settings(state, backbone={"tls": True, **files, "key_file": str(state / "kit.key")})
    done = mend("id.files", chosen)
    for _ in range(3):  # the files of root's beside it are given first, one at a time
        done = mend(code, chosen)
    after = victim.stat()
    assert (before.st_uid, before.st_mode) == (after.st_uid, after.st_mode)
    assert "fail" == (done.after or done.before).verdict.status


@ROOT_ONLY
def test_an_open_key_of_the_agents(tmp_path: Path) -> None:
    """It is closed by the rights of its owner, not by root's."""
    (tmp_path / "keys").mkdir()
    key = tmp_path / "keys" / "kit.key"
    key.touch()
    key.chmod(0o644)
    everything_open(tmp_path)
    for path in (tmp_path, key.parent, key):
        os.chown(path, NOBODY, NOBODY)
    done = mend("sec.secrets", settings(tmp_path))
    assert ("fail", "ok", None) == (*statuses(done), done.trouble)
    assert (NOBODY, 0o600) == (key.stat().st_uid, stat.S_IMODE(key.stat().st_mode))


@ROOT_ONLY
def test_a_directory_that_is_not_the_agents(tmp_path: Path) -> None:
    """A wrong `state.dir` gives nobody's files away: that is said, and left to a person."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "passwd").touch()
    everything_open(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agent.device.account.SERVICE_USER", "nobody")
        assert ("fail", None) == statuses(mend("disk.writable", settings(state)))
    assert 0 == (state / "passwd").stat().st_uid


class Systemd:
    """Answers as systemctl does; a start, an enabling or a restart changes what it says from then on."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, before: str) -> None:
        Programs(directory, monkeypatch)
        self.trace = directory / "trace"
        for name, text in (("before", before), ("after", RUNNING)):
            (directory / name).write_text(text)
        script = f"""#!/bin/sh
case "$1" in
  show) if [ -f {self.trace} ]; then /bin/cat {directory}/after; else /bin/cat {directory}/before; fi ;;
  *) echo "$*" >> {self.trace} ;;
esac
"""
        for name in ("systemctl", "timedatectl"):
            path = directory / "programs" / name
            path.write_text(script)
            path.chmod(0o755)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("svc.unit", "start stairwell-agent.service"),
        ("svc.enabled", "enable stairwell-agent.service"),
    ],
)
def test_the_service(code: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started, or enabled; and systemd itself says afterwards whether that helped."""
    systemd = Systemd(tmp_path, monkeypatch, FAILED.replace("ExecMainStatus=3", "ExecMainStatus=8"))
    done = mend(code, settings(tmp_path))
    assert ("fail", "ok") == statuses(done)
    assert f"{words}\n" == systemd.trace.read_text()


def test_a_wrong_configuration_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start would fail again: that is a person's to mend."""
    systemd = Systemd(tmp_path, monkeypatch, FAILED)
    assert ("fail", None) == statuses(mend("svc.unit", settings(tmp_path)))
    assert not systemd.trace.exists()


def test_an_old_agent_is_restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade that left the old process running."""
    systemd = Systemd(tmp_path, monkeypatch, RUNNING)
    old = WELL.model_copy(update={"sw": "0.0.1"})
    server = Hatch(
        tmp_path / hatch.NAME,
        {"status": lambda _: (WELL if systemd.trace.exists() else old).model_dump_json().encode()},
    )
    server.start()
    done = mend("svc.version", settings(tmp_path))
    server.close(5)
    assert ("warn", "ok") == statuses(done)
    assert "restart stairwell-agent.service\n" == systemd.trace.read_text()


def test_a_time_service_is_switched_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By timedatectl."""
    no_daemon = RUNNING.replace("ActiveState=active", "ActiveState=inactive")
    systemd = Systemd(tmp_path, monkeypatch, no_daemon)
    assert ("fail", "ok") == statuses(mend("time.source", settings(tmp_path)))
    assert "set-ntp true\n" == systemd.trace.read_text()


def test_a_journal_that_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory is made for journald, which is started anew; here only that it is asked for."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    systemd = Systemd(tmp_path, monkeypatch, RUNNING)
    mkdir = tmp_path / "programs" / "mkdir"
    mkdir.write_text(
        f'#!/bin/sh\n[ "$*" = "-p /var/log/journal" ] && /bin/mkdir -p {tmp_path}/var/log/journal\n'
    )
    mkdir.chmod(0o755)
    assert ("warn", "ok") == statuses(mend("boot.journal", settings(tmp_path), tmp_path))
    assert "restart systemd-journald\n" == systemd.trace.read_text()


def test_what_fails_is_told_and_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root's rights most of it does."""
    kit = Kit(tmp_path)
    files = issue(tmp_path)
    (tmp_path / "kit.pem").chmod(0o644)
    Programs(tmp_path, monkeypatch).put("chmod", code=1)
    done = mend("sec.secrets", settings(tmp_path, backbone={"tls": True, **files}))
    assert ("fail", "fail") == statuses(done)
    assert done.trouble is not None
    assert [("doctor/fix", "failed", "sec.secrets")] == audited(kit)
    kit.end()


def test_what_a_person_has_to_do_is_left_to_a_person(tmp_path: Path) -> None:
    """A missing camera is not mended by a command."""
    chosen = settings(tmp_path, capture={"source": "/dev/video99"})
    assert ("fail", None) == statuses(mend("cam.source", chosen))
