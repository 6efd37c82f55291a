"""What a user may do with a file."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

import pytest

from agent.device import account
from agent.device.account import ENTER, READ, WRITE, Account

if TYPE_CHECKING:
    from pathlib import Path

STRANGER = Account(64_000, frozenset({64_001}), "stranger")


def everything_open(path: Path) -> None:
    for folder in (path, *path.parents):
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o005)


@pytest.mark.parametrize(
    ("mode", "rights", "allowed"),
    [(0o604, READ, True), (0o600, READ, False), (0o604, READ | WRITE, False), (0o666, READ | WRITE, True)],
)
def test_a_stranger(mode: int, rights: int, allowed: bool, tmp_path: Path) -> None:
    """The last digit of the mode decides."""
    everything_open(tmp_path)
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    assert allowed == STRANGER.may(path, rights)


def test_its_owner_and_its_group(tmp_path: Path) -> None:
    """The first and the second: an owner is no better off than the owner's digit."""
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o064)
    state = path.stat()
    uid = state.st_uid or 1  # root may everything, so somebody else stands for the owner
    if os.geteuid() == 0:
        os.chown(path, uid, 64_001)
        everything_open(tmp_path)
        assert STRANGER.may(path, READ | WRITE)
        assert not STRANGER.may(path, ENTER)
    assert not Account(uid, frozenset(), "owner").may(path)


def test_a_closed_directory_on_the_way(tmp_path: Path) -> None:
    """What cannot be entered cannot be read."""
    everything_open(tmp_path)
    path = tmp_path / "closed" / "file"
    path.parent.mkdir()
    path.touch()
    path.chmod(0o644)
    path.parent.chmod(0o755)
    assert STRANGER.may(path)
    path.parent.chmod(0o700)
    assert not STRANGER.may(path)


def test_root_may_everything(tmp_path: Path) -> None:
    """Whatever the modes are."""
    path = tmp_path / "file"
    path.touch()
    path.chmod(0)
    assert Account.of(0).may(path, READ | WRITE)


def test_what_is_not_there(tmp_path: Path) -> None:
    """It is told apart from what is forbidden."""
    with pytest.raises(FileNotFoundError):
        Account.own().may(tmp_path / "missing")


def test_who_the_agent_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's user; where there is none, whom the state directory belongs to."""
    monkeypatch.setattr(account, "SERVICE_USER", "no-such-user")
    assert os.geteuid() == Account.agent(tmp_path).uid
    monkeypatch.setattr(account, "SERVICE_USER", pwd.getpwuid(0).pw_name)
    assert 0 == Account.agent(tmp_path / "missing").uid
    assert "4000000" == Account.of(4_000_000).name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_who_gave_the_command() -> None:
    """With sudo the one who asked it; nobody else is believed to be another."""
    own = account.name_of(os.getuid())
    assert own == account.asker({})
    assert own == account.asker({"SUDO_UID": "x"})
    asked = "user 64123" if os.geteuid() == 0 else own
    assert asked == account.asker({"SUDO_UID": "64123"})


def test_who_keeps_a_file(tmp_path: Path) -> None:
    """Root, while all on the way is root's; else whoever may exchange it, on the way of a link too."""
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for folder in (mine, theirs):
        folder.mkdir(mode=0o755)
        (folder / "file").touch()
    os.chown(theirs, STRANGER.uid, STRANGER.uid)
    (mine / "link").symlink_to(theirs / "back")
    (theirs / "back").symlink_to("../mine/file")
    kept = {
        path.name: keeper and keeper.uid
        for path in (mine / "file", mine / "link", theirs / "back")
        for keeper in [Account.keeper(path)]
    }
    assert {"file": 0, "link": STRANGER.uid, "back": STRANGER.uid} == kept
    assert STRANGER.uid == getattr(Account.keeper(theirs / "file"), "uid", None)
    mine.chmod(0o777)
    assert Account.keeper(mine / "file") is None
    mine.chmod(0o1777)
    assert 0 == getattr(Account.keeper(mine / "file"), "uid", None)
