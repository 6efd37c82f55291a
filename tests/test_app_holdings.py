"""The doctor's checks of what the kit keeps, on a real store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from app_parts import Hands, settings
from kits import Kit, name

from agent.app import holdings
from agent.clips import store
from agent.device.clock import SystemClock
from agent.doctor import runner

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from agent.device.clock import Clock
    from agent.doctor.check import Verdict

HOUR_S = 3600.0


def ask(code: str, state: Path, clock: Clock | None = None, **sections: dict[str, object]) -> Verdict:
    checks = holdings.checks(settings(state, **sections), clock or SystemClock())
    return next(runner.run([check for check in checks if check.code == code])).verdict


def test_nothing_yet(tmp_path: Path) -> None:
    """A kit that never ran keeps nothing; that is no fault of its store."""
    for code in ("store.database", "store.clips", "priv.overdue"):
        assert ask(code, tmp_path).status == "skip"


def test_database(tmp_path: Path) -> None:
    """Sound, and damaged."""
    Kit(tmp_path).end()
    assert ask("store.database", tmp_path).status == "ok"
    with closing(sqlite3.connect(tmp_path / "agent.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damaged = bytearray((tmp_path / "agent.db").read_bytes())
    damaged[4096:8192] = bytes(4096)
    (tmp_path / "agent.db").write_bytes(damaged)
    assert ask("store.database", tmp_path).status == "fail"
    (tmp_path / "agent.db").write_bytes(b"no database" * 100)
    assert ask("store.database", tmp_path).status == "fail"


def test_clips(tmp_path: Path) -> None:
    """All there; then one is taken away."""
    kit = Kit(tmp_path, Hands())
    record = kit.clip(1)
    kit.end()
    assert ask("store.clips", tmp_path).status == "ok"
    (kit.directory / record.path).unlink()
    verdict = ask("store.clips", tmp_path)
    assert verdict.status == "fail"
    assert "1 of 1" in verdict.text.en


def test_a_disk_of_clips_that_is_not_mounted(tmp_path: Path) -> None:
    """Nobody took the clips: the disk is told, with its own fix."""
    kit = Kit(tmp_path, Hands())
    kit.premises.check()
    kit.clip(1)
    kit.end()
    kit.directory.rename(tmp_path / "elsewhere")
    kit.directory.mkdir()
    verdict = ask("store.clips", tmp_path)
    assert verdict.status == "fail"
    assert "not mounted" in verdict.text.en
    assert verdict.fix is not None
    assert "mount the disk" in verdict.fix.en


def test_clips_that_should_be_gone(tmp_path: Path) -> None:
    """An agent that stands deletes nothing: what the law wants gone is told. A held clip is meant to stay."""
    kit = Kit(tmp_path, Hands())
    kit.clip(1)
    later = Hands(902.0 + 80 * HOUR_S)
    assert ask("priv.overdue", tmp_path, kit.clock).status == "ok"
    verdict = ask("priv.overdue", tmp_path, later)
    assert verdict.status == "fail"
    assert "80 h" in verdict.text.en
    kit.journal.ask(lambda tx: store.hold(tx, name(1), held=True))
    kit.end()
    held = ask("priv.overdue", tmp_path, later)
    assert held.status == "ok"
    assert "held" in held.text.en


def test_open_footage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealed clips are closed; a film that lies beside them is found. Who ran out of time says so."""
    sealed = {"seal": "age", "recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]}
    kit = Kit(tmp_path, Hands(), **sealed)
    kit.clip(1)
    kit.end()
    assert ask("priv.open", tmp_path, clips=sealed).status == "ok"
    assert ask("priv.open", tmp_path, clips={"seal": "none"}).status == "skip"
    monkeypatch.setattr(holdings, "LOOK_S", -1.0)
    assert ask("priv.open", tmp_path, clips=sealed).status == "warn"
    monkeypatch.undo()
    film = tmp_path / "film.mp4"
    film.write_bytes(b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(1000))
    verdict = ask("priv.open", tmp_path, clips=sealed)
    assert verdict.status == "fail"
    assert "film.mp4" in verdict.text.uk
