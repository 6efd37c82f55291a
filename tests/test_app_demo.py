"""The demonstration: the real agent, a real broker, a subscriber, and what they leave behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import pytest
from app_parts import check, kept
from broker import free_port, wait_for
from clips_footage import decoded, ffmpeg_plays
from standin import standin

from agent.app import demo
from agent.app.demo import KIT, Outcome, demonstrate
from agent.cli import demo as command
from agent.errors import BrokerError, StairwellError, StorageError
from agent.kitid import check_kit_id

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Shown:
    """A demonstration and what was printed of it."""

    outcome: Outcome
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    printed: str = ""

    def of(self, kind: str) -> list[tuple[str, bytes]]:
        """The messages of one kind, `st` to `clip`."""
        return [(topic, payload) for topic, payload in self.heard if topic.split("/")[6] == kind]

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        """Those that are JSON, each proved valid."""
        found = [json.loads(payload) for _, payload in self.of(kind) if payload]
        for message in found:
            check(message)
        return found


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """`stairwell demo` once, with an ear beside its printer."""
    directory = tmp_path_factory.mktemp("demo") / "out"
    seen = Shown(Outcome(directory))

    def listen(out: Path, printer: Callable[[str, bytes], None]) -> Outcome:
        def both(topic: str, payload: bytes) -> None:
            seen.heard.append((topic, payload))
            printer(topic, payload)

        seen.outcome = demonstrate(out, both)
        return seen.outcome

    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as printed:
        patch.setattr(command, "demonstrate", listen)
        patch.chdir(directory.parent)
        command.demo(Path(directory.name))  # relative, as a person gives it
    seen.printed = printed.getvalue()
    return seen


pytestmark = [pytest.mark.broker]
WHOLE = [pytest.mark.slow, pytest.mark.timeout(180)]


class TestWhole:
    """One run of half a minute, looked at from all sides."""

    pytestmark = WHOLE

    def test_one_visit_is_one_event(self, shown: Shown) -> None:
        """NEW first, END last, one identity, revisions without a hole; and nothing of it for the lamp."""
        steps = shown.bodies("evt")

        assert ["new", "end"] == [steps[0]["phase"], steps[-1]["phase"]]
        assert list(range(1, len(steps) + 1)) == [step["rev"] for step in steps]
        assert {steps[0]["id"]: [step["phase"] for step in steps]} == shown.outcome.events
        assert "why" not in steps[-1]
        assert {True} == {step["replay"] for step in steps}
        assert (4, 0) == (shown.outcome.lamp_switches, shown.outcome.lamp_events)

    def test_presence_frames_the_rest(self, shown: Shown) -> None:
        """Birth before everything, `stopped` after everything, heartbeats between, each valid."""
        first, last = json.loads(shown.heard[0][1]), json.loads(shown.heard[-1][1])

        assert ["Birth", "Stopped"] == [check(first), check(last)]
        assert ("ended", first["session"]) == (last["why"], last["session"])
        beats = shown.bodies("hb")
        assert list(range(1, len(beats) + 1)) == [beat["n"] for beat in beats]
        assert len(beats) >= 3
        assert all(1 < beat["fps"][0] < 11 for beat in beats[1:-1])  # a loaded machine skips frames
        assert 1 == beats[-1]["ev24"]

    def test_two_pictures_of_the_visit(self, shown: Shown) -> None:
        """One at once and a better one with the end; the last is left as a file that opens."""
        assert 2 == len(shown.of("snap"))
        (path,) = shown.outcome.snapshots
        assert shown.of("snap")[-1][1] == path.read_bytes()
        assert (480, 640, 3) == cv2.imread(str(path)).shape

    def test_the_clip_begins_before_the_event_and_plays(self, shown: Shown) -> None:
        """What was announced is on disk, decodes in PyAV and in ffmpeg, and shows how somebody came in."""
        (message,) = shown.bodies("clip")
        (path,), (sealed,) = shown.outcome.clips, shown.outcome.sealed

        assert (message["bytes"], False, "age") == (
            sealed.stat().st_size,
            message["truncated"],
            message["sealed"]["fmt"],
        )
        assert list(shown.outcome.events) == message["events"]
        assert shown.outcome.lead_s is not None
        assert shown.outcome.lead_s >= demo.PRE_ROLL_S
        assert 1 == shown.outcome.keyed
        assert len(decoded(path)) / 10 == pytest.approx(message["dur"], abs=0.2)
        assert shown.outcome.clip_seconds == pytest.approx(message["dur"], abs=0.2)
        ffmpeg_plays(path)

    def test_the_outbox_agrees_with_what_was_heard(self, shown: Shown) -> None:
        """Every number was given once, and every row of it arrived."""
        rows = kept(shown.outcome.directory / "state")
        numbered = [m for kind in ("evt", "clip", "alm") for m in shown.bodies(kind)]

        assert list(range(1, len(rows) + 1)) == [row["seq"] for row in rows]
        assert {row["seq"] for row in rows if "content_type" not in row} == {m["seq"] for m in numbered}
        # A loaded machine is slow, and says so; nothing else is wrong with it.
        assert set() == {m["code"] for m in shown.bodies("alm")} - {"camera.slow"}

    def test_the_kit_is_a_real_one_and_its_log_is_clean(self, shown: Shown) -> None:
        """Its id would pass on a label; its log has no traceback; the count of messages is right."""
        log = (shown.outcome.directory / "agent.log").read_text()

        assert KIT == check_kit_id(KIT)
        assert {KIT} == {topic.split("/")[5] for topic, _ in shown.heard}
        assert "Traceback" not in log
        assert "ERROR" not in log
        assert (len(shown.heard), 0, []) == (
            shown.outcome.messages,
            shown.outcome.missing,
            shown.outcome.odd,
        )

    def test_it_is_printed_as_it_comes(self, shown: Shown) -> None:
        """Every message has its line, and the table at the end says where the results lie."""
        lines = shown.printed.splitlines()

        assert len(shown.heard) == sum(line.startswith(KIT + "/") for line in lines)
        text = " ".join(shown.printed.split())
        assert "person event" in text
        assert "4 switches → 0 person events" in text
        assert "none missing" in text


def test_without_a_broker_the_fix_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Mosquitto is told how to get it."""
    monkeypatch.setattr(demo, "shutil", standin(shutil, which=lambda *_, **__: None))

    with pytest.raises(BrokerError, match=r"mosquitto: not installed.*apt install mosquitto"):
        demonstrate(tmp_path, lambda *_: None)


