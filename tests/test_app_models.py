"""Models as a technician asks for them, through the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from agent.app import models
from agent.cli import app
from agent.config import DetectorSettings
from agent.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

run = CliRunner()


def test_the_shipped_ones_are_listed() -> None:
    """Name, input, licence of each; the same as JSON."""
    shown = run.invoke(app, ["models", "list"], env={"COLUMNS": "200"})
    listed = json.loads(run.invoke(app, ["models", "list", "--json"]).stdout)

    assert ["nanodet", "ssdlite"] == [one["model"].split("@")[0] for one in listed]
    assert all(one["model"] in shown.stdout and one["licence"] in shown.stdout for one in listed)


def test_a_good_model_is_said_to_be_good() -> None:
    """The configured one, and one by name."""
    assert "ssdlite@b1ec7047: good" in run.invoke(app, ["models", "check"]).stdout
    outcome = json.loads(run.invoke(app, ["models", "check", "nanodet", "--json"]).stdout)
    assert outcome["model"].startswith("nanodet@")
    assert outcome["score"] > 0.5


def test_an_unknown_model_is_told() -> None:
    """The error is the loader's, with its fix."""
    with pytest.raises(ModelError, match="detector model 'none'"):
        models.check(DetectorSettings(model="none"))


def test_a_missing_picture_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An incomplete installation is not a blind model."""
    monkeypatch.setattr(models, "SAMPLES", tmp_path)
    with pytest.raises(ModelError, match=r"cameraman_grey\.jpg: cannot be read"):
        models.check(DetectorSettings())
