"""Masks and zones drawn on the picture of a running agent."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, Self

import cv2
import numpy as np
import pytest
from app_parts import PEOPLE, own, query
from broker import wait_for

from agent import viewpoint
from agent.app import drawing, hatch, viewfinder
from agent.app.drawing import Draft
from agent.app.hatch import Hatch
from agent.app.live import Agent
from agent.app.reconfiguration import RECONFIGURE, Terms
from agent.backbone import docket
from agent.backbone.revisions import OWN, Revision, Revisions
from agent.config import Settings, settled
from agent.config_layers import Layers, Origin
from agent.device.clock import SystemClock
from agent.errors import ConfigError, StairwellError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LEFT = {"name": "left", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
WHOLE = json.dumps({"masks": [LEFT]}).encode()
FLOOR = {"name": "floor", "polygon": [[0.5, 0.5], [1, 0.5], [1, 1]], "persons": "include"}


class Run:
    """An agent on the sample, and how it ended."""

    def __init__(self, state: Path, running: Revision = OWN) -> None:
        capture = {"source": str(PEOPLE), "loop": True}
        values = own(state, capture=capture, clips={"enabled": False})
        layers = Layers.read(Settings, None, values).with_remote(running.values)
        self.settings = settled(layers)
        terms = Terms(self.settings, layers.with_remote({}), Revisions(state), running)
        self.agent, self.stop = Agent(self.settings, SystemClock(), terms), threading.Event()
        self.why = ""
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.why = self.agent.run(self.stop)

    def __enter__(self) -> Self:
        self.thread.start()
        wait_for(lambda: self.agent._analysis.latest, 30)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(40)
        assert not self.thread.is_alive()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run(tmp_path) as started:
        yield started


def draft(*masks: dict[str, Any], zones: tuple[Any, ...] = ()) -> Draft:
    return Draft.model_validate({"masks": masks, "zones": zones})


def audit(state: Path, what: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = query(
        state,
        f"SELECT by, status, text FROM audit WHERE cmd = '{what}' ORDER BY n",  # noqa: S608 - own words
    )
    return rows


def test_a_drawing_comes_into_force_at_once(run: Run, tmp_path: Path) -> None:
    """It is noted and kept, and the agent ends for another that masks from its first picture on."""
    before = drawing.drawn(tmp_path)
    assert ((), Origin.DEFAULT) == (before.draft.masks, before.masks_from)
    wanted = draft(LEFT, zones=(FLOOR,))
    verdict = drawing.redraw(tmp_path, wanted)
    assert (wanted.digest, True, {}) == (verdict.digest, verdict.changed, verdict.why)
    run.thread.join(40)
    assert RECONFIGURE == run.why
    assert [("root", "ok", "mask left added; zone floor added")] == audit(tmp_path, "redraw")

    with Run(tmp_path):
        now = drawing.drawn(tmp_path)
        assert (verdict.digest, Origin.DRAWN, Origin.DRAWN) == (now.digest, now.masks_from, now.zones_from)
        look = viewfinder.look(tmp_path)
        image = cv2.imdecode(np.frombuffer(look.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        assert np.max(np.asarray(image)[:, :300]) < 12
        assert np.median(np.asarray(image)[:, 340:]) > 40

        taken = drawing.redraw(tmp_path, draft(zones=(FLOOR,)))
        assert taken.changed
    assert "mask left taken away" == audit(tmp_path, "redraw")[-1][2]
    assert {"privacy": {"masks": []}, "view": {"zones": [FLOOR]}} == viewpoint.read(tmp_path)


def test_what_is_as_it_was_changes_nothing(run: Run, tmp_path: Path) -> None:
    """The agent goes on, and nothing is written."""
    verdict = drawing.redraw(tmp_path, draft())
    assert (False, drawing.drawn(tmp_path).digest) == (verdict.changed, verdict.digest)
    assert not (tmp_path / viewpoint.NAME).exists()
    assert run.thread.is_alive()


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (b"", "cannot be used"),
        (b"[]", "cannot be used"),
        (json.dumps({"masks": [LEFT], "clips": {"seal": "none"}}).encode(), "clips: unknown key"),
        (json.dumps({"masks": [LEFT, LEFT]}).encode(), "two are named left"),
        (json.dumps({"masks": [LEFT | {"polygon": [[0, 0], [1, 1]]}]}).encode(), "at least 3, not 2"),
        (json.dumps({"masks": [LEFT | {"name": "Двері"}]}).encode(), "masks.0.name"),
        (json.dumps({"masks": [LEFT | {"polygon": [[0, 0], [2, 0], [1, 1]]}]}).encode(), "masks.0.polygon"),
        (json.dumps({"masks": [LEFT | {"polygon": [[0, 0]] * 65}]}).encode(), "more than 64 corners"),
        (json.dumps({"zones": [FLOOR | {"polygon": [[0, 0], [1, 1], [0, 0]]}]}).encode(), "encloses nothing"),
        (json.dumps({"masks": [LEFT] * 17}).encode(), "more than 16"),
        (b'{"masks": [' + b" " * hatch.LETTER_MAX, "cannot be used"),
    ],
)
def test_what_is_no_drawing(letter: bytes, why: str, desk: Desk, tmp_path: Path) -> None:
    """It is refused whole, with what is wrong, and noted."""
    verdict = drawing.Verdict.model_validate_json(desk.desk.redraw(0, letter))
    assert verdict.digest is None
    assert why in verdict.why["en"]
    assert not (tmp_path / viewpoint.NAME).exists()
    ((status, code, text),) = desk.audit()
    assert ("failed", "refused") == (status, code)
    assert why in text


class Desk:
    """A desk without its agent, on a journal of its own; `anew` counts how often one was to begin anew."""

    def __init__(self, state: Path, city: dict[str, Any] | None = None, **sections: dict[str, Any]) -> None:
        self.state, self.anew = state, 0
        self.refusal: StorageError | None = None
        self._journal = sqlite3.connect(":memory:", check_same_thread=False)
        self._journal.executescript(docket.SCHEMA)
        layers = Layers.read(Settings, None, own(state, **sections))
        running = Revision(rev=1, values=city or {})
        terms = Terms(settled(layers.with_remote(running.values)), layers, Revisions(state), running)
        journal: Any = self
        self.desk = drawing.DrawingDesk(terms, SystemClock(), journal, self._begin_anew)

    def ask(self, work: Callable[[sqlite3.Connection], object]) -> object:
        """See Journal; the disk refuses with `refusal`, if there is one."""
        if self.refusal:
            raise self.refusal
        return work(self._journal)

    def redraw(self, wanted: Draft) -> drawing.Verdict:
        """Ask for it as root."""
        letter = wanted.model_dump_json().encode()
        return drawing.Verdict.model_validate_json(self.desk.redraw(0, letter))

    def audit(self) -> list[tuple[Any, ...]]:
        """Status, code and text of each line."""
        return self._journal.execute("SELECT status, code, text FROM audit ORDER BY n").fetchall()

    def masks(self) -> list[str]:
        """Those that the next start has from what was drawn."""
        return [mask["name"] for mask in viewpoint.read(self.state).get("privacy", {}).get("masks", [])]

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    def _begin_anew(self) -> None:
        self.anew += 1


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    with ExitStack() as stack:
        yield lambda *city, **sections: stack.enter_context(closing(Desk(tmp_path, *city, **sections)))


@pytest.fixture
def desk(at: Callable[..., Desk]) -> Desk:
    return at()


def test_a_kit_begins_without_its_city(at: Callable[..., Desk], tmp_path: Path) -> None:
    """A zone that a rule of the kit's own names stays, though the city's rule names none now."""
    viewpoint.write(tmp_path, {"view": {"zones": [FLOOR]}})
    kit = at({"loitering": {"zones": []}}, loitering={"zones": ["floor"]})
    verdict = kit.redraw(draft(LEFT))
    assert verdict.digest is None
    assert "loitering.zones = 'floor': no such zone" in verdict.why["en"]
    assert ({"view": {"zones": [FLOOR]}}, 0) == (viewpoint.read(tmp_path), kit.anew)
    assert kit.redraw(draft(LEFT, zones=(FLOOR,))).changed


@pytest.mark.parametrize(
    ("layer", "origin"), [("city", "remote"), ("unit", "environment"), ("kept", "environment")]
)
def test_masks_that_could_not_be_burned_in(
    layer: str, origin: str, at: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a layer above has H.264 recorded as it comes the agent would begin no more: nothing is drawn."""
    if layer != "city":
        monkeypatch.setenv("STAIRWELL_CAPTURE__REENCODE", "false")
    city = {"city": {"capture": {"reencode": False}}, "kept": {"capture": {"reencode": True}}}
    kit = at(city.get(layer), capture={"source": "rtsp://127.0.0.1:1/"})
    verdict = kit.redraw(draft(LEFT))
    assert (None, [], 0) == (verdict.digest, kit.masks(), kit.anew)
    assert f"masks need capture.reencode = true, and {origin} sets it to false" in verdict.why["en"]
    assert kit.redraw(draft(zones=(FLOOR,))).changed


