"""The live agent against a real broker: a visit, a stop, a kill, and each part that may be missing."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import (
    BASE,
    KIT,
    PEOPLE,
    Hands,
    Scripted,
    check,
    frame,
    kept,
    query,
    service_manager,
    settings,
    toml,
    visit,
)
from broker import Broker, Heard, Listener, free_port, wait_for
from clips_footage import decoded, ffmpeg_plays, long_footage
from picamera_fake import Board

from agent.app import blindness, hatch, watch
from agent.app.ledger import Ledger
from agent.app.live import Agent
from agent.app.stages import EventOpened
from agent.app.statelock import StateLock
from agent.app.status import Status
from agent.app.want import STEP_S, Strain, Want
from agent.backbone import link
from agent.backbone.courier import Courier
from agent.backbone.drafts import HEADER
from agent.device import reboot
from agent.device.clock import SystemClock
from agent.errors import ConfigError, SourceError, StallError, StorageError
from agent.kitid import check_character
from agent.types import SourceDown, SourceUp
from agent.words import verbatim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.app.analysis import Analysis
    from agent.config import Settings
    from agent.types import Frame

STOPPED, KILLED, ABSENT, LOST = (
    body + check_character(body) for body in ("st0pped00", "k111ed000", "absent000", "w0cam0000")
)
SHORT = {"source": "synthetic:?seconds=0.5&width=64&height=48"}


@dataclass
class Message:
    """What a subscriber heard: the message, and where and how it came."""

    topic: str
    retain: bool
    body: dict[str, Any]
    payload: bytes


def message(heard: Heard) -> Message:
    """The message, out of its payload or its header, proved valid."""
    user = dict(getattr(heard.properties, "UserProperty", []))
    body = json.loads(user[HEADER]) if HEADER in user else json.loads(heard.payload)
    check(body)
    return Message(heard.topic, heard.retain, body, heard.payload)


def of(listener: Listener, kit: str, part: str = "") -> list[Message]:
    """What was heard of a kit on topics that contain `part`, in order."""
    return [message(heard) for heard in list(listener.heard) if f"/{kit}/{part}" in heard.topic]


def phases(listener: Listener, kit: str) -> list[str]:
    return [m.body["phase"] for m in of(listener, kit, "evt/")]


class Running:
    """An agent in threads of this process."""

    def __init__(self, chosen: Settings, source: Scripted | None = None) -> None:
        self.agent = Agent(chosen, SystemClock())
        if source is not None:
            self.agent._camera._source = source
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.agent.run(self.stop)
        except Exception as error:  # noqa: BLE001 - handed to the test
            self.error = error

    def end(self, timeout_s: float = 40.0) -> None:
        """Wait until it has ended by itself, or by `stop`."""
        self._thread.join(timeout_s)
        assert not self._thread.is_alive()


def fragments(clips: Path) -> int:
    """How many fragments the clips hold so far."""
    return sum(clip.read_bytes().count(b"moof") for clip in clips.glob("*.mp4"))


def process(directory: Path, chosen: Settings) -> subprocess.Popen[str]:
    """The agent as the service manager starts it; its log lies beside its state."""
    configuration = directory / "agent.toml"
    configuration.write_text(toml(chosen), encoding="utf-8")
    command = [sys.executable, "-m", "agent", "run", "--config", str(configuration)]
    with (directory / "agent.log").open("a") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=directory, text=True)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    one = Broker(tmp_path_factory.mktemp("broker"))
    one.start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def listener(broker: Broker) -> Iterator[Listener]:
    one = Listener(broker.port)
    yield one
    one.close()


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return visit(tmp_path_factory.mktemp("footage") / "visit.mp4")


def kit_settings(directory: Path, kit: str, port: int, **sections: dict[str, Any]) -> Settings:
    fixed: dict[str, dict[str, Any]] = {
        "kit": {"id": kit},
        "backbone": {"port": port, "heartbeat_s": 1, "will_delay_s": 0},
        "clips": {"post_roll_s": 1, "sync_s": 0.5},
        "events": {"quiet_s": 6},  # on a loaded machine a visitor may go unseen for seconds
    }
    return settings(
        directory, **{s: {**fixed.get(s, {}), **sections.get(s, {})} for s in {*fixed, *sections}}
    )


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """What a service manager with a watchdog hears."""
    with service_manager(tmp_path_factory.mktemp("notify") / "socket") as heard:
        yield heard


@dataclass
class Visited:
    """A run that saw a visit, with all that was heard of it."""

    state: Path
    listener: Listener
    manager: list[str]

    def of(self, part: str = "") -> list[Message]:
        """What was heard on topics that contain `part`."""
        return of(self.listener, KIT, part)


@pytest.fixture(scope="module")
def visited(
    tmp_path_factory: pytest.TempPathFactory,
    broker: Broker,
    listener: Listener,
    footage: Path,
    manager: list[str],
) -> Visited:
    """Seven seconds of footage at its own pace, to its end."""
    state = tmp_path_factory.mktemp("visited")
    one = Running(kit_settings(state, KIT, broker.port, capture={"source": str(footage)}))
    one.end()
    assert one.error is None
    wait_for(lambda: any(m.body.get("state") == "stopped" for m in of(listener, KIT, "st")))
    return Visited(state, listener, manager)


@pytest.mark.broker
@pytest.mark.slow
class TestVisit:
    """One run, looked at from all sides."""

    def test_it_is_born_beats_and_stops(self, visited: Visited) -> None:
        """Birth first, `stopped` last, a pulse each second between."""
        told = visited.of()
        beats = visited.of("hb")

        assert ["online", "stopped"] == [m.body["state"] for m in visited.of("st")]
        assert (f"{BASE}st", f"{BASE}st") == (told[0].topic, told[-1].topic)
        assert "ended" == told[-1].body["why"]
        assert list(range(1, len(beats) + 1)) == [m.body["n"] for m in beats]
        assert len(beats) >= 5
        assert all(m.body["lastframe"] < 5 for m in beats[2:])
        assert any(m.body["inf_ms"][0] > 1 for m in beats if "inf_ms" in m.body)
        assert beats[-1].body["clips"]["n"] == 0  # the clip is completed after the last look

    def test_a_visit_is_one_event_with_two_pictures(self, visited: Visited) -> None:
        """NEW … END of one identity; a picture at once, and at most one better one with the end."""
        steps = [m.body for m in visited.of("evt/")]
        pictures = visited.of("snap/")

        assert ["new", "end"] == [steps[0]["phase"], steps[-1]["phase"]]
        assert 1 == len({step["id"] for step in steps})
        assert list(range(1, len(steps) + 1)) == [step["rev"] for step in steps]
        assert 1 <= len(pictures) <= 2
        assert {steps[0]["id"]} == {m.body["event"] for m in pictures}
        assert all(m.payload.startswith(b"\xff\xd8") for m in pictures)
        assert all(len(m.payload) == m.body["bytes"] for m in pictures)

    def test_its_clip_begins_before_it_and_plays(self, visited: Visited) -> None:
        """As far back as the footage allows, on the same time line as the event."""
        (clip,) = (m.body for m in visited.of("clip"))
        new = visited.of("evt/")[0].body

        assert clip["boot"] == new["boot"]
        assert 0.5 < new["mono0"] - clip["mono0"] < 2.5
        assert [new["id"]] == clip["events"]
        assert not clip["truncated"]
        path = visited.state / "clips" / f"{clip['clip']}.mp4"
        assert len(decoded(path)) / 10 == pytest.approx(clip["dur"], abs=0.2)
        ffmpeg_plays(path)

    def test_numbers_are_dense(self, visited: Visited) -> None:
        """Every number of the stream was heard, and nothing else."""
        streams = {m.body["stream"] for m in visited.of() if "seq" in m.body}
        heard = {m.body["seq"] for m in visited.of() if "seq" in m.body}

        assert 1 == len(streams)
        assert set(range(1, len(kept(visited.state)) + 1)) == heard

    def test_nothing_is_left_open(self, visited: Visited) -> None:
        """No open event, no clip begun, no garbage."""
        for table in ("open_events", "open_clips", "garbage"):
            assert [] == query(visited.state, f"SELECT * FROM {table}")  # noqa: S608 - names of ours

    def test_it_says_what_is_not_as_it_should_be(self, visited: Visited) -> None:
        """Recording without a seal is an alarm, in the message and in every heartbeat."""
        alarms = {m.body["code"]: m.body["sev"] for m in visited.of("alm/")}

        assert "major" == alarms["clips.unsealed"]
        assert all("clips.unsealed" in m.body["alm"] for m in visited.of("hb"))

    def test_the_service_manager_is_told(self, visited: Visited) -> None:
        """Ready once, with the first picture; the watchdog is fed; the stop is announced."""
        assert 1 == visited.manager.count("READY=1")
        assert visited.manager.count("WATCHDOG=1") >= 8
        assert "STOPPING=1" == visited.manager[-1]


@dataclass
class Ended:
    """Two agents as processes: one asked to stop, one killed and started again."""

    stopped: Path
    killed: Path
    codes: tuple[int, int, int]
    listener: Listener


@pytest.fixture(scope="module")
def ended(
    tmp_path_factory: pytest.TempPathFactory, broker: Broker, listener: Listener, footage: Path
) -> Ended:
    """Both run side by side; each is ended in the middle of its event."""
    directories = tmp_path_factory.mktemp("stopped"), tmp_path_factory.mktemp("killed")
    source = {"capture": {"source": str(footage)}}
    both = [
        process(directory, kit_settings(directory, kit, broker.port, **source))
        for directory, kit in zip(directories, (STOPPED, KILLED), strict=True)
    ]
    for kit in (STOPPED, KILLED):
        wait_for(lambda kit=kit: phases(listener, kit), 30)
    for directory in directories:  # a few GOPs of the clip are synced
        wait_for(lambda clips=directory / "clips": fragments(clips) >= 4, 30)
    both[0].terminate()
    both[1].kill()
    codes = [one.wait(30) for one in both]
    wait_for(lambda: of(listener, KILLED, "st")[-1].body["state"] == "offline")

    again = {"capture": {"source": "synthetic:?seconds=1&width=64&height=48"}}
    codes.append(process(directories[1], kit_settings(directories[1], KILLED, broker.port, **again)).wait(30))
    wait_for(lambda: of(listener, KILLED, "st")[-1].body["state"] == "stopped")
    return Ended(*directories, (codes[0], codes[1], codes[2]), listener)


@pytest.mark.broker
@pytest.mark.slow
class TestEnds:
    """SIGTERM and SIGKILL in the middle of an event."""

    def test_exit_codes(self, ended: Ended) -> None:
        """A wanted stop is a success, and so is the run after a kill."""
        assert (0, -9, 0) == ended.codes
        assert "Traceback" not in (ended.stopped / "agent.log").read_text()
        assert "Traceback" not in (ended.killed / "agent.log").read_text()

    def test_a_stop_ends_the_event_and_closes_the_clip(self, ended: Ended) -> None:
        """Everything that was open is finished, delivered, and only then goodbye is said."""
        told = of(ended.listener, STOPPED)
        steps = [m.body for m in told if "phase" in m.body]
        (clip,) = (m.body for m in of(ended.listener, STOPPED, "clip"))

        assert ["new", "end"] == [steps[0]["phase"], steps[-1]["phase"]]
        assert "why" not in steps[-1]
        assert ([steps[0]["id"]], False) == (clip["events"], clip["truncated"])
        ffmpeg_plays(ended.stopped / "clips" / f"{clip['clip']}.mp4")
        assert ("stopped", "shutdown") == (told[-1].body["state"], told[-1].body["why"])

    def test_the_broker_tells_of_a_kill(self, ended: Ended) -> None:
        """The will of the first session, then a birth of a later one, then a goodbye of that."""
        states = [m.body for m in of(ended.listener, KILLED, "st")]

        assert ["online", "offline", "online", "stopped"] == [m["state"] for m in states]
        first, will, second, last = (m["session"] for m in states)
        assert first == will < second == last

    def test_the_event_of_a_killed_run_ends_once(self, ended: Ended) -> None:
        """The next run ends it, says why, with the revision that follows and the evidence it had."""
        # What the killed run had not yet written down as delivered comes twice, under its number.
        steps = list({m.body["seq"]: m.body for m in of(ended.listener, KILLED, "evt/")}.values())

        assert 1 == [step["phase"] for step in steps].count("end")
        assert ("end", "restart") == (steps[-1]["phase"], steps[-1]["why"])
        assert list(range(1, len(steps) + 1)) == [step["rev"] for step in steps]
        assert 1 == len({step["id"] for step in steps})
        # The step is stamped when it is said, the end by its picture: a busy machine lies between.
        assert steps[-2]["mono"] == pytest.approx(steps[-1]["mono"], abs=1.0)
        assert steps[-1]["dur"] >= 0

    def test_its_clip_so_far_plays(self, ended: Ended) -> None:
        """Announced once, truncated, up to its last synced GOP, and from before the event."""
        (clip,) = (m.body for m in of(ended.listener, KILLED, "clip"))
        new = of(ended.listener, KILLED, "evt/")[0].body
        path = ended.killed / "clips" / f"{clip['clip']}.mp4"

        assert clip["truncated"]
        assert [new["id"]] == clip["events"]
        assert clip["mono0"] < new["mono0"] < clip["mono0"] + clip["dur"]
        assert path.stat().st_size == clip["bytes"]
        ffmpeg_plays(path)

    def test_the_stream_goes_on_without_a_hole(self, ended: Ended) -> None:
        """One stream over both runs, each number delivered."""
        told = [m.body for m in of(ended.listener, KILLED) if "seq" in m.body]

        assert 1 == len({m["stream"] for m in told})
        assert set(range(1, len(kept(ended.killed)) + 1)) == {m["seq"] for m in told}
        assert [] == query(ended.killed, "SELECT * FROM open_events")


@pytest.mark.broker
@pytest.mark.slow
def test_events_wait_for_a_broker_that_is_not_there(
    tmp_path: Path, footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happened meanwhile is in the outbox, and arrives when the broker comes."""
    monkeypatch.setattr(link, "BACKOFF_MAX_S", 0.3)  # a minute is too long for a test
    late = Broker(tmp_path)
    state = tmp_path / "state"
    capture = {"source": str(footage), "loop": True}
    one = Running(kit_settings(state, ABSENT, late.port, capture=capture))
    wait_for(lambda: any("phase" in m for m in kept(state)), 30)
    assert query(state, "SELECT count(*) FROM outbox WHERE done_boot IS NULL") > [(1,)]

    late.start()
    listener = Listener(late.port)
    wait_for(lambda: phases(listener, ABSENT)[:1] == ["new"], 30)
    one.stop.set()
    one.end()

    assert one.error is None
    wait_for(lambda: of(listener, ABSENT, "st")[-1].body["state"] == "stopped")
    heard = {m.body["seq"] for m in of(listener, ABSENT) if "seq" in m.body}
    assert set(range(1, len(kept(state)) + 1)) == heard
    listener.close()
    late.stop()


