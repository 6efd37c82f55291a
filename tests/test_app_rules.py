"""Rules and figures through the wiring: from the configuration to what is said, drawn and traced."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from app_parts import Hands, analysis, body, change, check, frame, kept, picture, settings, visit
from capture_videos import ffmpeg
from clips_keys import notary

from agent.app import journal, trace
from agent.app.analysis import Analyser
from agent.app.annotate import LINE, ZONE, Annotator
from agent.app.announcer import Announcer
from agent.app.journal import Journal
from agent.app.ledger import Ledger
from agent.app.replay import Outputs, replay_video
from agent.app.reporter import Reporter, topics
from agent.app.stages import AnalysisStage, RecordingStage
from agent.backbone import outbox
from agent.capture.ring import PacketRing
from agent.clips import store
from agent.config_rules import View
from agent.database import Database
from agent.events.lines import Crossing
from agent.events.usefulness import Figures
from agent.types import BestMoment, Box, Detection, Motion, Phase, Scene, Track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.backbone.drafts import Draft
    from agent.picture import Picture
    from agent.types import EventChange
    from agent.vision.crops import Square

STREAM = "9f2c1a7e"
EVERYWHERE = [[0, 0], [1, 0], [1, 1], [0, 1]]
STAIRS = {"name": "stairs", "start": [0.1, 0.5], "end": [0.9, 0.5], "left": "up", "right": "down"}
RULES: dict[str, dict[str, Any]] = {
    "view": {"zones": [{"name": "all", "polygon": EVERYWHERE}], "lines": [STAIRS]},
    "loitering": {"enabled": True, "dwell_s": 2.0, "zones": ["all"]},
    "gathering": {"enabled": True},
    "after_hours": {"closed": ["22:00-06:00"]},
}
HOUR = Figures(
    started=100.0,
    ended=3700.00049,
    observed=3600.0,
    motion=322.2,
    persons=90.0,
    dark=0.0,
    covered=6.0,
    visits=3,
    muted=1,
    sharpness=(4.0, 5.0, 6.0),
    brightness=(80.0, 90.0, 100.0),
    grid=((0.0,) * 8,) * 7 + ((1.00000001, 0.123456, *(0.0,) * 6),),
    lines={"stairs": {"up": 2, "down": 1}},
)


class Ear:
    """A sink that keeps what was said, each message proved valid."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []

    def event(self, event: str, change: EventChange, draft: Draft) -> None:
        """See Sink."""
        del event, change
        self._hear(draft)

    def snapshot(self, draft: Draft) -> None:
        """See Sink."""
        self._hear(draft)

    def alarm(self, code: str, draft: Draft, *, active: bool) -> None:
        """See Sink."""
        del code, active
        self._hear(draft)

    def stat(self, draft: Draft) -> None:
        """See Sink."""
        self._hear(draft)

    def _hear(self, draft: Draft) -> None:
        message = body(draft.render(STREAM, 1))
        check(message)
        self.heard.append((draft.topic.split("/", 6)[-1], message))

    @property
    def topics(self) -> list[str]:
        """The last parts of the topics."""
        return [topic for topic, _ in self.heard]


def announcer(directory: Path, ear: Ear) -> Announcer:
    chosen = settings(directory)
    numbers = iter(range(1, 10))
    reporter = Reporter(chosen, topics(chosen), Hands(), STREAM, "ssdlite")
    return Announcer(reporter, ear, lambda: f"{next(numbers):026d}")


class Blind:
    """A detector that finds one person wherever it looks, and remembers what it was shown."""

    label = "blind"

    def __init__(self) -> None:
        self.shown: list[Sequence[Square]] = []

    def detect(self, shown: Picture, squares: Sequence[Square]) -> tuple[Detection, ...]:
        """See PersonDetector."""
        del shown
        self.shown.append(squares)
        return (Detection(Box(0.4, 0.3, 0.2, 0.4), 0.9),)


def test_an_event_of_any_kind_has_its_picture(tmp_path: Path) -> None:
    """Two events that are open at once each get a snapshot of their own."""
    ear = Ear()
    speaker = announcer(tmp_path, ear)
    both = (change(Phase.NEW), change(Phase.NEW, event=2))
    best, other = (BestMoment(n, 1000.0, Box(0.1, 0.1, 0.2, 0.2), 0.1) for n in (1, 2))
    speaker.analysis(analysis(frame(0, 1000.0), changes=both, best=best, others=(other,)))

    events = [message["id"] for topic, message in ear.heard if topic.startswith("evt")]
    assert [f"snap/{event}" for event in events] == ear.topics[2:]


