"""The journal: message and state commit together, a killed run's debts are paid once, order is kept."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, change, kept, query, settings
from broker import wait_for
from clips_footage import small_disk
from clips_keys import KIT_KEY, notary

from agent.app import journal
from agent.app.deferred import AT_ONCE, WRITES_MAX
from agent.app.journal import Journal
from agent.app.reporter import Reporter, topics
from agent.backbone import outbox
from agent.clips import store
from agent.clips.fragment import Fragment, Plaintext
from agent.clips.journal import OpenClip
from agent.clips.manifest import manifest_path, read
from agent.clips.part import part_path
from agent.database import Database
from agent.doctor.registry import ALARMS
from agent.errors import StorageError
from agent.types import ClipRecord, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVENT = "01KAMZ6T3QW8E2R5T7Y9V1J3P5"
OTHER = "01KAMZ6T3QW8E2R5T7Y9V1J3P6"
CLIP = OpenClip(
    id="01KAMZ7A0000000000000000AA",
    path="01KAMZ7A0000000000000000AA.mp4",
    events=(EVENT,),
    started=990.0,
    boot="aaaaaaaa",
    ts=None,
    clk="none",
    codec="h264",
    width=640,
    height=480,
    sealed="none",
)
RECORD = ClipRecord(**dataclasses.asdict(CLIP), duration=12.0, bytes=1000, sha256="0" * 64)
PLAIN = Plaintext(1000, (Fragment(0.0, 1000, "0" * 64),))


class Run:
    """A run of the agent, as far as the journal is concerned, over the state in `directory`."""

    def __init__(self, directory: Path, clock: Hands) -> None:
        chosen = settings(directory)
        self.state = directory
        self.wakes = 0
        self.database = Database(directory / "agent.db", (outbox.SCHEMA, store.SCHEMA, journal.SCHEMA))
        messages = outbox.Outbox(chosen.outbox, topics(chosen))
        stream = self.database.submit(messages.open_stream).result()
        self.reporter = Reporter(chosen, topics(chosen), clock, stream, "ssdlite")
        self.directory = chosen.clips_dir
        self.directory.mkdir(exist_ok=True)
        self.journal = Journal(
            self.database, messages, self.reporter, clock, self._wake, notary(self.directory, stream)
        )

    def _wake(self) -> None:
        self.wakes += 1

    def tell(self, phase: Phase, rev: int = 1, t: float = 1000.0, *, event: str = EVENT) -> None:
        """A step of an event's life, as the announcer hands it over."""
        step = change(phase, rev, t)
        self.journal.event(event, step, self.reporter.event(event, step))

    def settle(self) -> None:
        """Return once everything handed over so far was tried."""
        self.database.submit(lambda _: None).exception()

    def refuse(self, *, on: bool) -> None:
        """Let SQLite refuse every write, as a card that went read-only does."""
        self.settle()
        self.database._connection.execute(f"PRAGMA query_only={int(on)}")

    def steps(self) -> list[tuple[str, str, int]]:
        """The events in the outbox: (id, phase, rev)."""
        return [(m["id"], m["phase"], m["rev"]) for m in kept(self.state) if "phase" in m]


def fill(card: Path) -> Path:
    """A file that takes all that is free."""
    filler = card / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1024))
    return filler


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    one = Run(tmp_path, Hands())
    yield one
    one.database.close()


def test_an_open_event_has_its_row_and_its_message(run: Run) -> None:
    """NEW and UPDATE leave one row of what is open; END takes it away; all three are in the outbox."""
    run.tell(Phase.NEW)
    run.tell(Phase.UPDATE, 2, 1002.0)
    run.settle()
    assert [(EVENT,)] == query(run.state, "SELECT id FROM open_events")

    run.tell(Phase.END, 3, 1004.0)
    run.settle()

    assert [] == query(run.state, "SELECT id FROM open_events")
    assert [(EVENT, "new", 1), (EVENT, "update", 2), (EVENT, "end", 3)] == run.steps()
    assert run.wakes >= 3


def test_an_update_waits_for_company(run: Run) -> None:
    """Beginning and end are on disk at once; an update shares the sync of what comes within a second."""
    commits: list[str] = []
    run.settle()
    run.database._connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    run.tell(Phase.UPDATE, 2, 1002.0)
    run.tell(Phase.UPDATE, 3, 1007.0)
    run.tell(Phase.END, 4, 1009.0)
    run.settle()

    assert [2, 3, 4] == [rev for _, _, rev in run.steps()]
    assert len(commits) <= 2  # one for all three, one of `settle`
    run.tell(Phase.UPDATE, 5, 1012.0)
    wait_for(lambda: len(run.steps()) == 4)