@pytest.mark.broker
def test_a_kit_with_a_dead_camera_stays_up_and_says_so(
    tmp_path: Path, broker: Broker, listener: Listener, manager: list[str]
) -> None:
    """Born, ready, an alarm, and heartbeats that name it; its password stays at home."""
    manager.clear()
    capture = {"source": f"rtsp://user:hush@127.0.0.1:{free_port()}/stairs"}
    one = Running(kit_settings(tmp_path, LOST, broker.port, capture=capture))

    wait_for(lambda: any("camera.lost" in m.body["alm"] for m in of(listener, LOST, "hb")), 20)
    asked = hatch.ask(tmp_path / hatch.NAME, "status")
    one.stop.set()
    one.end()

    assert one.error is None
    assert "READY=1" in manager
    alarms = {m.body["code"]: m.body for m in of(listener, LOST, "alm/")}
    assert "critical" == alarms["camera.lost"]["sev"]
    assert "online" == of(listener, LOST, "st")[0].body["state"]
    wait_for(lambda: of(listener, LOST, "st")[-1].body["state"] == "stopped")
    assert not any(b"hush" in heard.payload for heard in listener.heard)
    assert "fps" not in of(listener, LOST, "hb")[0].body
    status = Status.model_validate_json(asked)
    assert status.kit == LOST
    assert status.link.connected
    assert status.camera.source == "rtsp"
    assert "connection refused" in (status.camera.down or "")
    assert "у з'єднанні відмовлено" in (status.camera.down_uk or "")
    assert status.camera.age is None
    assert "camera.lost" in status.alarms
    assert status.outbox is not None
    assert b"hush" not in asked


