"""The promise itself: killed at any moment, every clip that exists plays, and little is lost."""

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

import pytest
from clips_footage import decoded, long_footage

from agent.clips.recovery import recover
from agent.clips.store import SCHEMA, clips, drop_intent, finish_clip, open_clips
from agent.database import Database

if TYPE_CHECKING:
    from agent.types import ClipRecord

LOOP = Path(__file__).parent / "clips_loop.py"
SYNC_S = 2.0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_twenty_times(tmp_path: Path) -> None:
    """SIGKILL at twenty random moments: rows, files and hashes agree, all plays, no more than 2 s is lost."""
    chance = random.Random(7)  # noqa: S311 - a test, not a key
    (tmp_path / "footage").write_bytes(pickle.dumps(long_footage(60)))
    kept = torn = 0
    checked: set[str] = set()
    for run in range(20):
        clip, given = kill_during_recording(tmp_path, run, chance.uniform(0.02, 0.6))
        torn += any(path.stat().st_size for path in (tmp_path / "clips").glob(f"{clip}.mp4"))
        database = Database(tmp_path / "agent.db", [SCHEMA])
        for record in put_in_order(tmp_path / "clips", database):
            kept += 1
            if record.id == clip:
                assert given + 0.1 - (record.started + record.duration) <= SYNC_S + 1e-6
        rows = [c.record for c in database.submit(clips).result()]
        assert [] == database.submit(open_clips).result()
        database.close()
        assert {r.path for r in rows} == {p.name for p in (tmp_path / "clips").glob("*")}
        for record in rows:
            data = (tmp_path / "clips" / record.path).read_bytes()
            assert (record.bytes, record.sha256) == (len(data), hashlib.sha256(data).hexdigest())
            if record.id not in checked:
                assert pytest.approx(record.duration, abs=0.001) == len(decoded(data)) / 10
                checked.add(record.id)
    assert kept >= torn > 0


def kill_during_recording(state: Path, run: int, after: float) -> tuple[str, float]:
    """The clip that was under way ("-" when none), and up to when the recorder had been given pictures."""
    given = state / "given"
    given.write_text("- 0\n")
    command = [sys.executable, str(LOOP), str(state), str(run), str(state / "footage")]
    environment = os.environ | {"PYTHONPATH": str(LOOP.parent.parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert "recording\n" == process.stdout.readline()
        time.sleep(after)
        assert process.poll() is None
        process.kill()
    clip, t = given.read_text().splitlines()[0].split()
    return clip, float(t)


def put_in_order(directory: Path, database: Database) -> list[ClipRecord]:
    """What the agent does at its start; the clips that came back."""
    intents = database.submit(open_clips).result()
    known = {c.record.path for c in database.submit(clips).result()}
    back = []
    for found in recover(directory, intents, known):
        assert found.kind in {"kept", "removed"}
        if found.record is None:
            database.submit(lambda tx, clip=found.id: drop_intent(tx, clip)).result()
        else:
            database.submit(lambda tx, record=found.record: finish_clip(tx, record)).result()
            back.append(found.record)
    return back
