"""The settings that a kit runs with, as commands beside the agent see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from app_parts import settings, toml

from agent.app.configured import fitted, in_force, next_start
from agent.backbone.revisions import STATE, Revision, Revisions
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(toml(settings(tmp_path)), encoding="utf-8")
    return path


def test_what_the_city_has_set_is_in_force(tmp_path: Path, file: Path) -> None:
    """For whoever writes messages or examines the kit beside the agent: its place, its retention."""
    assert "kyivskyi" == in_force(file).site.district
    Revisions(tmp_path).take(Revision(rev=1, values={"site": {"district": "prymorskyi"}}))

    assert "prymorskyi" == in_force(file).site.district
    assert {"site": {"district": "prymorskyi"}} == next_start(file).remote


def test_what_does_not_fit_or_cannot_be_read_leaves_the_own_file(tmp_path: Path, file: Path) -> None:
    """As the agent has it; and a technician without rights gets an answer."""
    Revisions(tmp_path).take(Revision(rev=1, values={"loitering": {"zones": ["hall"]}}))
    assert () == in_force(file).loitering.zones
    (tmp_path / STATE).unlink()
    (tmp_path / STATE).mkdir()

    assert "kyivskyi" == in_force(file).site.district
    with pytest.raises(StorageError, match="cannot be read"):
        next_start(file)


def test_it_is_judged_whole(file: Path) -> None:
    """By the list, by the types, together with the file, and by whether an agent could run with it."""
    layers = next_start(file)
    for values, key in (
        ({"clips": {"seal": "none"}}, "clips.seal"),
        ({"clips": {"max_s": "1"}}, "clips.max_s"),
        ({"gathering": {"zones": ["hall"]}}, "gathering.zones"),
        ({"site": {"oblast": "00"}}, "site.oblast"),
    ):
        with pytest.raises(ConfigError) as caught:
            fitted(layers, values)
        assert {key} == caught.value.keys.keys()
    assert 30.0 == fitted(layers, {"clips": {"max_s": 30}}).clips.max_s
