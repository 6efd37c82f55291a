"""What the SSH server's configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.device import sshd

if TYPE_CHECKING:
    from pathlib import Path

DEBIAN = """\
# This is the sshd server system-wide configuration file.
Include /etc/ssh/sshd_config.d/*.conf
#PermitRootLogin prohibit-password
KbdInteractiveAuthentication no
Subsystem sftp /usr/lib/openssh/sftp-server
PasswordAuthentication yes
"""


def put(root: Path, name: str, text: str) -> None:
    path = root / "etc/ssh" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_none(tmp_path: Path) -> None:
    """No server, no answer."""
    assert None is sshd.configuration(tmp_path)


def test_defaults(tmp_path: Path) -> None:
    """What nobody set is as OpenSSH has it."""
    put(tmp_path, "sshd_config", "# nothing\n")
    assert sshd.DEFAULTS == sshd.configuration(tmp_path)


def test_the_first_value_counts(tmp_path: Path) -> None:
    """Included files stand where they are included, in the order of their names; `Match` is for some only."""
    put(tmp_path, "sshd_config", DEBIAN + "Match User crew\n  PermitRootLogin yes\n")
    put(tmp_path, "sshd_config.d/10-stairwell.conf", 'PasswordAuthentication "no"\n')
    put(tmp_path, "sshd_config.d/50-cloud-init.conf", "PasswordAuthentication yes\nPermitRootLogin=no\n")
    found = sshd.configuration(tmp_path)
    assert found is not None
    assert ("no", "no", "no") == tuple(found[key] for key in sshd.DEFAULTS)


def test_an_old_name(tmp_path: Path) -> None:
    """ChallengeResponseAuthentication is what KbdInteractiveAuthentication was."""
    put(tmp_path, "sshd_config", "ChallengeResponseAuthentication no\n")
    found = sshd.configuration(tmp_path)
    assert found is not None
    assert "no" == found["kbdinteractiveauthentication"]


def test_a_file_that_includes_itself(tmp_path: Path) -> None:
    """It ends all the same."""
    put(tmp_path, "sshd_config", "Include sshd_config\nPermitRootLogin no\n")
    found = sshd.configuration(tmp_path)
    assert found is not None
    assert "no" == found["permitrootlogin"]