def run_short(directory: Path, **sections: dict[str, Any]) -> list[dict[str, Any]]:
    """A run of half a second without a broker; what it left in its outbox."""
    one = Running(settings(directory, **{"capture": SHORT, **sections}))
    one.end()
    assert one.error is None
    return kept(directory)


def test_without_a_seal_nothing_is_recorded(tmp_path: Path) -> None:
    """No directory, no file, an alarm that says why."""
    told = run_short(tmp_path, clips={"seal": "age"})

    assert ["clips.disabled"] == [m["code"] for m in told]
    assert not (tmp_path / "clips").exists()


def test_recording_switched_off_is_no_alarm(tmp_path: Path) -> None:
    """Who does not want clips has nothing to be told; what an earlier run left raised is cleared."""
    agent = Agent(settings(tmp_path, capture=SHORT), SystemClock())
    agent._announcer.alarm("clips.failed", active=True)
    agent._database.close()
    agent._lock.release()

    told = run_short(tmp_path, clips={"enabled": False, "seal": "age"})

    assert ["raised", "raised", "cleared", "cleared"] == [m["state"] for m in told]
    assert {"clips.unsealed", "clips.failed"} == {m["code"] for m in told[2:]}
    assert [] == query(tmp_path, "SELECT * FROM active_alarms")