def test_a_camera_that_sends_no_h264(at: Callable[..., Desk]) -> None:
    """Where an agent runs with masks and encodes nothing again, it can with one more."""
    kit = at(
        {"capture": {"reencode": False}},
        capture={"source": "/dev/video0"},
        privacy={"masks": [LEFT | {"name": "older"}]},
    )
    assert kit.redraw(draft(LEFT)).changed


def test_masks_that_count_again_later_can_be_burned_in(at: Callable[..., Desk], tmp_path: Path) -> None:
    """What was drawn under masks of the city's is kept with what it needs, though the city wants none now."""
    viewpoint.write(tmp_path, {"privacy": {"masks": [LEFT]}, "capture": {"reencode": True}})
    kit = at({"privacy": {"masks": []}}, capture={"source": "rtsp://127.0.0.1:1/"})
    assert kit.redraw(draft(zones=(FLOOR,))).changed
    kept = viewpoint.read(tmp_path)
    assert (["left"], {"reencode": True}) == (kit.masks(), kept["capture"])


def test_a_drawing_is_taken_back_before_it_is_in_force(desk: Desk) -> None:
    """What counts is what the next start has, not what the agent that is about to end works with."""
    assert desk.redraw(draft(LEFT)).changed
    again = desk.redraw(draft(LEFT))
    assert (draft(LEFT).digest, True) == (again.digest, again.changed)  # it is not in force yet
    assert (["left"], 1) == (desk.masks(), desk.anew)
    assert desk.redraw(draft()).digest == draft().digest
    assert ([], 2) == (desk.masks(), desk.anew)
    assert ["mask left added", "mask left taken away"] == [text for _, _, text in desk.audit()]