def test_an_hour_is_said_when_it_is_full(tmp_path: Path) -> None:
    """One message of the figures, and none without them."""
    ear = Ear()
    speaker = announcer(tmp_path, ear)
    speaker.analysis(analysis(frame(0, 1000.0)))
    assert [] == ear.heard

    speaker.analysis(analysis(frame(1, 1001.0), figures=HOUR))
    [(topic, message)] = ear.heard

    assert "stat" == topic
    expected = {
        "mono": 3700.0,
        "mono0": 100.0,
        "t0": None,
        "observed_min": 60.0,
        "motion_min": 5.37,
        "person_min": 1.5,
        "dark_min": 0.0,
        "covered_min": 0.1,
        "visits": 3,
        "muted": 1,
        "sharpness": [4.0, 5.0, 6.0],
        "brightness": [80.0, 90.0, 100.0],
        "lines": {"stairs": {"up": 2, "down": 1}},
    }
    assert expected == {key: message[key] for key in expected}
    assert [1.0, 0.1235, 0.0] == message["grid"][7][:3]


def test_a_rule_without_a_clock_is_an_alarm_once(tmp_path: Path) -> None:
    """Raised with the first frame that wanted the time, cleared when there is one."""
    ear = Ear()
    speaker = announcer(tmp_path, ear)
    for no_clock in (True, True, False, False):
        speaker.analysis(analysis(frame(0, 1000.0), no_clock=no_clock))

    assert [("rules.no_clock", "raised"), ("rules.no_clock", "cleared")] == [
        (message["code"], message["state"]) for _, message in ear.heard
    ]


def test_the_birth_names_the_rules_that_are_on(tmp_path: Path) -> None:
    """What a kit is set to tell, it says."""
    with_rules, without = (
        Reporter(chosen, topics(chosen), Hands(), STREAM, None)._rules()
        for chosen in (settings(tmp_path, **RULES), settings(tmp_path))
    )

    assert ["loitering", "gathering", "after-hours"] == with_rules
    assert [] == without


def test_an_event_tells_zones_and_direction(tmp_path: Path) -> None:
    """As the rules found them; a direction that is not known is absent."""
    chosen = settings(tmp_path)
    reporter = Reporter(chosen, topics(chosen), Hands(), STREAM, "ssdlite")
    plain = change(Phase.NEW)
    fields = {name: getattr(plain, name) for name in plain.__slots__}
    crossed = type(plain)(**{**fields, "zones": ("door", "landing"), "dir": "up"})
    event = f"{1:026d}"
    told, silent = (body(reporter.event(event, step).render(STREAM, 1)) for step in (crossed, plain))

    assert (["door", "landing"], "up") == (told["zones"], told["dir"])
    assert [] == silent["zones"]
    assert "dir" not in silent


def test_a_figure_that_was_not_measured_is_absent(tmp_path: Path) -> None:
    """A night without light has no sharpness."""
    chosen = settings(tmp_path)
    reporter = Reporter(chosen, topics(chosen), Hands(ts="2026-11-22T00:31:05.412Z"), STREAM, None)
    fields = {name: getattr(HOUR, name) for name in HOUR.__slots__}
    message = body(
        reporter.stat(Figures(**{**fields, "sharpness": None, "brightness": None})).render(STREAM, 1)
    )

    check(message)
    assert set() == {"sharpness", "brightness"} & set(message)


def moving(analyser: Analyser, region: Box, t: float) -> None:
    """One frame in which something moves at `region`."""
    analyser._motion.step = lambda *_: Motion((region,))  # type: ignore[method-assign]
    analyser.step(frame(round(t * 10), t, picture(640, 480)))