def test_message_and_row_are_one_transaction(run: Run) -> None:
    """A message that breaks the contract leaves no row behind either, and the supervisor learns of it."""
    step = change(Phase.NEW)
    draft = run.reporter.event(EVENT, step)
    broken = dataclasses.replace(draft, body=draft.body.model_copy(update={"rev": 0}))

    run.journal.event(EVENT, step, broken)
    run.settle()

    assert [] == query(run.state, "SELECT id FROM open_events")
    assert [] == kept(run.state)
    assert "rev" in str(run.journal.failure)


def test_what_a_killed_run_left_open_ends_once(run: Run, tmp_path: Path) -> None:
    """The next run ends it with the last evidence of the killed one, however often it recovers."""
    run.tell(Phase.NEW)
    run.tell(Phase.UPDATE, 2, 1003.5)
    run.tell(Phase.NEW, event=OTHER)
    run.settle()
    run.database.close()

    later = Run(tmp_path, Hands(5.0, boot="bbbbbbbb", ts="2026-11-22T00:31:05.412Z"))
    later.journal.recover()
    later.journal.recover()
    later.settle()
    later.database.close()

    ends = [m for m in kept(tmp_path) if m.get("phase") == "end"]
    assert [(EVENT, 3), (OTHER, 2)] == [(m["id"], m["rev"]) for m in ends]
    assert ("restart", "aaaaaaaa", 1003.5, None, 4.5, 999.0) == tuple(
        ends[0][key] for key in ("why", "boot", "mono", "ts", "dur", "mono0")
    )
    assert [] == query(tmp_path, "SELECT id FROM open_events")