def test_a_drawing_that_was_half_kept_is_replaced(desk: Desk, tmp_path: Path) -> None:
    """The disk refused one copy of two: drawing what was there before puts it in place of both."""
    blocked = tmp_path / f"{viewpoint.NAME}.new"
    blocked.mkdir()
    refused = desk.redraw(draft(LEFT))
    assert (None, 0) == (refused.digest, desk.anew)
    assert "drawn.json" in refused.why["en"]
    assert [("ok", None), ("failed", "not-stored")] == [line[:2] for line in desk.audit()]
    blocked.rmdir()
    assert desk.redraw(draft()).changed
    assert ([], 1) == (desk.masks(), desk.anew)


def test_what_cannot_be_noted_is_not_done(desk: Desk, tmp_path: Path) -> None:
    """Neither a drawing nor a refusal is silent, and whoever drew is told why."""
    desk.refusal = StorageError("the disk is full", fix="free some of it")
    asked = [drawing.Verdict.model_validate_json(desk.desk.redraw(0, letter)) for letter in (b"[]", WHOLE)]
    assert ["the disk is full"] * 2 == [verdict.why["en"] for verdict in asked]
    with pytest.raises(ConfigError, match=r"^the disk is full\. Fix: free some of it$"):
        asked[1].upheld()
    assert (0, []) == (desk.anew, list(tmp_path.glob("drawn*")))