def test_a_broker_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its log is named."""
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\necho broken\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    with pytest.raises(BrokerError, match=r"did not start\. Fix: read .*mosquitto\.log"):
        demonstrate(tmp_path / "out", lambda *_: None)
    assert "broken\n" == (tmp_path / "out" / "mosquitto.log").read_text()


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """The directory is named, and the option to name another."""
    blocked = tmp_path / "out"
    blocked.write_text("a file in its place")

    with pytest.raises(StorageError, match=r"out: cannot be written.*--out"):
        demonstrate(blocked, lambda *_: None)


def test_a_second_demonstration_begins_anew(tmp_path: Path) -> None:
    """State of an earlier one would show its events again; anything else in the directory stays."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "agent.db").write_text("old")
    (tmp_path / demo.MARK).touch()
    (tmp_path / "mine.txt").write_text("kept")

    demo._prepare(tmp_path)

    assert (tmp_path / demo.MARK).exists()
    assert not (tmp_path / "state").exists()
    assert "kept" == (tmp_path / "mine.txt").read_text()


@pytest.mark.parametrize(
    "lack",
    [
        {},
        {"events": {}},
        {"events": {"A": ["new", "update"]}},
        {"events": {"A": ["new", "end"], "B": ["new"]}},
        {"snapshots": []},
        {"clips": []},
        {"authentic": 0},
        {"clip_seconds": 0.0},
        {"lead_s": None},
        {"lead_s": 3.9},
        {"keyed": 0},
        {"lamp_events": 1},
        {"missing": 1},
        {"odd": ["bm/v1/…/stat: visits: missing"]},
    ],
    ids=str,
)
def test_nothing_may_be_missing(tmp_path: Path, lack: dict[str, Any]) -> None:
    """Only a demonstration that showed everything convinces."""
    shown = {
        "events": {"A": ["new", "update", "end"]},
        "snapshots": [tmp_path / "a.jpg"],
        "sealed": [tmp_path / "a.mp4.age"],
        "clips": [tmp_path / "a.mp4"],
        "authentic": 1,
        "keyed": 1,
        "clip_seconds": 27.0,
        "lead_s": 4.0,
    }

    assert (not lack) == Outcome(tmp_path, **{**shown, **lack}).convincing


def test_a_state_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """A directory that no demonstration made is refused, and nothing in it is touched."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "agent.db").write_text("a kit's")

    with pytest.raises(StorageError, match="state: was not made by a demonstration"):
        demo._prepare(tmp_path)

    assert "a kit's" == (tmp_path / "state" / "agent.db").read_text()


def test_an_agent_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit code and its log are named; its own words are in the log."""
    monkeypatch.setattr(demo, "PEOPLE", tmp_path / "gone.mp4")

    with pytest.raises(StairwellError, match=r"exit code 4\. Fix: read .*agent\.log"):
        demo._run_agent(tmp_path, free_port(), [])

    assert "gone.mp4" in (tmp_path / "agent.log").read_text()


def test_ctrl_c_stops_the_agent_in_order(tmp_path: Path) -> None:
    """The agent is asked to stop and finishes; nothing is left running."""

    def interrupt_once_it_watches() -> None:
        wait_for(lambda: list(tmp_path.rglob("agent.db-wal")), 30)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_once_it_watches, daemon=True).start()

    with pytest.raises(KeyboardInterrupt):
        demo._run_agent(tmp_path, free_port(), [])

    assert "Traceback" not in (tmp_path / "agent.log").read_text()
    assert not list(tmp_path.rglob("agent.db-wal"))