@pytest.mark.parametrize("damage", ["{}", "no JSON", '{"t": 1}', "[]"])
def test_an_open_event_that_cannot_be_read_ends(
    run: Run, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Minimally, and told: it must not keep the agent from starting."""
    run.tell(Phase.NEW)
    run.settle()
    run.database.ask(lambda tx: tx.execute("UPDATE open_events SET change = ?", (damage,)), 10)

    run.journal.recover()
    run.settle()

    assert run.journal.failure is None
    assert [] == query(run.state, "SELECT id FROM open_events")
    assert (EVENT, "end") == run.steps()[-1][:2]
    assert "cannot be read" in caplog.text


def test_a_third_run_finds_nothing_to_end(run: Run, tmp_path: Path) -> None:
    """Once ended, an event stays ended over any number of starts."""
    run.tell(Phase.NEW)
    run.settle()
    run.database.close()

    for boot in ("bbbbbbbb", "cccccccc"):
        later = Run(tmp_path, Hands(boot=boot))
        later.journal.recover()
        later.settle()
        later.database.close()

    assert ["new", "end"] == [m["phase"] for m in kept(tmp_path)]


def test_alarms_are_remembered_over_runs(run: Run, tmp_path: Path) -> None:
    """What was raised and not cleared is known to the next run."""
    for code in ("camera.lost", "scene.dark"):
        run.journal.alarm(code, run.reporter.alarm(ALARMS[code]), active=True)
    run.journal.alarm("scene.dark", run.reporter.alarm_over(ALARMS["scene.dark"]), active=False)
    run.settle()
    run.database.close()

    later = Run(tmp_path, Hands())

    assert {"camera.lost"} == later.journal.left_alarms()
    assert ["raised", "raised", "cleared"] == [m["state"] for m in kept(tmp_path)]
    later.database.close()


def test_a_clip_is_on_disk_when_the_call_returns(run: Run) -> None:
    """Intent first; then row and message together, and the intent is gone."""
    run.journal.opened(CLIP)
    assert [(CLIP.id,)] == query(run.state, "SELECT id FROM open_clips")

    note = part_path(run.directory / CLIP.path)
    note.write_bytes(b"what recovery would have needed")

    run.journal.closed(RECORD, PLAIN)

    assert [(CLIP.id,)] == query(run.state, "SELECT id FROM clips")
    assert [] == query(run.state, "SELECT id FROM open_clips")
    assert [CLIP.id] == [m["clip"] for m in kept(run.state)]
    assert not note.exists()


def test_clips_are_chained_and_say_so(run: Run) -> None:
    """Row, message and manifest name the same signed digest, and the one of the clip before."""
    second = dataclasses.replace(RECORD, id=OTHER, path=f"{OTHER}.mp4")
    for record in (RECORD, second):
        run.journal.closed(record, PLAIN)

    manifests = [read(manifest_path(run.directory / record.path)) for record in (RECORD, second)]
    digests = [signed.digest for signed in manifests]
    assert [1, 2] == [signed.manifest.number for signed in manifests]
    assert [None, digests[0]] == [signed.manifest.prev for signed in manifests]
    assert all(signed.by(KIT_KEY.public) for signed in manifests)
    told = kept(run.state)
    assert [(digests[0], None), (digests[1], digests[0])] == [(m["manifest"], m.get("prev")) for m in told]
    assert [signed.sig for signed in manifests] == [m["sig"] for m in told]
    assert [(digests[0], ""), (digests[1], digests[0])] == query(
        run.state, "SELECT manifest, prev FROM clips ORDER BY seq"
    )


def test_a_clip_that_lost_its_row_keeps_its_manifest(run: Run) -> None:
    """Entered again as it was signed, it takes no place in the chain of the new database."""
    attested = dataclasses.replace(RECORD, manifest="1" * 64, prev="2" * 64, sig="A" * 86 + "==")

    run.journal.closed(attested, None)
    run.journal.closed(dataclasses.replace(RECORD, id=OTHER, path=f"{OTHER}.mp4"), PLAIN)

    assert ["1" * 64, None] == [m["manifest"] if "prev" in m else None for m in kept(run.state)]
    assert not manifest_path(run.directory / RECORD.path).exists()


def test_what_cannot_be_signed_is_not_announced(run: Run) -> None:
    """A manifest that the disk refuses is an error for the recorder: no row, no message, the chain stands."""
    run.directory.rmdir()
    with pytest.raises(StorageError, match=r"AA\.json: cannot be written"):
        run.journal.closed(RECORD, PLAIN)

    assert [] == kept(run.state)
    assert [] == query(run.state, "SELECT * FROM clip_chain")


def test_events_of_a_day_are_counted(tmp_path: Path) -> None:
    """Only beginnings count, and only those of the last 24 hours."""
    clock = Hands()
    run = Run(tmp_path, clock)
    run.tell(Phase.NEW, t=1000.0)
    run.tell(Phase.END, 2, 1004.0)
    run.tell(Phase.NEW, t=50_000.0, event=OTHER)

    assert 2 == run.journal.events_24h
    clock.t = 1000.0 + 86_401
    assert 1 == run.journal.events_24h
    run.database.close()


def test_what_the_disk_refuses_comes_later_in_order(run: Run) -> None:
    """Writes wait in memory while the disk refuses; then all of them are there as they were said."""
    run.refuse(on=True)
    run.tell(Phase.NEW)
    run.tell(Phase.UPDATE, 2, 1002.0)
    run.settle()
    assert "agent.db" in str(run.journal.refusal)

    run.journal.retry()
    run.settle()
    assert [] == run.steps()
    assert "agent.db" in str(run.journal.refusal)

    run.refuse(on=False)
    run.tell(Phase.END, 3, 1004.0)
    run.journal.retry()
    run.settle()

    assert [(EVENT, "new", 1), (EVENT, "update", 2), (EVENT, "end", 3)] == run.steps()
    assert [] == query(run.state, "SELECT id FROM open_events")
    run.settle()
    assert run.journal.refusal is None
    assert 0 == run.journal.lost


def test_what_is_said_after_a_refusal_does_not_overtake(run: Run) -> None:
    """A disk that takes writes again does not get an END before its NEW."""
    run.refuse(on=True)
    run.tell(Phase.NEW)
    run.refuse(on=False)

    run.tell(Phase.END, 2, 1004.0)
    run.settle()
    assert [] == run.steps()

    run.journal.retry()
    run.tell(Phase.NEW, event=OTHER)
    run.settle()
    run.settle()

    assert [(EVENT, "new", 1), (EVENT, "end", 2), (OTHER, "new", 1)] == run.steps()
    assert [(OTHER,)] == query(run.state, "SELECT id FROM open_events")


def test_what_waits_in_memory_is_bounded_and_what_went_is_said(run: Run) -> None:
    """Beyond the bound the least goes, the oldest of it; it gets numbers, and a gap names them."""
    run.refuse(on=True)
    run.tell(Phase.NEW)
    for rev in range(2, WRITES_MAX + 5):
        run.tell(Phase.UPDATE, rev, 1000.0 + rev)
    run.settle()
    assert (4, WRITES_MAX) == (run.journal.lost, run.journal.deferred)

    run.refuse(on=False)
    run.journal.retry()
    wait_for(lambda: run.journal.deferred == 0)
    run.settle()

    assert [1, *range(6, WRITES_MAX + 5)] == [rev for _, _, rev in run.steps()]
    messages = kept(run.state)
    [gap] = [m for m in messages if "ranges" in m]
    assert ("refused", 4) == (gap["why"], gap["count"])
    named = {seq for first, last in gap["ranges"] for seq in range(first, last + 1)}
    assert set(range(1, WRITES_MAX + 6)) == named | {m["seq"] for m in messages}
    assert run.journal.refusal is None


def test_an_almost_full_disk_takes_a_part(run: Run) -> None:
    """What waits is not all or nothing: else it would wait for ever."""
    run.refuse(on=True)
    for number in range(3 * AT_ONCE):
        run.tell(Phase.NEW, event=f"{number:026d}")
    run.settle()
    run.refuse(on=False)
    seen: list[int] = []

    def listen(sql: str) -> None:
        if sql == "COMMIT":
            seen.append(len(run.steps()))

    run.database._connection.set_trace_callback(listen)
    run.journal.retry()
    wait_for(lambda: run.journal.deferred == 0)

    assert [0, AT_ONCE, 2 * AT_ONCE] == seen[:3]


def test_an_end_that_went_is_owed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event was begun on disk; its end found no place in memory. The next start ends it."""
    run.tell(Phase.NEW)
    run.settle()
    monkeypatch.setattr("agent.app.deferred.WRITES_MAX", 0)
    run.refuse(on=True)
    run.tell(Phase.END, 2, 1004.0)
    run.settle()
    run.refuse(on=False)
    run.journal.retry()
    run.settle()
    run.database.close()
    later = Run(tmp_path, Hands(5.0, boot="bbbbbbbb"))
    later.journal.recover()
    later.settle()
    later.database.close()

    assert [(EVENT, "new", 1), (EVENT, "end", 2)] == later.steps()
    assert [1] == [m["count"] for m in kept(tmp_path) if "ranges" in m]


def test_two_retries_write_once(run: Run) -> None:
    """A second one while the first is under way does nothing, and no write is lost or doubled."""
    run.refuse(on=True)
    for number in range(3):
        run.tell(Phase.NEW, event=f"{number:026d}")
    run.refuse(on=False)

    entered, release = threading.Event(), threading.Event()
    run.database.submit(lambda _: entered.set() or release.wait(10))
    assert entered.wait(10)
    run.journal.retry()
    run.journal.retry()
    run.tell(Phase.NEW, event=OTHER)
    release.set()
    for _ in range(3):
        run.settle()

    assert [*(f"{number:026d}" for number in range(3)), OTHER] == [name for name, _, _ in run.steps()]
    assert run.journal.failure is None


def test_a_stop_writes_what_waits(run: Run) -> None:
    """All of it if the disk takes it; a disk that still refuses does not hold the stop up."""
    run.refuse(on=True)
    for number in range(3 * AT_ONCE):
        run.tell(Phase.NEW, event=f"{number:026d}")
    run.settle()
    run.journal.drain(60.0)
    assert 3 * AT_ONCE == run.journal.deferred

    run.refuse(on=False)
    run.journal.drain(60.0)
    assert (0, 3 * AT_ONCE) == (run.journal.deferred, len(run.steps()))


def test_a_loss_is_told_once_in_the_log(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal of the kit lies on the same disk."""
    monkeypatch.setattr("agent.app.deferred.WRITES_MAX", 2)
    run.refuse(on=True)
    for rev in range(2, 9):
        run.tell(Phase.UPDATE, rev)
    run.settle()

    assert 5 == run.journal.lost
    assert 1 == caplog.text.count("a message is given up")


def test_an_error_of_ours_in_what_waited_is_told(run: Run) -> None:
    """A write that is wrong in itself is no refusal: the supervisor ends the process for it."""
    run.refuse(on=True)
    run.tell(Phase.NEW)
    run.refuse(on=False)
    run.database._connection.execute("DROP TABLE open_events")
    run.database._connection.execute(
        "CREATE TABLE open_events "
        "(id TEXT PRIMARY KEY CHECK (id = 'none'), ts0 TEXT, last TEXT, change TEXT) STRICT"
    )

    run.journal.retry()
    run.settle()

    assert isinstance(run.journal.failure, sqlite3.IntegrityError)


def test_nothing_refused_is_nothing_to_retry(run: Run) -> None:
    """Retrying in health does nothing."""
    run.journal.retry()
    run.settle()

    assert run.journal.refusal is None
    assert [] == kept(run.state)


def test_a_card_that_is_full_and_then_is_not(tmp_path: Path) -> None:
    """On a real full file system nothing is lost either, and waiting callers are told."""
    with small_disk(tmp_path / "card", 1000) as card:
        run = Run(card, Hands())
        try:
            filler = fill(card)
            for number in range(200):
                run.tell(Phase.NEW, event=f"{number:026d}")
            run.settle()
            assert "cannot be written" in str(run.journal.refusal)
            with pytest.raises(StorageError, match=r"(agent\.db|\.json): cannot be written"):
                run.journal.closed(dataclasses.replace(RECORD, events=(EVENT,) * 2000), PLAIN)

            filler.unlink()
            run.journal.drain(60.0)
            run.settle()

            assert [f"{number:026d}" for number in range(200)] == [name for name, _, _ in run.steps()]
        finally:
            run.database.close()
