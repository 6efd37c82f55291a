"""The guided commissioning: answers typed at a terminal, an agent by script behind a real hatch and database.

Time is the script's: a second that a command waits passes at once.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import pytest
import typer
from app_parts import Hands, analysis, change, frame, picture, settings, toml
from commandline import stairwell
from kits import EVENT, Kit, name
from statuses import status
from typer.testing import CliRunner

from agent.app import drawing, hatch, steps
from agent.app.hatch import Hatch
from agent.app.steps import Entry, Step
from agent.app.viewfinder import Look, measured, packed
from agent.backbone.fields import NAME_MAX
from agent.cli.commission_desk import NOT_PASSED, Desk
from agent.cli.commission_guide import guide
from agent.config import Mask
from agent.device.reset import BootRecord
from agent.doctor.check import Check, Verdict, fail, ok
from agent.types import Phase, Scene
from agent.words import verbatim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

app = typer.Typer()
JPEG = cv2.imencode(".jpg", picture().y)[1].tobytes()
NAME = "О. Коваленко"
DOOR = Mask.model_validate({"name": "door", "polygon": [[0, 0], [0.5, 0], [0.5, 1]]})
LIT, DARK = Scene(90.0, 20.0, 5.0), Scene(20.0, 20.0, 5.0, dark=True)
WORKING = ("commission_aim", "commission_power", "commission_sign", "commission_view", "commission_walk")
FIGURES = "masks: –; zones: –"


@app.command()
def guided(config: str, lang: str = "en") -> None:
    """What `stairwell commission` does at a terminal."""
    raise typer.Exit(0 if guide(Desk.open(Path(config), lang)) else NOT_PASSED)


class Wall:
    """A kit on its wall: what its agent answers, and what happens while somebody waits."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.clock = Hands(boot="aaaaaaaa", ts="2026-11-27T12:00:00.000Z")
        self.kit = Kit(state, self.clock)
        self.config = state / "agent.toml"
        self.acknowledged_by("watermark")
        self.scene, self.draft, self.verdict = LIT, drawing.Draft(), ok(verbatim("well"))
        self.refusals: list[str] = []
        self.recording: str | None = None
        self.coming: list[Callable[[], object]] = []
        """What happens, one with each question for the status."""
        self.waited: list[Callable[[], object]] = []
        """What happens, one with each wait."""
        answers = {
            "aim": lambda _: packed(Look(measured(self._seen(), masked=False), JPEG)),
            "still": lambda _: JPEG,
            "aimed": lambda _: b'{"forgot": true}',
            "drawn": lambda _: self._drawn(),
            "refer": lambda _: self._refer(),
            "status": lambda _: self._status(),
        }
        self._hatch = Hatch(state / hatch.NAME, answers, {"redraw": lambda _, letter: self._redraw(letter)})
        self._hatch.start()
        BootRecord(state, self.clock).open(state, "none")

    def acknowledged_by(self, delivery: str) -> None:
        """Whose word the kit waits for."""
        self.config.write_text(toml(settings(self.state, backbone={"delivery": delivery})), encoding="utf-8")

    def sleep(self, seconds: float) -> None:
        """See time.sleep."""
        self.clock.t += seconds
        if self.waited:
            self.waited.pop(0)()

    def go(self, *answers: str, lang: str = "en") -> tuple[int, str]:
        """Exit code of the guide when that is typed, and what it said."""
        typed = "".join(f"{answer}\n" for answer in answers)
        ended = CliRunner().invoke(app, [str(self.config), "--lang", lang], input=typed)
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return ended.exit_code, ended.output

    def command(self, *words: object) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON of a step alone."""
        ended = stairwell("commission", *words, "--config", self.config, "--json")
        return ended.returncode, json.loads(ended.stdout)

    def done(self, *passed: Step) -> None:
        """Have these steps passed."""
        for step in passed:
            entry = Entry(step, "passed", self.clock.stamp(), "petro")
            self.kit.journal.ask(lambda tx, kept=entry: steps.keep(tx, kept))

    def state_of(self, step: Step) -> str | None:
        """How a step stands."""
        entry = self.kit.journal.ask(steps.entries).get(step)
        return None if entry is None else entry.state

    def person(self) -> None:
        """Somebody is seen, and published."""
        step = replace(change(Phase.NEW, 1, self.clock.t), started=self.clock.t)
        self.kit.journal.event(EVENT, step, self.kit.reporter.event(EVENT, step))
        self.kit.journal.ask(lambda _: None)  # it is on disk

    def acknowledged(self) -> None:
        """The city has all that there is."""
        kit = self.kit
        stream = kit.journal.ask(kit.outbox.open_stream)
        numbers = kit.journal.ask(lambda tx: kit.outbox.numbers(tx, self.clock.stamp()))
        kit.journal.ask(lambda tx: kit.outbox.watermark(tx, stream, numbers.seq_next - 1))

    def records(self, number: int = 2) -> None:
        """It has recorded so long that the test of a power cut may begin."""
        self.recording = self.kit.cut(number, self.clock.t - 5.5).id

    def cut(self, *, in_order: bool = False) -> None:
        """The power goes and comes; the agent recovers what it recorded."""
        if in_order:
            BootRecord(self.state, self.clock).close()
        self.kit.end()
        self.clock = Hands(12.0, "bbbbbbbb", self.clock.ts)
        self.kit, self.recording = Kit(self.state, self.clock), None
        BootRecord(self.state, self.clock).open(self.state, "none")
        self.kit.housekeeping.recover()
        self.kit.journal.ask(lambda _: None)

    def close(self) -> None:
        """Take it down."""
        self._hatch.close(10)
        self.kit.end()

    def no_agent(self) -> None:
        """The agent is gone."""
        self._hatch.close(10)

    def examination(self, *_: object) -> list[Check]:
        """The doctor's checks: one."""

        def asked() -> Verdict:
            return self.verdict

        return [Check("cam.frames", verbatim("Pictures"), asked)]

    def _seen(self) -> Any:  # noqa: ANN401 - an Analysis
        return analysis(frame(0, self.clock.t, picture(level=round(self.scene.brightness))), scene=self.scene)

    def _drawn(self) -> bytes:
        one = drawing.Drawn(
            draft=self.draft, digest=self.draft.digest, masks_from="default", zones_from="default"
        )
        return one.model_dump_json().encode()

    def _redraw(self, letter: bytes) -> bytes:
        before, self.draft = self.draft, drawing.Draft.model_validate_json(letter)
        verdict = drawing.Verdict(digest=self.draft.digest, changed=before != self.draft)
        return verdict.model_dump_json().encode()

    def _refer(self) -> bytes:
        if self.refusals:
            return json.dumps({"refused": self.refusals.pop(0)}).encode()
        self.done(Step.REFERENCE)
        return b'{"refused": null, "brightness": 90}'

    def _status(self) -> bytes:
        if self.coming:
            self.coming.pop(0)()
        whole = status(self.kit, up=120.0)
        clips = whole.clips.model_copy(update={"recording": self.recording})
        return whole.model_copy(update={"clips": clips}).model_dump_json().encode()


