"""The stages: what gives way when one is behind, and what happens when the source goes or a stage dies."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, Scripted, frame, kept, query, settings, visit
from broker import wait_for
from clips_footage import decoded, encoded
from clips_keys import notary

from agent.app import journal
from agent.app.analysis import Analyser
from agent.app.announcer import Announcer
from agent.app.journal import Journal
from agent.app.ledger import Ledger
from agent.app.reporter import Reporter, topics
from agent.app.stages import (
    FRAMES_WAITING,
    PACKETS_WAITING,
    AnalysisStage,
    CameraStage,
    EventClosed,
    EventOpened,
    RecordingStage,
    Stage,
)
from agent.backbone import outbox
from agent.capture.ring import PacketRing
from agent.capture.source import open_source
from agent.clips import store
from agent.clips.recorder import Recorder
from agent.database import Database
from agent.errors import StorageError
from agent.types import SourceDown, SourceUp
from agent.ulid import ulid
from agent.vision.detector import PersonDetector
from agent.words import verbatim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVENT = "01KAMZ6T3QW8E2R5T7Y9V1J3P5"
FOOTAGE = encoded(pictures=60, gop=10)


class House:
    """The stages of a kit over the state in `directory`, each not yet started."""

    def __init__(
        self, directory: Path, detector: PersonDetector | None = None, *, record: bool = True
    ) -> None:
        self.state = directory
        chosen = settings(directory, events={"quiet_s": 30.0}, clips={"post_roll_s": 0.0})
        self.clock = Hands(0.0)
        self.ledger = Ledger()
        self.database = Database(directory / "agent.db", (outbox.SCHEMA, store.SCHEMA, journal.SCHEMA))
        messages = outbox.Outbox(chosen.outbox, topics(chosen))
        stream = self.database.submit(messages.open_stream).result()
        reporter = Reporter(chosen, topics(chosen), self.clock, stream, "ssdlite")
        kept_by = Journal(
            self.database, messages, reporter, self.clock, lambda: None, notary(directory, stream)
        )
        numbers = iter(range(1, 100))

        def mint() -> str:
            return ulid(0, next(numbers).to_bytes(10))

        self.announcer = Announcer(reporter, kept_by, mint)
        self.ring = PacketRing(5.0, 10_000_000)
        self.recorder = Recorder(
            chosen.clips, chosen.clips_dir, self.ring.since, mint, kept_by, self.clock.stamp
        )
        self.recording = RecordingStage(
            self.ring, self.recorder if record else None, self.announcer, self.ledger, self.clock
        )
        self.analysis = AnalysisStage(
            Analyser(chosen, detector), self.announcer, self.recording, self.ledger, self.clock
        )
        self.source = Scripted(hold=self._hold)
        self.camera = CameraStage(
            self.source, self.analysis, self.recording, self.announcer, self.ledger, self.clock
        )

    def start(self) -> None:
        """Let all of them work."""
        for stage in (self.recording, self.analysis, self.camera):
            stage.start()

    def end(self) -> None:
        """End the source, and wait for what follows from it."""
        self.source.close()
        for stage in (self.camera, self.analysis, self.recording):
            if stage._thread.ident is not None:
                stage.join(20)
                assert not stage.running
        self.database.close()

    def _hold(self) -> None:
        """Give no frame that would be skipped: these tests are about something else."""
        while self.analysis.backlog:
            time.sleep(0.002)

    def record_footage(self) -> None:
        """Give the recording stage six seconds of real packets."""
        self.recording.put(FOOTAGE.info)
        for packet in FOOTAGE.packets:
            self.recording.put(packet)

    def said(self) -> list[str]:
        """The states and phases in the outbox, once what was handed over is there."""
        self.database.submit(lambda _: None).result()
        return [m.get("phase") or m.get("state") or "snapshot" for m in kept(self.state)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path)
    yield one
    one.end()


@pytest.mark.parametrize(("share", "taken"), [(1.0, 8), (0.5, 4), (0.25, 2)])
def test_a_strained_board_analyses_fewer_frames(house: House, share: float, taken: int) -> None:
    """Evenly, as the share says; none of them counts as skipped for being late."""
    house.analysis.share = share
    queued = []
    for i in range(8):
        house.analysis.put(frame(i, float(i)))
        if house.analysis.backlog:
            queued.append(i)
            house.analysis._queue.get_nowait()
    assert taken == len(queued)
    assert len(set(map(int.__sub__, queued[1:], queued))) <= 1
    assert 0 == house.ledger.read().skipped


def test_analysis_stays_at_the_present(house: House) -> None:
    """When it is behind, the oldest waiting frames give way, and each is counted."""
    for i in range(FRAMES_WAITING + 3):
        house.analysis.put(frame(i, float(i)))

    assert (FRAMES_WAITING, 3) == (house.analysis.backlog, house.ledger.read().skipped)

    house.recording.start()
    house.analysis.start()
    house.analysis.end()
    house.analysis.join(10)
    assert FRAMES_WAITING == house.ledger.read().analysed
    assert FRAMES_WAITING + 2.0 == house.analysis._last_t


def test_recording_that_is_behind_drops_up_to_the_next_key_frame(house: House) -> None:
    """A GOP without its beginning is of no use: what follows a dropped packet is dropped as well."""
    key, *rest = FOOTAGE.packets[:10]
    house.recording.put(key)
    for _ in range(PACKETS_WAITING - 1):
        house.recording.put(rest[0])
    assert 0 == house.ledger.read().packets_dropped

    house.recording.put(rest[0])
    for _ in range(5):
        house.recording._queue.get_nowait()
    house.recording.put(rest[1])
    assert 2 == house.ledger.read().packets_dropped

    house.recording.put(key)
    house.recording.put(rest[0])
    assert 2 == house.ledger.read().packets_dropped
    assert PACKETS_WAITING - 5 + 2 == house.recording.backlog


def test_an_event_is_never_dropped(house: House) -> None:
    """However far recording is behind, it learns of every event."""
    for _ in range(PACKETS_WAITING):
        house.recording.put(FOOTAGE.packets[0])

    house.recording.put(EventOpened(EVENT, 1.0))
    house.recording.put(EventClosed(EVENT, 2.0))

    assert PACKETS_WAITING + 2 == house.recording.backlog
    assert 0 == house.ledger.read().packets_dropped


def test_an_event_becomes_a_clip(house: House) -> None:
    """From its first packets to the end of the source, in the index with its message."""
    house.recording.start()
    house.recording.put(FOOTAGE.info)
    for packet in FOOTAGE.packets[:25]:
        house.recording.put(packet)
    house.recording.put(EventOpened(EVENT, 1.5))
    for packet in FOOTAGE.packets[25:]:
        house.recording.put(packet)
    house.recording.end()
    house.recording.join(10)

    ((path, events),) = query(house.state, "SELECT path, events FROM clips")
    assert f'["{EVENT}"]' == events
    assert 60 == len(decoded(house.state / "clips" / path))
    assert ["available"] == house.said()


def test_without_a_recorder_the_ring_still_turns(tmp_path: Path) -> None:
    """Where nothing may be recorded, packets and events pass and leave no file."""
    house = House(tmp_path, record=False)
    house.recording.start()
    house.record_footage()
    house.recording.put(EventOpened(EVENT, 1.0))
    house.recording.put(EventClosed(EVENT, 2.0))
    house.recording.put(SourceDown(verbatim("gone")))
    house.recording.end()
    house.recording.join(10)

    assert house.ring.seconds > 4
    assert house.recording.failure is None
    assert not (tmp_path / "clips").exists()
    house.end()


def test_a_clip_that_cannot_be_written_is_an_alarm_until_one_can(house: House) -> None:
    """A directory that refuses raises clips.failed; the next clip that is completed clears it."""
    blocked = house.state / "clips"
    blocked.write_text("in the way")
    house.recording.start()
    house.record_footage()
    house.recording.put(EventOpened(EVENT, 5.0))
    wait_for(lambda: house.announcer.alarms == ("clips.failed",))

    blocked.unlink()
    house.recording.put(EventClosed(EVENT, 5.5))
    house.recording.put(EventOpened(EVENT, 5.8))
    house.recording.put(SourceDown(verbatim("gone")))
    wait_for(lambda: house.announcer.alarms == ())

    house.recording.end()
    house.recording.join(10)
    assert [(1,)] == query(house.state, "SELECT count(*) FROM clips")
    assert {"raised", "available", "cleared"} == set(house.said())


def test_what_gives_way_in_the_source_is_counted(house: House) -> None:
    """Frames that were not analysed and pictures that the video lacks, each as such."""
    house.source.unseen, house.source.unrecorded = 3, 2
    house.start()
    house.source.go_on(frame(1, 1.0), frame(2, 2.0))
    wait_for(lambda: house.ledger.read().frames == 2)
    progress = house.ledger.read()
    assert (3, 2) == (progress.skipped, progress.packets_dropped)


def test_the_alarm_is_that_of_the_cause(house: House) -> None:
    """One at a time: a camera that is busy now is no longer missing; the first frame ends all of them."""
    house.start()
    for alarm in ("camera.missing", "camera.busy"):
        house.source.go_on(SourceDown(verbatim(f"it is {alarm}"), alarm))
        wait_for(lambda alarm=alarm: (alarm,) == house.announcer.alarms)
    house.source.go_on(SourceUp(), frame(1, 1.0))
    wait_for(lambda: () == house.announcer.alarms)


def test_a_source_that_goes_ends_what_is_open(tmp_path: Path) -> None:
    """Nobody can be seen: the event ends, its clip is completed, an alarm says so, until pictures return."""
    video = visit(tmp_path / "visit.mp4", 3.0)
    chosen = settings(tmp_path)
    house = House(tmp_path, PersonDetector(chosen.detector))
    capture = chosen.capture.model_copy(update={"source": str(video)})
    house.source.go_on(open_source(capture, pace="max"), SourceDown(verbatim("the stream ended")))
    house.start()

    wait_for(lambda: "end" in house.said(), 20)
    wait_for(lambda: query(tmp_path, "SELECT id FROM clips"))
    assert verbatim("the stream ended") == house.camera.down
    assert ("camera.lost",) == house.announcer.alarms
    phases = [m["phase"] for m in kept(tmp_path) if "phase" in m]
    assert ["new", "end"] == phases
    (end,) = (m for m in kept(tmp_path) if m.get("phase") == "end")
    (clip,) = (m for m in kept(tmp_path) if m.get("state") == "available")
    assert end["id"] in clip["events"]
    assert clip["mono0"] < end["mono0"]
    assert not clip["truncated"]

    house.source.go_on(SourceUp(), frame(100, 20.0))
    wait_for(lambda: house.announcer.alarms == ())
    assert house.camera.down is None
    house.end()
    assert ["new", "end"] == [m["phase"] for m in kept(tmp_path) if "phase" in m]
    assert [(1,)] == query(tmp_path, "SELECT count(*) FROM clips")


def test_an_outage_shorter_than_a_look_ends_no_event(house: House) -> None:
    """A frame that comes right after an interruption takes it back."""
    house.recording.start()
    house.analysis.interrupt()
    house.analysis.put(frame(0, 1.0))
    house.analysis.start()
    wait_for(lambda: house.ledger.read().analysed == 1)

    assert not house.analysis._interrupted.is_set()
    house.analysis.end()


def test_a_frame_from_before_the_loss_takes_no_interruption_back(house: House) -> None:
    """The source may go while its last frames still wait for analysis."""
    house.recording.start()
    house.analysis.put(frame(0, 1.0))
    house.analysis.interrupt()
    house.analysis.start()
    wait_for(lambda: house.ledger.read().analysed == 1)

    assert house.analysis._interrupted.is_set()
    house.analysis.end()


def test_a_camera_that_raises_keeps_its_failure_and_the_rest_finishes(house: House) -> None:
    """The supervisor finds the error, and what came before it is finished by the others."""

    def fail() -> None:
        raise RuntimeError("libav went mad")

    house.source.go_on(frame(0, 1.0), fail)
    house.start()

    for stage in (house.camera, house.analysis, house.recording):
        stage.join(10)
        assert not stage.running
    assert "libav went mad" == str(house.camera.failure)
    assert 1 == house.ledger.read().analysed
    assert house.analysis.failure is None


def test_an_analysis_that_raises_keeps_its_failure(house: House) -> None:
    """A picture that no stage of vision can take ends the stage, not in silence."""
    broken = frame(0, 1.0)
    house.recording.start()
    house.analysis.put(type(broken)(0, 1.0, broken.luma[:0], broken.picture))
    house.analysis.start()
    house.analysis.join(10)

    assert not house.analysis.running
    assert house.analysis.failure is not None
    house.recording.end()


def test_packets_and_frames_are_stamped(house: House) -> None:
    """What the camera gave is in the ledger with the kit's time."""
    house.clock.t = 42.0
    house.source.go_on(FOOTAGE.info, FOOTAGE.packets[0], frame(0, 1.0))
    house.start()
    wait_for(lambda: house.ledger.read().analysed == 1)

    progress = house.ledger.read()
    assert (1, 1, 42.0, 42.0, 42.0) == (
        progress.frames,
        progress.packets,
        progress.last_frame,
        progress.last_packet,
        progress.last_analysed,
    )


def test_a_stage_runs_until_its_work_is_done() -> None:
    """`running` follows the thread, whose name says what it is."""
    go = threading.Event()

    class Waiting(Stage):
        """Waits."""

        def _work(self) -> None:
            go.wait()

    stage = Waiting("waiting")
    stage.start()
    assert stage.running

    go.set()
    stage.join(5)
    assert not stage.running
    assert (None, "waiting") == (stage.failure, stage.name)


@pytest.mark.parametrize(
    ("error", "trace"), [(StorageError("full", fix="free space"), 0), (KeyError("x"), 1)]
)
def test_an_error_for_people_is_one_line(
    error: Exception, trace: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Only what nobody foresaw is told with its traceback."""

    class Failing(Stage):
        def _work(self) -> None:
            raise error

    stage = Failing("failing")
    stage.start()
    stage.join(5)

    assert error is stage.failure
    assert trace == caplog.text.count("Traceback")
