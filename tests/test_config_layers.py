"""The layers of settings: which one a value is from, and whom an error names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ukrainian import english_in

from agent.config import Settings, load, settled
from agent.config_layers import Layers, Origin
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text('[capture]\nfps = 5\nloop = true\n[log]\nlevel = "error"\n', encoding="utf-8")
    return path


def layers(file: Path | None = None, **remote: dict[str, Any]) -> Layers:
    return Layers.read(Settings, file).with_remote(remote)


def test_each_key_is_of_the_highest_layer_that_has_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Default, file, environment, the city: each over the one before, key by key, and each is told."""
    monkeypatch.setenv("STAIRWELL_CAPTURE__LOOP", "false")
    monkeypatch.setenv("STAIRWELL_LOG__LEVEL", "debug")
    found = layers(file, log={"level": "warning"}, clips={"retention_h": 24})
    settings = settled(found)

    assert (5.0, False) == (settings.capture.fps, settings.capture.loop)
    assert ("warning", 24.0, 2.5) == (settings.log.level, settings.clips.retention_h, settings.events.quiet_s)
    assert [Origin.FILE, Origin.ENVIRONMENT, Origin.REMOTE, Origin.REMOTE, Origin.DEFAULT] == [
        found.origin(*key.split("."))
        for key in ("capture.fps", "capture.loop", "log.level", "clips.retention_h", "events.quiet_s")
    ]


def test_a_list_of_the_city_is_the_whole_list(tmp_path: Path) -> None:
    """Two lists of zones are not mixed: what the city says of a key is all there is of it."""
    path = tmp_path / "agent.toml"
    path.write_text("[[privacy.masks]]\nname = 'door'\npolygon = [[0, 0], [1, 0], [1, 1]]\n")

    assert () == settled(layers(path, privacy={"masks": []})).privacy.masks


def test_an_error_names_the_layer_that_is_to_blame(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever set the wrong value finds it: a line of the file, a variable, the city's message."""
    file.write_text("[capture]\nfps = 0\n", encoding="utf-8")
    monkeypatch.setenv("STAIRWELL_OUTBOX", '{"max_rows": 1}')
    with pytest.raises(ConfigError) as caught:
        settled(layers(file, clips={"retention_h": 1000}, log={"levle": "debug"}))

    for part in (
        f"{file}: capture.fps = 0: ",
        "environment variable STAIRWELL_OUTBOX: outbox.max_rows = 1: ",
        "cfg/des: clips.retention_h = 1000: ",
        "cfg/des: log.levle: unknown key",
    ):
        assert part in caught.value.problem
    assert "did you mean level?" in caught.value.fix


def test_an_error_tells_what_is_wrong_with_each_key() -> None:
    """For who has to answer key by key."""
    with pytest.raises(ConfigError) as caught:
        settled(
            layers(
                capture={"fps": "ten", "fsp": 1},
                loitering={"zones": ["hall"]},
                site="Odesa",
            )
        )

    keys = caught.value.keys
    assert {"capture.fps", "capture.fsp", "site"} == keys.keys()
    assert "unknown key" == keys["capture.fsp"]
    assert keys["capture.fps"].startswith("'ten': input should be a valid number")
    with pytest.raises(ConfigError) as caught:
        settled(layers(loitering={"zones": ["hall"]}))
    assert {"loitering.zones": "'hall': no such zone"} == caught.value.keys


WRONG = """
[kit]
id = "short"
[capture]
fps = "many"
[clips]
retention_h = -1
enabled = "perhaps"
recipients = ["AGE-SECRET-KEY-1"]
[camera]
dark_fps = 90
[outbox]
colour = "red"
[[privacy.masks]]
name = 7
"""


def test_what_is_wrong_is_told_in_ukrainian(tmp_path: Path) -> None:
    """Every key with its reason and fix, pydantic's and our own; a secret in none of it."""
    path = tmp_path / "agent.toml"
    path.write_text(WRONG, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    told = caught.value.told("uk")
    for words in ("kit.id = 'short': номер комплекту", "має бути число", "невідомий ключ", "(секрет)"):
        assert words in told
    assert "SECRET" not in told
    assert [] == english_in(told.replace(str(path), ""))
