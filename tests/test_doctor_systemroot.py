"""A root that is meant to be read-only: how it is opened for a repair, and what the doctor says meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, toml
from kits import Kit

from agent.app.opening import Opening
from agent.device.systemroot import LIST, MARK, Opened, SystemRoot
from agent.doctor import systemroot
from agent.errors import StairwellError

if TYPE_CHECKING:
    from pathlib import Path

    from agent.words import Text

REPAIR = Opened("olena", "a new kernel", "2026-11-27T10:00:00.000Z")


def kit(directory: Path) -> SystemRoot:
    """One whose card was made with a read-only root, with its data partition."""
    for name in ("etc", "data"):
        (directory / name).mkdir()
    (directory / LIST).touch()
    return SystemRoot(directory)


def told(directory: Path) -> tuple[str, str]:
    (check,) = systemroot.checks(directory)
    verdict = check.ask()
    return verdict.status.value, verdict.text.en


def test_a_repair(tmp_path: Path) -> None:
    """Opened, the doctor warns and says who and why; writable without it is wrong."""
    system = kit(tmp_path)
    assert ("fail", "writable, and no repair was begun") == told(tmp_path)
    system.open_for(REPAIR)
    assert REPAIR == system.opened
    text = "left writable for a repair: a new kernel (olena, 2026-11-27T10:00:00.000Z)"
    assert ("warn", text) == told(tmp_path)
    system.close()
    assert system.opened is None
    system.close()


def test_a_repair_is_in_the_audit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who opened it, why, and who closed it; of settings that are wrong the journal alone tells."""
    system, store = kit(tmp_path), Kit(tmp_path)
    config = tmp_path / "agent.toml"
    config.write_text(toml(store.settings))
    unnoted: list[Text] = []
    opening = Opening(system, config, Hands(), unnoted.append)
    opening.open("olena", "a new kernel")
    opening.close("petro")
    lines = store.journal.ask(
        lambda tx: tx.execute("SELECT cmd, by, status, text FROM audit ORDER BY n").fetchall()
    )
    assert [("root/open", "olena", "ok", "a new kernel"), ("root/close", "petro", "ok", None)] == lines
    store.end()
    assert [] == unnoted

    config.write_text("[kit")
    opening.open("olena", "the settings")
    assert "the settings" == (system.opened or REPAIR).why
    assert "no valid TOML" in unnoted[0].en
    assert "root/open by olena: the settings" in caplog.text


def test_a_damaged_mark_keeps_it_open(tmp_path: Path) -> None:
    """The mark is there, so the root is open: the doctor says so, though nobody knows who it was."""
    system = kit(tmp_path)
    (tmp_path / MARK).write_text("{")
    assert system.opened == Opened("?", "?", None)
    assert "warn" == told(tmp_path)[0]


def test_a_kit_without(tmp_path: Path) -> None:
    """One that was made with a writable root is not asked, and has nothing to open."""
    assert "skip" == told(tmp_path)[0]
    with pytest.raises(StairwellError, match="root is not read-only"):
        SystemRoot(tmp_path).open_for(REPAIR)


def test_without_a_data_partition(tmp_path: Path) -> None:
    """The mark has no place: said, with the way to look."""
    system = kit(tmp_path)
    (tmp_path / "data").rmdir()
    with pytest.raises(StairwellError, match="findmnt /data"):
        system.open_for(REPAIR)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root's rights to mount")
def test_a_read_only_root(tmp_path: Path) -> None:
    """On a file system that takes no writes all is well."""
    kit(tmp_path)
    code = (
        "import sys; from pathlib import Path; from agent.doctor import systemroot;"
        "print(systemroot.checks(Path(sys.argv[1]))[0].ask().status.value)"
    )
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", tmp_path, sys.executable, code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "ok\n") == (done.returncode, done.stdout), done.stderr
