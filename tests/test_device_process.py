"""A process that becomes a new one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from agent.device import process
from agent.errors import StallError

if TYPE_CHECKING:
    from pathlib import Path


def test_it_begins_anew_under_the_same_id(tmp_path: Path) -> None:
    """Same command line and environment; threads, locks and open files of the first are gone."""
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
        import fcntl, os, sys, threading
        from agent.device.process import renew

        lock = open("lock", "a+")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print(os.getpid(), sys.argv[1:], os.environ["WORD"], threading.active_count(), flush=True)
        if os.path.getsize("lock") == 0:
            lock.write("seen")
            lock.flush()
            threading.Thread(target=threading.Event().wait).start()
            renew()
        """)
    )
    ran = subprocess.Popen(
        [sys.executable, "-X", "utf8", str(program), "--config", "a b"],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
        env={**os.environ, "WORD": "kept"},
    )
    out, _ = ran.communicate(timeout=60)

    assert 0 == ran.returncode
    assert [f"{ran.pid} ['--config', 'a b'] kept 1"] * 2 == out.splitlines()


def test_one_that_cannot_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is being replaced: it ends with a code after which it is started from outside."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(StallError, match="cannot be started anew") as caught:
        process.renew()
    assert 8 == caught.value.exit_code


def test_what_was_made_by_then_is_looked_at_no_more() -> None:
    """Later collections take what came after; nothing that was garbage by then is kept for it."""
    program = """
        import gc, weakref
        from agent.device.process import settle

        class Ring:
            def __init__(self):
                self.myself = self

        before = Ring()
        gone = weakref.ref(before)
        del before
        settle()
        kept = gc.get_freeze_count()
        after = weakref.ref(Ring())
        print(gone() is None, kept > len(gc.get_objects()), gc.collect() > 0, after() is None)
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert "True True True True\n" == ran.stdout
