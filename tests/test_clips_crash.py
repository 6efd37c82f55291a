"""The promise itself: killed at any moment, every clip that exists plays and proves itself."""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyrage
import pytest
from clips_footage import decoded, long_footage
from clips_keys import CITY, RECIPIENTS
from clips_loop import journal

from agent.clips.recovery import recover
from agent.clips.store import SCHEMA, clips, drop_intent, open_clips
from agent.clips.verify import verify
from agent.database import Database
from agent.device.identity import PublicKey

if TYPE_CHECKING:
    from agent.types import ClipRecord

LOOP = Path(__file__).parent / "clips_loop.py"
SYNC_S = 2.0
OPEN_FOOTAGE = (b"ftyp", b"moof", b"mdat", b"avcC", b"\x00\x00\x00\x01\x67")
"""Four bytes in sealed data look like one of these once in four gigabytes."""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("recipients", [(), RECIPIENTS], ids=["unsealed", "sealed"])
def test_killed_ten_times(tmp_path: Path, recipients: tuple[str, ...]) -> None:
    """SIGKILL at ten random moments: rows, files, hashes, manifests agree; all plays, at most 2 s is lost.

    Sealed, the city's key opens each, and nothing on the disk shows a picture at any of these moments.
    """
    chance = random.Random(7)  # noqa: S311 - a test, not a key
    (tmp_path / "footage").write_bytes(pickle.dumps(long_footage(60)))
    directory = tmp_path / "clips"
    kept = torn = 0
    checked: set[str] = set()
    for run in range(10):
        clip, given = kill_during_recording(tmp_path, run, chance.uniform(0.02, 0.6), recipients)
        torn += any(path.stat().st_size for path in directory.glob(f"{clip}.mp4*"))
        if recipients:
            assert [] == [path.name for path in directory.glob("*") if shows_pictures(path)]
        begun = begin_of(tmp_path, clip)
        safe_to = {record.id: record.started + record.duration for record in put_in_order(tmp_path)}
        kept += len(safe_to)
        if begun is not None:  # one that was not synced yet is gone whole
            assert given + 0.1 - safe_to.get(clip, begun) <= SYNC_S + 1e-6
        database = Database(tmp_path / "agent.db", [SCHEMA])
        rows = [c.record for c in database.submit(clips).result()]
        assert [] == database.submit(open_clips).result()
        database.close()
        beside = {f"{r.id}.json" for r in rows}
        assert {r.path for r in rows} | beside == {p.name for p in directory.glob("*")}
        for record in (r for r in rows if r.id not in checked):
            data = (directory / record.path).read_bytes()
            assert (record.bytes, record.sha256) == (len(data), hashlib.sha256(data).hexdigest())
            shown = decoded(pyrage.decrypt(data, [CITY]) if recipients else data)
            assert pytest.approx(record.duration, abs=0.001) == len(shown) / 10
            checked.add(record.id)
    verdicts = verify([directory], PublicKey.read(tmp_path / "keys" / "kit.pub"), [CITY])
    assert {("authentic", True)} == {(v.kind, v.full) for v in verdicts}
    assert len(checked) == len(verdicts)
    assert kept > 0
    assert torn > 0


def begin_of(state: Path, clip: str) -> float | None:
    """When the clip that was under way began, None when none was."""
    database = Database(state / "agent.db", [SCHEMA])
    intents = {intent.id: intent.started for intent in database.submit(open_clips).result()}
    database.close()
    return intents.get(clip)


def shows_pictures(path: Path) -> bool:
    data = path.read_bytes()
    return any(mark in data for mark in OPEN_FOOTAGE)


def kill_during_recording(
    state: Path, run: int, after: float, recipients: tuple[str, ...]
) -> tuple[str, float]:
    """The clip that was under way ("-" when none), and up to when the recorder had been given pictures."""
    given = state / "given"
    given.write_text("- 0\n")
    command = [sys.executable, str(LOOP), str(state), str(run), str(state / "footage"), *recipients]
    environment = os.environ | {"PYTHONPATH": str(LOOP.parent.parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert "recording\n" == process.stdout.readline()
        time.sleep(after)
        assert process.poll() is None
        process.kill()
    clip, t = given.read_text().splitlines()[0].split()
    return clip, float(t)


def put_in_order(state: Path) -> list[ClipRecord]:
    """What the agent does at its start; the clips that came back."""
    kept = journal(state)
    intents = kept.database.submit(open_clips).result()
    known = {c.record.path for c in kept.database.submit(clips).result()}
    back = []
    for found in recover(state / "clips", intents, known):
        assert found.kind in {"kept", "removed"}
        if found.record is None or found.plain is None:
            kept.database.submit(lambda tx, clip=found.id: drop_intent(tx, clip)).result()
        else:
            kept.closed(found.record, found.plain)
            back.append(found.record)
    kept.database.close()
    return back