def test_motion_that_does_not_count_wakes_no_detector(tmp_path: Path) -> None:
    """The planner never hears of motion in an excluded zone; of motion elsewhere it does."""
    left = {"name": "window", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "motion": "exclude"}
    detector = Blind()
    analyser = Analyser(settings(tmp_path, view={"zones": [left]}, detector={"scan_s": 1000.0}), detector)  # type: ignore[arg-type]
    for i in range(3):
        moving(analyser, Box(0.7, 0.4, 0.1, 0.1), i / 10)  # the first round is the scan
    looks = len(detector.shown)
    analyser._tracks = ()
    moving(analyser, Box(0.1, 0.4, 0.1, 0.1), 60.0)
    analyser._tracks = ()
    assert looks == len(detector.shown)

    moving(analyser, Box(0.7, 0.4, 0.1, 0.1), 61.0)
    assert looks + 1 == len(detector.shown)


@pytest.mark.parametrize(
    ("ts", "kinds"),
    [
        ("2026-11-22T20:30:00.000Z", {"person", "loitering", "after-hours"}),  # 22:30 in Kyiv
        ("2026-11-22T19:30:00.000Z", {"person", "loitering"}),
        (None, {"person", "loitering"}),
    ],
)
def test_the_rules_know_the_local_time(tmp_path: Path, ts: str | None, kinds: set[str]) -> None:
    """The kit's clock, in the time zone of the configuration; without a clock that is said."""
    detector = Blind()
    analyser = Analyser(
        settings(tmp_path, detector={"scan_s": 0.1}, **RULES),
        detector,
        clock=Hands(ts=ts),  # type: ignore[arg-type]
    )
    found = [analyser.step(frame(i, i / 10, picture(640, 480))) for i in range(60)]

    assert kinds == {change.kind for one in found for change in one.changes}
    assert {ts is None} == {one.no_clock for one in found}
    assert ("all",) == found[-1].tracks[0].zones


def test_without_the_rule_nobody_asks_the_clock(tmp_path: Path) -> None:
    """A kit whose clock was never set has no alarm about a rule that is off."""
    analyser = Analyser(settings(tmp_path), None, clock=Hands())

    assert not analyser.step(frame(0, 0.0, picture(64, 48))).no_clock


def test_the_trace_tells_zones_where_there_are_any() -> None:
    """A key more, and only then: traces of kits without zones stay as they are."""
    tracks = [
        Track(1, Box(0, 0, 0.1, 0.1), 0.5, person=True, seen=True, zones=zones) for zones in (("door",), ())
    ]
    inside, outside = trace.record(analysis(frame(0, 0.0), tracks=tuple(tracks)))["tracks"]

    assert ["door"] == inside.pop("zones")
    assert outside == inside


def coloured(image: np.ndarray[Any, Any], colour: tuple[int, int, int], x: float, y: float) -> bool:
    """Whether a pixel near there is of this colour (as well as H.264 keeps colours)."""
    height, width = image.shape[:2]
    at_x, at_y = round(x * (width - 1)), round(y * (height - 1))
    patch = image[max(0, at_y - 2) : at_y + 3, max(0, at_x - 2) : at_x + 3].astype(int)
    return bool((np.abs(patch - np.array(colour)).max(axis=2) < 90).any())


def test_zones_and_lines_are_drawn(tmp_path: Path) -> None:
    """Borders where the configuration puts them, with names; nothing else is touched."""
    zone = {"name": "door", "polygon": [[0.1, 0.1], [0.4, 0.1], [0.4, 0.9], [0.1, 0.9]], "persons": "exclude"}
    line = {"name": "stairs", "start": [0.6, 0.2], "end": [0.6, 0.9], "left": "out", "right": "in"}
    images = []
    for view in (View.model_validate({"zones": [zone], "lines": [line]}), View()):
        annotator = Annotator(tmp_path / "out.mp4", 10.0, view)
        annotator.add(analysis(frame(0, 0.0, picture(640, 480, 20))))
        annotator.close()
        with av.open(str(tmp_path / "out.mp4")) as container:
            images.append(next(container.decode(video=0)).to_ndarray(format="rgb24"))
    drawn, plain = images

    assert coloured(drawn, ZONE, 0.4, 0.5)
    assert coloured(drawn, ZONE, 0.25, 0.9)
    assert coloured(drawn, LINE, 0.6, 0.7)
    assert not coloured(plain, ZONE, 0.4, 0.5)
    assert not coloured(plain, LINE, 0.6, 0.7)
    changed = np.abs(drawn.astype(int) - plain).max(axis=2) > 60
    names = (slice(416, 429), slice(68, 200)), (slice(75, 98), slice(380, 440))
    sides = (slice(240, 270), slice(330, 375)), (slice(240, 270), slice(415, 450))
    assert all(changed[place].any() for place in (*names, *sides))
    assert not changed[:, 500:].any()