@pytest.fixture
def wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wall]:
    """Nothing is done yet; all would be well."""
    one = Wall(tmp_path)
    monkeypatch.setattr("agent.app.acceptance.examination", one.examination)
    monkeypatch.setattr("agent.cli.commission_desk.SystemClock", lambda: one.clock)
    for module in WORKING:
        monkeypatch.setattr(f"agent.cli.{module}.time", one)
    yield one
    one.close()


def test_all_of_it(wall: Wall) -> None:
    """Step after step until the plug is pulled; the next session goes on there, and ends with the label."""
    wall.refusals = ["not-empty", "not-empty"]
    wall.coming = [wall.person, wall.acknowledged, wall.records]

    code, said = wall.go("", "y", "", "", "", "")

    assert NOT_PASSED == code
    titles = ["Aim the camera", "Masks and zones", "Reference picture", "Walk test", "Power-cut test"]
    assert [f"Step {n} of 6: {title}" for n, title in enumerate(titles, 1)] == re.findall(
        "^Step . of .*", said, re.MULTILINE
    )
    for text in (
        "Light: good",
        f"In force: {FIGURES}",
        "somebody is in the picture, or something moves in it …",
        "The reference is taken.",
        "The person is seen and published. Waiting for the city's acknowledgement …",
        "Person seen, published, the city acknowledged in",
        "Pull the plug NOW, while somebody is in the picture.",
    ):
        assert text in said
    assert 2 == said.count("Light: good")  # it was looked at twice
    assert "begun" == wall.state_of(Step.POWER)

    wall.cut()
    wall.waited = [wall.acknowledged]
    code, said = wall.go(NAME)

    assert 0 == code, said
    for text in (
        "Step 5 of 6: Power-cut test",
        "✔ the clip was recovered: 3.0 s of it",
        f"Signed by {NAME}, 2026-11-27 12:00 UTC.",
        "The city has acknowledged it: the kit is in service.",
        "sudo stairwell commission label -o label.pdf",
    ):
        assert text in said
    assert (0, []) == ((ended := wall.command("status"))[0], ended[1]["missing"])


