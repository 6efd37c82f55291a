"""What the doctor does by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from programs import Programs

from agent.doctor import remedy

if TYPE_CHECKING:
    from pathlib import Path

    from agent.doctor.remedy import Commands

COMMANDS: Commands = (("chown", "stairwell", "/etc/a b"), ("chmod", "400", "/etc/a b"))


def test_it_is_spelled_as_it_is_typed() -> None:
    """What the fix says is what would be done, word for word."""
    assert "sudo chown stairwell '/etc/a b' && sudo chmod 400 '/etc/a b'" == remedy.spelled(COMMANDS).uk


def test_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them; after one that fails none, and what it said is handed on."""
    programs = Programs(tmp_path, monkeypatch)
    trace = tmp_path / "trace"
    for name in ("chown", "chmod"):
        path = tmp_path / "programs" / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {trace}\n')
        path.chmod(0o755)
    assert remedy.carry_out(COMMANDS) is None
    assert "chown stairwell /etc/a b\nchmod 400 /etc/a b\n" == trace.read_text()
    (tmp_path / "programs" / "chown").write_text("#!/bin/sh\necho not permitted >&2\nexit 1\n")
    assert "chown stairwell '/etc/a b': not permitted" == remedy.carry_out(COMMANDS)
    assert 2 == len(trace.read_text().splitlines())
    programs.put("systemctl", code=5)
    assert "systemctl start x: 5" == remedy.carry_out((("systemctl", "start", "x"),))
    assert "install -d x: install is not here, or hangs" == remedy.carry_out((("install", "-d", "x"),))


def test_nothing_else_is_run() -> None:
    """A remedy with another program in it is a flaw of ours, and is not begun."""
    with pytest.raises(ValueError, match="rm"):
        remedy.carry_out((("chmod", "600", "/nowhere"), ("rm", "-r", "/nowhere")))
    less = ("setpriv", "--clear-groups", "--reuid=1", "--regid=1")
    with pytest.raises(ValueError, match="rm"):
        remedy.carry_out(((*less, "rm", "-r", "/nowhere"),))
