"""An aim is kept and the agent told of it; asked over a real hatch, answered by a script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import typer
from app_parts import Hands, analysis, frame, picture, settings, toml
from kits import Kit
from typer.testing import CliRunner

from agent.app import hatch
from agent.app.hatch import Hatch
from agent.app.steps import Step
from agent.app.viewfinder import Look, measured, packed
from agent.cli.commission_aim import aim, fit
from agent.cli.commission_desk import Desk
from agent.types import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

app = typer.Typer()
app.command()(aim)
JPEG = b"\xff\xd8\xff\xd9"


class Agent:
    """What answers at the hatch of the kit in `state`: a camera that sees `scene`."""

    def __init__(self, state: Path) -> None:
        self.scene = Scene(90.0, 20.0, 5.0)
        self.told: list[str] = []
        self.aimed = b'{"forgot": true}'
        self.desk = Desk.open(state / "agent.toml", "en")
        self.hatch = Hatch(state / hatch.NAME, {"aim": self._aim, "aimed": self._aimed})

    def _aim(self, _user: int) -> bytes:
        shown = analysis(frame(0, 1000.0, picture()), scene=self.scene)
        return packed(Look(measured(shown, masked=False), JPEG))

    def _aimed(self, _user: int) -> bytes:
        entry = self.desk.steps.entries()[Step.AIM]
        self.told.append(entry.state)
        return self.aimed


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """At work, over a database of its own."""
    (tmp_path / "agent.toml").write_text(toml(settings(tmp_path)), encoding="utf-8")
    kit = Kit(tmp_path, Hands())
    one = Agent(tmp_path)
    one.hatch.start()
    yield one
    one.hatch.close(10)
    kit.database.close(10)


def aimed(agent: Agent, answer: str, *words: str) -> tuple[int, str, str]:
    """Exit code of the command when that is answered, what it told, and how the step stands after it."""
    command = ["--config", str(agent.desk.path), "--lang", "en", *words]
    ended = CliRunner().invoke(app, command, input=answer)
    return ended.exit_code, ended.output, agent.desk.steps.entries()[Step.AIM].state


def test_a_camera_that_was_turned_is_aimed_all_the_same(agent: Agent) -> None:
    """`moved` is told and hinders nothing; the agent hears of the aim once it is kept."""
    agent.scene = Scene(90.0, 20.0, 5.0, moved=True)

    code, output, state = aimed(agent, "", "--yes")

    assert (0, "passed", ["passed"]) == (code, state, agent.told)
    assert "View: another than before: the camera was turned" in output


@pytest.mark.parametrize(
    ("scene", "passes"),
    [
        (Scene(90.0, 20.0, 5.0), True),
        (Scene(90.0, 20.0, 5.0, moved=True), True),
        (Scene(90.0, 20.0, 5.0, moved=True, frozen=True), False),
        (Scene(90.0, 20.0, 5.0, covered=True), False),
        (Scene(20.0, 20.0, 5.0), False),
    ],
)
def test_what_a_kit_can_work_with(scene: Scene, passes: bool) -> None:
    """A view that is another than before is one; one that is covered, frozen or dark is none."""
    shown = analysis(frame(0, 1000.0, picture(level=round(scene.brightness))), scene=scene)

    assert passes == fit(measured(shown, masked=False))


@pytest.mark.parametrize(
    ("answer", "code", "state"), [("y\n", 0, "passed"), ("т\n", 2, "failed"), ("\n", 2, "failed")]
)
def test_people_are_asked_whether_it_is_right(agent: Agent, answer: str, code: int, state: str) -> None:
    """Enter is no yes, and the agent forgets nothing for it; a yes is said in the language that is spoken."""
    assert (code, state) == aimed(agent, answer)[::2]
    assert ["passed"] * (state == "passed") == agent.told


def test_a_yes_in_ukrainian(agent: Agent) -> None:
    """The question says which letter that is."""
    code, output, _ = aimed(agent, "т\n", "--lang", "uk")

    assert (0, True) == (code, "т: так, Enter: ні" in output)


def test_a_figure_of_a_script_is_json_alone(agent: Agent) -> None:
    """Nothing else is on the standard output."""
    _, output, _ = aimed(agent, "", "--yes", "--json")

    assert (True, 90.0) == (json.loads(output)["passed"], json.loads(output)["light"])


def test_an_agent_that_does_not_forget_is_told(agent: Agent) -> None:
    """The step is kept, and who aims is told what to do: it would call the new view moved."""
    agent.aimed = b""

    ended = CliRunner().invoke(app, ["--config", str(agent.desk.path), "--yes"])

    assert "the agent still judges by the view that was before" in str(ended.exception)
