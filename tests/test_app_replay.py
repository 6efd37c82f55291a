"""Replay: the shipped samples through the whole of vision and events, the same each time."""

from __future__ import annotations

import hashlib
import io
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest
from app_parts import LAMPS, PEOPLE, check, settings, visit
from capture_videos import make

from agent.app import replay
from agent.app.replay import Outputs, Summary, length_s, replay_video
from agent.errors import ModelError, SourceError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Settings


@dataclass
class Told:
    """What a replay gave."""

    summary: Summary
    events: str
    trace: str
    progress: list[float]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages, with their `t`."""
        return [json.loads(line) for line in self.events.splitlines()]


def play(video: Path, chosen: Settings, annotate: Path | None = None) -> Told:
    events, trace = io.StringIO(), io.StringIO()
    progress: list[float] = []
    summary = replay_video(video, chosen, Outputs(events, trace, annotate), progress=progress.append)
    return Told(summary, events.getvalue(), trace.getvalue(), progress)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay")


@pytest.fixture(scope="module")
def people(directory: Path) -> Told:
    """The sample with two visitors, with its annotated video."""
    live = {"source": "rtsp://10.0.0.4/stairs"}  # of the kit; a replay is of the file
    return play(PEOPLE, settings(directory, capture=live), directory / "seen.mp4")


def test_the_visit_is_one_event(people: Told) -> None:
    """Exactly one NEW and one END with one identity, and revisions without a hole."""
    steps = [m for m in people.messages if "phase" in m]

    assert ["new", "end"] == [steps[0]["phase"], steps[-1]["phase"]]
    assert {"update"} == {m["phase"] for m in steps[1:-1]}
    assert 1 == len({m["id"] for m in steps})
    assert {True} == {m["replay"] for m in steps}
    assert list(range(1, len(steps) + 1)) == [m["rev"] for m in steps]
    assert 1 == people.summary.events


def test_the_event_comes_within_a_second_of_the_visitor(people: Told) -> None:
    """Somebody comes in at 4.9 s; until then nothing is said."""
    first = people.messages[0]

    assert 4.0 < first["mono0"] <= first["t"] < 5.9
    assert 2 == people.messages[-2]["count"]


def test_a_picture_follows_the_beginning(people: Told) -> None:
    """The header of the first snapshot stands right behind NEW, a better one with END."""
    kinds = [m.get("phase", "snapshot") for m in people.messages]

    assert ["new", "snapshot"] == kinds[:2]
    assert ["end", "snapshot"] == kinds[-2:]
    assert {m["id"] for m in people.messages if "id" in m} == {
        m["event"] for m in people.messages if "event" in m
    }


def test_every_message_fits_the_contract(people: Told) -> None:
    """Without `t` each line is a valid message; numbers are dense, and no wall clock is invented."""
    for number, line in enumerate(people.messages, 1):
        t = line.pop("t")
        assert check(line) in {"Event", "Snapshot"}
        assert number == line["seq"]
        assert 0 <= t <= people.summary.seconds
        assert ("none", None) == (line["clk"], line["ts"])


def test_the_trace_has_a_line_for_each_frame(people: Told) -> None:
    """Its keys are exactly the promised ones, frames count from 0, boxes are fractions of the picture."""
    lines = [json.loads(line) for line in people.trace.splitlines()]

    assert people.summary.frames == len(lines) == 271
    assert list(range(271)) == [line["frame"] for line in lines]
    for line in lines:
        assert {"t", "frame", "motion", "global_change", "detections", "tracks", "scene"} == line.keys()
        boxes = [
            *line["motion"],
            *(d["box"] for d in line["detections"]),
            *(d["box"] for d in line["tracks"]),
        ]
        for x, y, w, h in boxes:
            assert 0 <= x <= x + w <= 1.0001
            assert 0 <= y <= y + h <= 1.0001
    assert any(line["motion"] for line in lines)
    assert any(track["person"] for line in lines for track in line["tracks"])


def test_two_runs_are_equal_byte_for_byte(people: Told, directory: Path) -> None:
    """Nothing of the wall clock, of the machine's speed or of chance is in the output."""
    again = play(PEOPLE, settings(directory))

    assert hashlib.sha256(people.events.encode()).digest() == hashlib.sha256(again.events.encode()).digest()
    assert hashlib.sha256(people.trace.encode()).digest() == hashlib.sha256(again.trace.encode()).digest()
    assert people.summary == again.summary