def test_a_camera_that_is_dead_for_an_hour_has_the_kit_reboot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hour began in an earlier process of this boot; the request lies where root's unit looks for it."""
    runtime = tmp_path / "run"
    runtime.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(runtime))
    clock = SystemClock()
    mark = {"boot": clock.boot, "source": "/dev/video99", "dead_s": blindness.FIRST_S, "reboots": 0}
    (tmp_path / blindness.NAME).write_text(json.dumps(mark))
    one = Running(settings(tmp_path, capture={"source": "/dev/video99"}))
    wait_for((runtime / reboot.REQUEST_NAME).exists)
    one.stop.set()
    one.end()
    assert one.error is None
    assert 1 == json.loads((tmp_path / blindness.NAME).read_text())["reboots"]


def test_a_camera_on_the_ribbon_cable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is missing, and the agent says so and stays; it comes, films as [camera] says, and falls silent.

    The second silence ends the process with the alarm raised, for the next one to clear.
    """
    board = Board(models=())
    board.frames = 20
    board.install(monkeypatch)
    capture = {"source": "picamera:", "stall_after_s": 1.0, "reconnect_max_s": 1.0}
    one = Running(
        settings(tmp_path, capture=capture, camera={"width": 640, "height": 480, "encoder": "software"})
    )
    wait_for(lambda: ("camera.missing",) == camera_alarms(one))
    assert one.agent._camera.down is not None
    board.models = ["imx708"]
    wait_for(lambda: one.agent._ledger.read().packets >= 20 and () == camera_alarms(one))
    assert (480, 640) == one.agent._camera.latest.picture.y.shape

    one.end()

    assert isinstance(one.error, StallError)
    assert 2 == len(board.opened)
    assert [("camera.timeout",)] == query(
        tmp_path, "SELECT code FROM active_alarms WHERE code LIKE 'camera%'"
    )


def camera_alarms(one: Running) -> tuple[str, ...]:
    """Those of the camera that are active."""
    return tuple(code for code in one.agent._announcer.alarms if code.startswith("camera."))


def test_without_its_model_the_agent_goes_on(tmp_path: Path) -> None:
    """No person events, but an alarm; the camera, the scene and the broker are still looked after."""
    told = run_short(tmp_path, detector={"model": str(tmp_path / "nothing.toml")})

    assert {"detector.unusable": "critical"} == {
        m["code"]: m["sev"] for m in told if m["code"].startswith("detector")
    }


def test_a_damaged_database_is_set_aside(tmp_path: Path) -> None:
    """A new stream is begun, the old file is kept for inquiry, and an alarm says so until the next start."""
    run_short(tmp_path)
    (before,) = query(tmp_path, "SELECT stream FROM outbox_state")
    database = tmp_path / "agent.db"
    database.write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)

    told = run_short(tmp_path)

    assert "storage.corrupt" in {m["code"] for m in told}
    assert {before[0]} != {m["stream"] for m in told}
    assert 1 == told[0]["seq"]
    assert (tmp_path / "agent.db.corrupt-1").exists()

    assert ("storage.corrupt", "cleared") in {(m["code"], m["state"]) for m in run_short(tmp_path)}


def test_a_kit_without_its_id_is_refused(tmp_path: Path) -> None:
    """Nothing is touched before the id is known to be set."""
    with pytest.raises(ConfigError, match=r"kit\.id: not set"):
        Agent(settings(tmp_path / "state", kit={"id": "0000000000"}), SystemClock())

    assert not (tmp_path / "state").exists()


def test_a_state_directory_in_the_way(tmp_path: Path) -> None:
    """It is named."""
    blocked = tmp_path / "blocked"
    blocked.write_text("a file in its place")

    with pytest.raises(StorageError, match="blocked"):
        Agent(settings(blocked), SystemClock())


def test_a_clip_directory_that_cannot_be_made_stops_nothing(tmp_path: Path) -> None:
    """Events go on, and an alarm says that no clip can be kept."""
    (tmp_path / "blocked").write_text("a file in its place")
    one = Running(settings(tmp_path / "state", capture=SHORT, clips={"dir": tmp_path / "blocked" / "clips"}))
    one.end()

    assert one.error is None
    assert "storage.refused" in {m.get("code") for m in kept(tmp_path / "state")}


def test_a_source_that_cannot_be_played_ends_the_start(tmp_path: Path) -> None:
    """A video file that is not there is no dead camera: it is told at once."""
    with pytest.raises(SourceError, match=r"nothing\.mp4"):
        Agent(settings(tmp_path, capture={"source": str(tmp_path / "nothing.mp4")}), SystemClock())


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Agent]:
    """An agent that was built and not started."""
    one = Agent(settings(tmp_path, capture=SHORT), SystemClock())
    yield one
    one._database.close()
    one._lock.release()


def test_two_agents_on_one_state_are_one_too_many(idle: Agent, tmp_path: Path) -> None:
    """The second one is refused before it opens the database, and told who works there."""
    with pytest.raises(StorageError, match=f"another agent works there .process {os.getpid()}."):
        Agent(settings(tmp_path, capture=SHORT), SystemClock())

    assert idle._database.alive


def test_the_pre_roll_counts_from_where_the_event_began(idle: Agent) -> None:
    """Not from where it was found out: an event that reaches back 8 s has its ten seconds before that."""
    footage = long_footage(25)
    idle._recording._take(footage.info)
    for packet in footage.packets:
        idle._recording._take(packet)

    idle._recording._take(EventOpened("01KAMZ6T3QW8E2R5T7Y9V1J3P5", footage.packets[-1].t - 8.0))

    assert idle._recorder is not None
    assert idle._recorder._running is not None
    assert 6.0 <= idle._recorder._running.clip.started <= footage.packets[-1].t - 18.0
    idle._recorder.close()


def test_a_stage_that_dies_ends_the_agent(tmp_path: Path) -> None:
    """In order, with an error that names the stage and what killed it."""

    def fail() -> None:
        raise RuntimeError("libav went mad")

    one = Running(settings(tmp_path), Scripted(frame(0, 0.0), fail))
    one.end()

    assert isinstance(one.error, StallError)
    assert "camera: died (RuntimeError('libav went mad'))" in str(one.error)
    with pytest.raises(StorageError, match="after it was closed"):
        one.agent._database.submit(lambda _: None)


def test_a_stop_takes_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first thing that goes wrong is told; what comes after it is done all the same."""
    goodbyes: list[str] = []
    monkeypatch.setattr(Courier, "close", lambda _, why, __: goodbyes.append(why))
    one = Running(settings(tmp_path, capture=SHORT))
    original = one.agent._readback.end

    def end() -> None:
        original()
        raise StorageError("first", fix="none")

    def beat() -> None:
        raise StorageError("second", fix="none")

    monkeypatch.setattr(one.agent._readback, "end", end)
    wait_for(lambda: one.agent._ledger.frames)
    monkeypatch.setattr(one.agent, "_heartbeat", beat)
    one.stop.set()
    one.end()

    assert "first" in str(one.error)
    assert ["shutdown"] == goodbyes
    assert not one.agent._database.alive
    StateLock(tmp_path).release()