def test_a_city_that_is_silent(wall: Wall) -> None:
    """Signed for, and not in service: the next session waits again, and asks nothing."""
    wall.done(*(step for step in Step if step is not Step.SIGN))

    code, said = wall.go(NAME)
    assert (NOT_PASSED, True) == (code, "the kit goes on trying by itself" in said)

    wall.acknowledged()
    code, said = wall.go(lang="uk")
    assert (0, True) == (code, "Місто підтвердило" in said)


def test_a_broker_alone(wall: Wall) -> None:
    """Where a kit asks no platform, nothing claims that one acknowledged anything."""
    wall.acknowledged_by("puback")
    wall.done(Step.AIM, Step.VIEW, Step.REFERENCE)
    wall.coming = [wall.person, wall.acknowledged]

    _, said = wall.go("", "q", "q")
    assert "Waiting for the broker to take it …" in said
    assert "taken by the broker in" in said
    assert "puback" == wall.kit.journal.ask(steps.entries)[Step.WALK].found["delivery"]

    wall.done(Step.POWER)
    _, unsaid = wall.go(NAME)
    assert "The broker has not taken it yet" in unsaid
    wall.acknowledged()
    code, done = wall.command("sign", "--by", NAME)
    assert (0, True, "puback") == (code, done["acknowledged"], done["delivery"])
    _, last = wall.go()
    assert "The broker has taken it: the kit is in service." in last
    assert not re.search("(?i)city (has )?(not )?acknowledged", said + unsaid + last)


def test_a_step_that_does_not_pass(wall: Wall) -> None:
    """Again, or without it for a reason that fits the record; or the session ends there."""
    wall.scene = DARK
    code, said = wall.go("y", "q")
    assert (NOT_PASSED, "failed") == (code, wall.state_of(Step.AIM))
    assert "Light: dark: switch the light on" in said
    assert "View: it is dark" in said

    code, said = wall.go("y", "w", "", "y", "w", "я" * 1001, "y", "w", "by night only", "q", "q")
    assert (NOT_PASSED, "waived") == (code, wall.state_of(Step.AIM))
    assert "At most 1000 characters, please." in said
    assert "Step 2 of 6" in said


def test_an_agent_that_is_gone(wall: Wall) -> None:
    """The error and its fix are told, and the guide goes on from there."""
    wall.no_agent()

    code, said = wall.go("", "q")

    assert (NOT_PASSED, None) == (code, wall.state_of(Step.AIM))
    assert 2 == said.count("no agent runs here\n→ systemctl start stairwell-agent")


def test_masks_and_zones(wall: Wall, tmp_path: Path) -> None:
    """A file that is none is told, and another one may be named; what comes into force is kept."""
    wall.done(Step.AIM)
    good, bad = tmp_path / "door.toml", tmp_path / "bad.toml"
    good.write_text('[[masks]]\nname = "door"\npolygon = [[0, 0], [0.5, 0], [0.5, 1]]\n', "utf-8")
    bad.write_text("[[masks]\n", "utf-8")

    wall.refusals = ["dark"] * 100

    code, said = wall.go(str(bad), "", str(good), "", "q")

    assert (NOT_PASSED, "passed") == (code, wall.state_of(Step.VIEW))
    assert "bad.toml: cannot be used" in said
    assert "Saved. The agent starts anew with it …" in said
    assert "In force: masks: door; zones: –" in said
    assert (DOOR,) == tuple(wall.draft.masks)