def test_the_annotated_video_has_every_frame(people: Told, directory: Path) -> None:
    """It decodes to the end, and has as many pictures as the trace has lines."""
    with av.open(str(directory / "seen.mp4")) as container:
        shown = sum(1 for _ in container.decode(video=0))

    assert len(people.trace.splitlines()) == shown


def test_progress_and_figures(people: Told) -> None:
    """Progress follows the video time; the summary adds up."""
    assert people.progress == sorted(people.progress)
    assert 27.0 == people.progress[-1] == people.summary.seconds
    assert 10 < people.summary.motion_s < 27


def test_a_lamp_is_no_event(directory: Path) -> None:
    """Four switches of the lamp, and nothing is said of a person."""
    told = play(LAMPS, settings(directory))

    assert [] == [m for m in told.messages if "phase" in m or "event" in m]
    assert (0, 220) == (told.summary.events, told.summary.frames)


def test_what_is_masked_is_black_in_the_picture(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The masked part of a snapshot is black; nobody is found there."""
    images: list[bytes] = []

    class Album(replay._Lines):
        """Keeps the pictures as well."""

        def snapshot(self, draft: Any) -> None:  # noqa: ANN401 - a Draft
            images.append(draft.picture)
            super().snapshot(draft)

    monkeypatch.setattr(replay, "_Lines", Album)
    mask = {"name": "left", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
    chosen = settings(directory, privacy={"masks": [mask]})

    told = play(visit(directory / "visit.mp4", 3.0), chosen)

    assert [m["event"] for m in told.messages if "event" in m]
    for image in images:
        grey = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_GRAYSCALE)
        width = grey.shape[1]
        # JPEG rings for up to a block beside an edge.
        assert grey[:, : width // 2 - 16].max() < 24
        assert grey[:, width // 2 + 16 :].max() > 100
    for line in told.trace.splitlines():
        assert all(x + w > 0.49 for x, _, w, _ in json.loads(line)["motion"])


def test_at_its_own_pace_it_takes_its_time(directory: Path) -> None:
    """With speed "real" a second of video takes a second, and says the same."""
    video = make(directory / "second.mp4", seconds=1.0)
    began = time.monotonic()

    summary = replay_video(video, settings(directory), Outputs(), speed="real")

    assert time.monotonic() - began > 0.85
    assert 10 == summary.frames


def test_an_alarm_is_a_line_as_well(directory: Path) -> None:
    """A covered lens is raised in the output of a replay as on a kit."""
    video = directory / "dark.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(25):
            shown = av.VideoFrame.from_ndarray(np.full((360, 320), 128, np.uint8), format="yuv420p")
            shown.planes[0].update(bytes([16]) * shown.planes[0].buffer_size)
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))

    told = play(video, settings(directory, scene={"hold_s": 1.0}))

    (alarm,) = told.messages
    assert alarm.pop("t") > 0
    assert ("Alarm", "scene.dark") == (check(alarm), alarm["code"])


def test_length(directory: Path) -> None:
    """The file's own word for its length, in seconds."""
    assert pytest.approx(27.1, abs=0.05) == length_s(PEOPLE)
    with pytest.raises(SourceError, match=r"nothing\.mp4"):
        length_s(directory / "nothing.mp4")


def test_errors_come_before_the_work(directory: Path) -> None:
    """A model, a video or an output that cannot be used is named."""
    with pytest.raises(ModelError, match="no-such-model"):
        play(PEOPLE, settings(directory, detector={"model": "no-such-model"}))
    with pytest.raises(SourceError, match=r"nothing\.mp4"):
        play(directory / "nothing.mp4", settings(directory))
    with pytest.raises(StorageError, match=r"no/seen\.mp4: cannot be written"):
        play(PEOPLE, settings(directory), directory / "no" / "seen.mp4")