def test_what_is_noted_is_printable(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A part of it comes from who asks, and whoever reads the audit does so at a terminal."""
    desk.desk.board(0, "opened\x1b[2J\n\u202eвхід".encode() + b"\xff")
    desk.desk.redraw(0, b'{"a\\u001b[2J": 1}')
    (_, _, opened), (_, _, refused) = desk.audit()
    assert "opened?[2J??вхід\ufffd" == opened
    assert "a?[2J: unknown key" in refused
    assert "?[2J" in caplog.text
    assert not {"\x1b", "\u202e"} & set(caplog.text)


def test_an_agent_of_another_version(tmp_path: Path) -> None:
    """One that knows no drawing answers nothing; one that answers otherwise is not believed either."""
    old = Hatch(
        tmp_path / hatch.NAME,
        {"aim": lambda _: b"\xff\xd8JPEG"},
        {"redraw": lambda _user, _letter: b'{"changed": "?"}'},
    )
    old.start()
    try:
        for question in (
            lambda: viewfinder.look(tmp_path),
            lambda: drawing.drawn(tmp_path),
            lambda: drawing.redraw(tmp_path, draft(LEFT)),
        ):
            with pytest.raises(StairwellError, match="of another version"):
                question()
    finally:
        old.close(5)


def test_more_masks_than_can_be_drawn(at: Callable[..., Desk], tmp_path: Path) -> None:
    """Those of a kit's own file are shown all; fewer of them can be drawn, and which went is noted."""
    many = [LEFT | {"name": f"m{n % 16}"} for n in range(17)] + [
        LEFT | {"name": "round", "polygon": [[0, 0], *([0.5 + n / 200, 1] for n in range(70))]}
    ]
    kit = at(privacy={"masks": many})
    served = Hatch(tmp_path / hatch.NAME, {"drawn": kit.desk.drawn}, {"redraw": kit.desk.redraw})
    served.start()
    try:
        there = drawing.drawn(tmp_path).draft
        assert len(many) == len(there.masks)
        assert "more than 16 masks" in drawing.redraw(tmp_path, there).why["en"]
        assert drawing.redraw(tmp_path, Draft(masks=there.masks[:16])).changed
    finally:
        served.close(5)
    assert "mask round taken away; mask m0 changed" == kit.audit()[-1][2]


def test_a_lost_drawing_is_drawn_anew(at: Callable[..., Desk], tmp_path: Path) -> None:
    """Who does it sees which zones are named; taking what stands in for them as it is keeps them, too."""
    (tmp_path / viewpoint.NAME).write_bytes(b"damaged")
    kit = at(loitering={"zones": ["floor"]})
    there = drawing.Drawn.model_validate_json(kit.desk.drawn(0))
    assert (["unreadable"], ["floor"]) == tuple([area.name for area in areas] for _, areas in there.draft)
    assert ((), Origin.DRAWN) == (there.fixed, there.zones_from)
    assert "loitering.zones = 'floor': no such zone" in kit.redraw(draft()).why["en"]
    assert kit.redraw(there.draft).changed
    assert (["unreadable"], ["floor"]) == (
        kit.masks(),
        [zone["name"] for zone in viewpoint.read(tmp_path)["view"]["zones"]],
    )
    assert kit.redraw(draft(zones=(FLOOR,))).changed
    assert {"privacy": {"masks": []}, "view": {"zones": [FLOOR]}} == viewpoint.read(tmp_path)


def test_what_the_city_has_set_stands(tmp_path: Path) -> None:
    """Its masks cannot be drawn away on the spot; zones, which it left alone, can."""
    viewpoint.write(tmp_path, {"privacy": {"masks": [LEFT | {"name": "older"}]}})
    city = Revision(rev=1, values={"privacy": {"masks": [LEFT]}, "capture": {"reencode": True}})
    with Run(tmp_path, city):
        found = drawing.drawn(tmp_path)
        assert ("masks",) == found.fixed
        refused = drawing.redraw(tmp_path, draft())
        assert (None, False) == (refused.digest, refused.changed)
        assert "privacy.masks is set by remote" in refused.why["en"]
        assert "privacy.masks" in refused.why["uk"]
        assert drawing.redraw(tmp_path, draft(LEFT, zones=(FLOOR,))).changed
    kept = viewpoint.read(tmp_path)
    assert ["older"] == [mask["name"] for mask in kept["privacy"]["masks"]]  # what was drawn is not forgotten
    assert ["floor"] == [zone["name"] for zone in kept["view"]["zones"]]


def test_who_aims_is_noted_once_a_minute(run: Run, tmp_path: Path) -> None:
    """Nobody looks unseen, and a look each second does not wash the audit away."""
    first = viewfinder.look(tmp_path)
    wait_for(lambda: viewfinder.look(tmp_path).aim.t > first.aim.t, 20)
    assert [("root", "ok", None)] == audit(tmp_path, "aim")
    assert (640, 480) == (first.aim.width, first.aim.height)
    assert 40 < first.aim.light < 200
    assert 0 < first.aim.sharpness
    assert (True, "good") == (viewfinder.light(first.aim)[0], viewfinder.light(first.aim)[1].en)
    assert run.thread.is_alive()


@pytest.mark.parametrize(
    ("figures", "light", "level"),
    [
        ({"light": 20.0}, False, True),
        ({"light": 45.0}, False, True),
        ({"light": 100.0, "burnt": 0.2}, False, True),
        ({"tilt": 4.2}, True, False),
        ({"tilt": -4.2}, True, False),
        ({"tilt": None}, True, None),
    ],
)
def test_hints(figures: dict[str, Any], light: bool, level: bool | None) -> None:
    """Each trouble has its word, and no word is said of two."""
    aim = viewfinder.Aim(
        t=1, width=640, height=480, light=100, burnt=0, contrast=40, sharpness=3, states=(), tilt=0, persons=0
    ).model_copy(update=figures)
    assert (light, level) == (viewfinder.light(aim)[0], viewfinder.level(aim)[0])


def test_the_way_to_turn() -> None:
    """What leans to the right in the picture is put upright by a turn clockwise."""
    aim = viewfinder.Aim(
        t=1, width=640, height=480, light=100, burnt=0, contrast=40, sharpness=3, states=(), tilt=4, persons=0
    )
    assert "turn the camera clockwise by 4°, seen from behind it" == viewfinder.level(aim)[1].en
    other = aim.model_copy(update={"tilt": -4.0})
    assert "counterclockwise by 4°" in viewfinder.level(other)[1].en