def test_a_clock_that_is_set_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The birth told a time that is no longer true: it is said again."""
    births = threading.Event()
    monkeypatch.setattr(Courier, "announce", lambda _: births.set())
    one = Running(settings(tmp_path), Scripted(frame(0, 0.0)))
    wait_for(lambda: one.agent._ledger.frames)
    assert not births.is_set()

    one.agent._walltime._clock = Hands(0.0, ts="2030-01-01T00:00:00.000Z")
    assert births.wait(10)
    one.stop.set()
    one.end()
    assert one.error is None


def test_a_crash_is_no_polite_goodbye(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads the retained status sees that the agent failed, not that it was stopped."""
    goodbyes: list[str] = []
    monkeypatch.setattr(Courier, "close", lambda _, why, __: goodbyes.append(why))

    def fail() -> None:
        raise RuntimeError("libav went mad")

    one = Running(settings(tmp_path), Scripted(frame(0, 0.0), fail))
    one.end()

    assert isinstance(one.error, StallError)
    assert ["failed"] == goodbyes


def test_a_source_that_fails_for_a_reason_says_it(tmp_path: Path) -> None:
    """An error for people passes as it is, with its own exit code."""

    def fail() -> None:
        raise SourceError("night.mp4: no picture can be decoded", fix="give another file")

    one = Running(settings(tmp_path), Scripted(fail))
    one.end()

    assert isinstance(one.error, SourceError)
    assert 4 == one.error.exit_code


