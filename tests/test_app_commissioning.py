"""The steps of a commissioning: kept, taken up again, told."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from app_parts import Hands, query, settings, toml
from commandline import stairwell
from kits import Kit

from agent.app.commissioning import Commissioning
from agent.app.steps import Step, missing
from agent.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = "2026-11-27T12:00:00.000Z"


@pytest.fixture
def steps(tmp_path: Path) -> Iterator[Commissioning]:
    """Of a kit whose agent holds the database."""
    clock = Hands(ts=NOON)
    kit = Kit(tmp_path, clock)
    yield Commissioning(settings(tmp_path), clock)
    kit.database.close(10)


def test_steps_are_kept_in_their_order(steps: Commissioning) -> None:
    """Each step is kept with what it found, in place of what was before; the order is that of the work."""
    steps.note(Step.WALK, "failed", "oksana", {"cause": "motion"})
    steps.note(Step.AIM, "passed", "oksana", {"tilt": 0.5})
    steps.note(Step.WALK, "passed", "petro", {"acknowledged_s": 1.9})

    held = steps.entries()

    assert [Step.AIM, Step.WALK] == list(held)
    assert ("passed", "petro", {"acknowledged_s": 1.9}, NOON) == (
        held[Step.WALK].state,
        held[Step.WALK].by,
        held[Step.WALK].found,
        held[Step.WALK].at.ts,
    )
    assert [Step.VIEW, Step.REFERENCE, Step.POWER, Step.SIGN] == missing(held)


def test_a_signature_is_for_what_was_there(steps: Commissioning) -> None:
    """An aim, masks or a reference taken anew ask for another one; a failed step or another walk does not."""
    for renewed in (Step.AIM, Step.VIEW, Step.REFERENCE):
        steps.note(Step.SIGN, "passed", "oksana", {"by": "Оксана", "seq": 1})
        steps.note(Step.WALK, "passed", "petro", {})
        steps.note(renewed, "failed", "petro", {})
        assert Step.SIGN in steps.entries()

        steps.note(renewed, "passed", "petro", {})
        assert Step.SIGN not in steps.entries()


def test_each_step_has_its_line_of_the_audit(steps: Commissioning, tmp_path: Path) -> None:
    """Also what was replaced since, and the reason of a waiver."""
    steps.note(Step.WALK, "failed", "oksana", {})
    steps.note(Step.WALK, "waived", "petro", {}, "the entrance is shut")

    rows = query(tmp_path, "SELECT by, status, text FROM audit WHERE cmd = 'commission' ORDER BY n")

    assert [("oksana", "failed", "walk failed"), ("petro", "ok", "walk waived: the entrance is shut")] == rows
    assert "the entrance is shut" == steps.entries()[Step.WALK].why


def test_a_kit_that_never_ran_has_no_steps(tmp_path: Path) -> None:
    """Nothing is made up: the error says that there is no database."""
    with pytest.raises(StorageError, match="no such database"):
        Commissioning(settings(tmp_path), Hands())


def test_status_tells_people_and_programs(steps: Commissioning, tmp_path: Path) -> None:
    """In Ukrainian as a table, with an exit code that a script can use; as JSON with all that was found."""
    (tmp_path / "agent.toml").write_text(toml(settings(tmp_path)), encoding="utf-8")
    steps.note(Step.AIM, "passed", "oksana", {"tilt": 0.5})
    words = ("commission", "status", "--config", tmp_path / "agent.toml")

    shown = stairwell(*words, "--lang", "uk")
    told = json.loads(stairwell(*words, "--json").stdout)

    assert 2 == shown.returncode
    assert re.match("Наведення камери +виконано +2026-11-27 12:00:00 +oksana", shown.stdout)
    assert "треба виконати" in shown.stdout.splitlines()[1]
    assert ["view", "reference", "walk", "power", "sign"] == told["missing"]
    assert {"tilt": 0.5} == told["steps"]["aim"]["found"]