@pytest.mark.parametrize(("letter", "lang"), [("d", "en"), ("м", "uk")])
def test_drawn_in_a_browser(wall: Wall, letter: str, lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the page is over: what was saved is awaited and kept; of nothing nothing is."""
    wall.done(Step.AIM)
    wall.draft = drawing.Draft(masks=(DOOR,))
    wall.refusals = ["dark"] * 100
    for saved, answers, state in ((None, ("q",), None), (wall.draft, ("", "q"), "passed")):
        monkeypatch.setattr("agent.app.board.serve", lambda *_, kept=saved: kept)
        code, _ = wall.go(letter, *answers, lang=lang)
        assert (NOT_PASSED, state) == (code, wall.state_of(Step.VIEW))


@pytest.mark.parametrize(
    ("refused", "fix"),
    [
        ("no-picture", "stairwell doctor --only 'cam.*'"),
        ("not-empty", "stairwell commission waive reference --why REASON"),
        ("dark", "Switch the light on"),
        ("unfit", "Wipe the lens"),
        ("bare", "Turn the camera"),
    ],
)
def test_a_view_that_is_not_fit_for_a_reference(wall: Wall, refused: str, fix: str) -> None:
    """After a minute it is given up, with what to do; by itself the step tells a script why."""
    wall.done(Step.AIM, Step.VIEW)
    wall.refusals = [refused] * 200

    began = wall.clock.t
    code, said = wall.go("", "q")
    assert (NOT_PASSED, None, True) == (code, wall.state_of(Step.REFERENCE), fix in said)
    assert began + 60 == wall.clock.t

    assert (2, {"v": 1, "passed": False, "refused": refused}) == wall.command("reference", "--seconds", 2)


def test_a_walk_that_does_not_pass(wall: Wall) -> None:
    """The cause and the fix are told; Enter is another try."""
    wall.done(Step.AIM, Step.VIEW, Step.REFERENCE)

    code, said = wall.go("", "q")
    assert (NOT_PASSED, "failed") == (code, wall.state_of(Step.WALK))
    assert "Not passed: no motion was seen\n→ Look where the camera points" in said

    wall.coming = [wall.person, wall.acknowledged]
    wall.go("", "q", "q")
    assert "passed" == wall.state_of(Step.WALK)


def test_a_plug_that_was_not_pulled(wall: Wall) -> None:
    """Enter leaves the test as it waits; a letter begins it anew, with what is recorded now."""
    wall.done(Step.AIM, Step.VIEW, Step.REFERENCE, Step.WALK)
    wall.coming = [wall.records]
    wall.go("")
    assert "begun" == wall.state_of(Step.POWER)

    code, said = wall.go("")
    assert (NOT_PASSED, "begun") == (code, wall.state_of(Step.POWER))
    assert "Pull the plug NOW" not in said
    for number, (letter, lang) in enumerate((("b", "en"), ("п", "uk"), ("b", "uk")), 3):
        wall.coming = [lambda clip=number: wall.records(clip)]
        wall.go(letter, "", lang=lang)
        assert name(number) == wall.kit.journal.ask(steps.entries)[Step.POWER].found["clip"]


def test_nothing_is_recorded(wall: Wall) -> None:
    """There would be nothing to lose: the test does not begin, and a recording that is too short waits."""
    wall.done(Step.AIM, Step.VIEW, Step.REFERENCE, Step.WALK)

    code, said = wall.go("", "q")
    assert (NOT_PASSED, None) == (code, wall.state_of(Step.POWER))
    assert "Not passed: the kit records nothing" in said
    assert (2, {"v": 1, "passed": False, "begun": False}) == wall.command("power", "--seconds", 1)

    wall.recording = wall.kit.cut(2, wall.clock.t).id
    began = wall.clock.t
    assert (0, {"v": 1, "passed": False, "begun": True}) == wall.command("power")
    assert wall.clock.t >= began + 5


def test_a_cut_that_was_none(wall: Wall) -> None:
    """It failed, and the guide asks whether to begin it again."""
    wall.done(Step.AIM, Step.VIEW, Step.REFERENCE, Step.WALK)
    wall.coming = [wall.records]
    wall.go("")
    wall.cut(in_order=True)

    code, said = wall.go("q")
    assert (NOT_PASSED, "failed") == (code, wall.state_of(Step.POWER))
    assert "✘ the kit was shut down in order: that proves nothing\n→ Begin the test again" in said

    wall.clock.t = 1000.0
    wall.coming = [lambda: wall.records(3)]
    wall.go("")
    assert "begun" == wall.state_of(Step.POWER)


def test_the_signature(wall: Wall) -> None:
    """There is no doing without it; a name has to fit, and the doctor's word counts."""
    wall.done(*(step for step in Step if step is not Step.SIGN))
    wall.verdict = fail(verbatim("no pictures"), verbatim("look at the cable"))

    code, said = wall.go("я" * (NAME_MAX + 1), "w", "", "", NAME, "q")

    assert (NOT_PASSED, None) == (code, wall.state_of(Step.SIGN))
    assert "At most 200 characters, please." in said
    assert "not signed: 1 failure, 0 warnings, 0 well, 0 not asked: cam.frames" in said


def test_it_wants_a_terminal(wall: Wall) -> None:
    """A script names a step."""
    ended = stairwell("commission", "--config", wall.config)

    assert (64, True) == (ended.returncode, "give it a terminal" in ended.stderr)