def test_a_stage_that_stalls_is_found(idle: Agent) -> None:
    """Work waits and none is done for longer than it may; an idle stage is no stall."""
    clock = Hands(100.0)
    idle._analysis._clock = idle._recording._clock = clock
    idle._watch.check_progress(1e6)

    idle._analysis.put(frame(0, 100.0))
    clock.t = 110.0
    for number in range(5):  # the newest give no new time
        idle._analysis.put(frame(number, 110.0))
    idle._watch.check_progress(100.0 + watch.STAGE_STALL_S)
    with pytest.raises(StallError, match="analysis: nothing done for 21 s"):
        idle._watch.check_progress(101.0 + watch.STAGE_STALL_S)

    idle._analysis.busy_since = None
    idle._recording.put(SourceDown(verbatim("gone")))
    idle._watch.check_progress(110.0 + watch.RECORDING_STALL_S)
    with pytest.raises(StallError, match="recording: nothing done for 121 s"):
        idle._watch.check_progress(111.0 + watch.RECORDING_STALL_S)

    idle._recording.busy_since = None
    idle._courier.busy_since = 110.0
    idle._watch.check_progress(110.0 + watch.COURIER_STALL_S)
    with pytest.raises(StallError, match="courier: nothing done for 121 s"):
        idle._watch.check_progress(111.0 + watch.COURIER_STALL_S)

    idle._courier.busy_since = None
    idle._inbox.busy_since = 110.0
    idle._watch.check_progress(110.0 + watch.INBOX_STALL_S)
    with pytest.raises(StallError, match="inbox: nothing done for 121 s"):
        idle._watch.check_progress(111.0 + watch.INBOX_STALL_S)


