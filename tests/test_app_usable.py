"""What a kit needs before it can run: one check for the agent and for `config check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from app_parts import LAMPS, Hands, body, check, settings

from agent.app.live import Agent
from agent.app.reporter import Reporter, topics
from agent.app.usable import complete, usable
from agent.backbone.outbox import Numbers
from agent.config import Settings
from agent.device.clock import SystemClock
from agent.errors import ConfigError, ModelError, SourceError

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ("katotth", "precinct", "building", "entrance")


def test_a_kit_that_is_set_up_passes(tmp_path: Path) -> None:
    """Nothing is asked for beyond what the agent needs."""
    usable(settings(tmp_path))
    complete(settings(tmp_path, capture={"source": str(LAMPS)}))


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"kit": {"id": "0000000000"}}, "kit.id"),
        ({"site": {"oblast": "00"}}, "site.oblast"),
        ({"site": {"city": "city"}}, "site.city"),
        ({"site": {"district": "district"}}, "site.district"),
        ({"capture": {"source": "ftp://cam/1"}}, "capture.source"),
        ({"backbone": {"tls": True, "ca_file": "/nowhere/ca.pem"}}, "/nowhere/ca.pem"),
        (
            {"backbone": {"tls": True, "cert_file": "/nowhere/kit.pem", "key_file": "/nowhere/kit.key"}},
            "/nowhere/kit.pem",
        ),
        ({"backbone": {"password_file": "/nowhere/password"}}, "backbone.password_file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_missing_is_named_by_check_and_by_run(
    tmp_path: Path, sections: dict[str, Any], named: str
) -> None:
    """What the one refuses the other refuses, in the same words, before anything is touched."""
    chosen = settings(tmp_path / "state", **sections)

    with pytest.raises(ConfigError, match=named) as by_check:
        complete(chosen)
    with pytest.raises(ConfigError, match=named) as by_run:
        Agent(chosen, SystemClock())

    assert str(by_check.value) == str(by_run.value)
    assert not (tmp_path / "state").exists()


def test_everything_is_named_at_once() -> None:
    """Defaults alone name the kit and its place, each with its fix."""
    with pytest.raises(ConfigError) as error:
        usable(Settings.model_construct())

    assert "kit.id: not set; site.oblast, site.city, site.district: not set" == error.value.problem
    assert "label" in error.value.fix
    assert "[site]" in error.value.fix


def test_a_check_looks_at_the_model_and_the_video_too(tmp_path: Path) -> None:
    """The one would be an alarm at the start, the other its end: both are known beforehand."""
    with pytest.raises(ModelError, match="no-such-model"):
        complete(settings(tmp_path, detector={"model": "no-such-model"}))
    with pytest.raises(SourceError, match=r"nothing\.mp4"):
        complete(settings(tmp_path, capture={"source": str(tmp_path / "nothing.mp4")}))


@pytest.mark.parametrize("key", TEXTS)
def test_what_names_the_place_is_as_long_as_a_message_takes(tmp_path: Path, key: str) -> None:
    """The longest that is accepted makes a valid birth; one more is refused with the settings."""
    chosen = settings(tmp_path, site={key: "х" * 200})
    birth = Reporter(chosen, topics(chosen), Hands(), "9f2c1a7e", None).birth(
        1, Numbers("9f2c1a7e", 3, 10, 7, 2, 1.25, 4096, 0)
    )

    assert "Birth" == check(body(birth))
    with pytest.raises(ConfigError, match=rf"site\.{key}"):
        settings(tmp_path, site={key: "х" * 201})