def test_an_event_is_drawn_with_its_zones_and_direction(tmp_path: Path) -> None:
    """The line that names the event grows by them."""
    plain = change(Phase.NEW)
    fields = {name: getattr(plain, name) for name in plain.__slots__}
    told = type(plain)(**{**fields, "zones": ("landing",), "dir": "up"})
    inked = []
    for step in (plain, told):
        annotator = Annotator(tmp_path / "out.mp4", 10.0)
        annotator.add(analysis(frame(0, 0.0, picture(640, 480, 20)), changes=(step,)))
        annotator.close()
        with av.open(str(tmp_path / "out.mp4")) as container:
            image = next(container.decode(video=0)).to_ndarray(format="rgb24")
        inked.append(int((image[40:56, :, 1] > 120).any(axis=0).nonzero()[0].max()))

    assert inked[1] > inked[0] + 40


def test_figures_reach_the_outbox_of_a_kit(tmp_path: Path) -> None:
    """An hour, and the rest of the last one when the source ends, are on disk like any other message."""
    chosen, clock = settings(tmp_path), Hands()
    database = Database(tmp_path / "agent.db", (outbox.SCHEMA, store.SCHEMA, journal.SCHEMA))
    messages = outbox.Outbox(chosen.outbox, topics(chosen))
    stream = database.submit(messages.open_stream).result()
    reporter = Reporter(chosen, topics(chosen), clock, stream, None)
    diary = Journal(database, messages, reporter, clock, lambda: None, notary(tmp_path, stream))
    speaker = Announcer(reporter, diary, lambda: f"{1:026d}")
    ledger = Ledger()
    recording = RecordingStage(PacketRing(1.0, 1000), None, speaker, ledger, clock)
    analyser = Analyser(chosen, None, clock=clock)
    for i in range(3601):
        analyser._meter.step(float(i), Motion(), Scene(90.0, 20.0, 5.0), (), (), [Crossing(1, "a", "in")])
    stage = AnalysisStage(analyser, speaker, recording, ledger, clock)
    stage.start()
    stage.put(frame(0, 3610.0))
    stage.end()
    stage.join(30.0)
    database.submit(lambda _: None).result()
    database.close()

    assert None is stage.failure
    [message] = kept(tmp_path)
    assert (3600.0, {"a": {"in": 1}}) == (message["mono0"], message["lines"])


def test_a_replay_with_rules(tmp_path: Path) -> None:
    """A visit on video: the loitering event, zones, and the alarm that a replay knows no time of day."""
    events, lines = io.StringIO(), io.StringIO()
    chosen = settings(tmp_path, **RULES)
    summary = replay_video(
        visit(tmp_path / "visit.mp4", 5.0), chosen, Outputs(events, lines, tmp_path / "seen.mp4")
    )
    messages = [json.loads(line) for line in events.getvalue().splitlines()]
    for message in messages:
        check({key: value for key, value in message.items() if key != "t"})
    told = [message for message in messages if "phase" in message]

    assert ["rules.no_clock"] == [message["code"] for message in messages if "code" in message]
    assert {"person", "loitering"} == {message["type"] for message in told}
    assert {("all",)} == {tuple(message["zones"]) for message in told if message["type"] == "loitering"}
    assert 1 == summary.events
    assert '"zones":["all"]' in lines.getvalue()
    pictures = {message["event"] for message in messages if "content_type" in message}
    assert {message["id"] for message in told} == pictures


def test_a_replay_of_an_hour_has_figures_and_a_short_one_has_none(tmp_path: Path) -> None:
    """An hour and a minute of an empty stairwell: the hour, and what is left."""
    video = tmp_path / "hour.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=gray:size=64x48:rate=0.125:duration=3664", "-c:v", "libx264",
           "-preset", "ultrafast", "-pix_fmt", "yuv420p", video)  # fmt: skip
    chosen = settings(tmp_path, detector={"scan_s": 3600.0})
    events = io.StringIO()
    replay_video(video, chosen, Outputs(events))
    stats = [message for line in events.getvalue().splitlines() if "grid" in (message := json.loads(line))]

    assert [60.0, pytest.approx(1.0, abs=0.2)] == [message["observed_min"] for message in stats]
    assert {0} == {message["visits"] for message in stats}