def test_want_reaches_analysis_and_pre_roll(idle: Agent) -> None:
    """Heat takes from the one, want of memory from the other."""
    want = Want()
    for now in (0.0, STEP_S, 2 * STEP_S):
        want.judge(Strain(celsius=90.0, memory=0.01), now)
    idle._do_without(want)
    assert (0.25, 0.25) == (want.analysis, want.ring)
    assert 0.25 == idle._analysis.share
    pre_roll, held = idle._settings.clips.pre_roll_s, idle._ring._max_s
    assert held - 0.75 * pre_roll == pytest.approx(idle._ring._share * held)


def test_a_slow_first_look_after_an_outage_is_no_stall(idle: Agent) -> None:
    """What counts is how long the frame waits, not how long ago the one before the outage was done."""
    clock = Hands(100.0)
    idle._analysis._clock = clock
    looking, look = threading.Event(), threading.Event()
    step = idle._analysis._analyser.step

    def slow_step(one: Frame) -> Analysis:
        looking.set()
        assert look.wait(10)
        return step(one)

    idle._analysis._analyser.step = slow_step  # type: ignore[method-assign]
    look.set()
    idle._analysis.put(frame(0, 100.0))
    idle._analysis.start()
    wait_for(lambda: idle._ledger.analysed == 1 and idle._analysis.busy_since is None)
    look.clear()
    looking.clear()

    clock.t = 130.0
    idle._analysis.put(frame(1, 130.0))
    assert looking.wait(10)
    idle._analysis.put(frame(2, 130.1))
    idle._watch.check_progress(131.0)
    with pytest.raises(StallError, match="analysis"):
        idle._watch.check_progress(151.0)

    look.set()
    idle._analysis.end()
    idle._analysis.join(10)
    assert idle._analysis.busy_since is None


@pytest.mark.parametrize(
    ("capture", "found"),
    [
        ({"source": "rtsp://127.0.0.1/stairs"}, True),
        ({"source": str(PEOPLE), "loop": True}, True),
        ({"source": str(PEOPLE)}, False),
    ],
)
def test_a_source_that_hangs_and_says_nothing_is_found(
    idle: Agent, tmp_path: Path, capture: dict[str, Any], *, found: bool
) -> None:
    """A decoder that never returns; a source that says it is down owes no frame, nor does a file's end."""
    idle._watch.settings = settings(tmp_path, capture=capture)
    clock = Hands(100.0)
    idle._camera._clock = idle._analysis._clock = idle._recording._clock = clock
    idle._camera._take(frame(0, 100.0))
    idle._analysis.busy_since = None
    idle._watch.check_progress(130.0)
    with pytest.raises(StallError, match="camera") if found else contextlib.nullcontext():
        idle._watch.check_progress(131.0)

    idle._camera._take(SourceDown(verbatim("unplugged")))
    idle._recording.busy_since = None
    idle._watch.check_progress(1e6)
    clock.t = 5000.0
    idle._camera._take(SourceUp())
    idle._watch.check_progress(5030.0)


def test_a_dead_writer_or_courier_is_found(idle: Agent) -> None:
    """Without them nothing is kept or sent: the process must end."""
    idle._watch.check_progress(0.0)
    idle._watch.raise_failure()

    idle._courier.error = RuntimeError("paho")
    with pytest.raises(StallError, match=r"courier: died \(RuntimeError\('paho'\)\)"):
        idle._watch.raise_failure()

    idle._journal.failure = ZeroDivisionError("ours")
    with pytest.raises(StallError, match=r"journal: died \(ZeroDivisionError\('ours'\)\)"):
        idle._watch.raise_failure()

    idle._database.unsound = "malformed"
    with pytest.raises(StallError, match=r"agent\.db: damaged .malformed."):
        idle._watch.check_progress(0.0)
    idle._database.unsound = None

    idle._database.close()
    with pytest.raises(StallError, match="database: its writer died"):
        idle._watch.check_progress(0.0)


def test_a_slow_kit_says_so_until_it_keeps_up(idle: Agent) -> None:
    """Judged by the share of frames skipped since the last judgement, over enough of them."""
    ledger = Ledger()
    for frames, skipped, slow in ((40, 40, False), (60, 41, True), (100, 41, True), (200, 45, False)):
        ledger.frames, ledger.skipped = frames, skipped
        idle._judge_speed(ledger.read())
        assert slow == ("camera.slow" in idle._announcer.alarms)


def test_a_disk_that_refuses_is_an_alarm_and_no_end(idle: Agent) -> None:
    """The agent goes on; what it could not write comes later, and the alarm is over."""
    idle._database.submit(lambda tx: tx.execute("PRAGMA query_only=1")).result()

    idle._keep_house()
    idle._trouble.judge(idle._refusals())
    assert "storage.readonly" in idle._announcer.alarms
    idle._keep_house()

    idle._database._connection.execute("PRAGMA query_only=0")
    idle._keep_house()
    wait_for(lambda: idle._journal.refusal is None)
    idle._keep_house()
    idle._trouble.judge(idle._refusals())
    assert "storage.readonly" not in idle._announcer.alarms
    idle._database.submit(lambda _: None).result()
    told = [(m["code"], m["state"]) for m in kept(idle._settings.state.dir)]
    assert [("storage.readonly", "raised"), ("storage.readonly", "cleared")] == told[-2:]
