"""What was drawn on the spot: kept through damage, over the kit's file, under environment and city."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import settings, toml

from agent import checkedfile, viewpoint
from agent.config import Settings, load, settled
from agent.config_layers import Layers, Origin
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

LEFT = {"name": "left", "polygon": [[0, 0], [0.5, 0], [0.5, 1]]}
DOOR = {"name": "door", "polygon": [[0.5, 0.5], [1, 0.5], [1, 1]]}
DRAWN: dict[str, dict[str, Any]] = {"privacy": {"masks": [LEFT]}, "view": {"zones": [DOOR]}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    mask = '[[privacy.masks]]\nname = "file"\npolygon = [[0, 0], [1, 0], [1, 1]]\n'
    path.write_text(toml(settings(tmp_path)) + mask, encoding="utf-8")
    return path


def names(path: Path) -> list[str]:
    return [mask.name for mask in load(path).privacy.masks]


def test_it_stands_over_the_file_and_under_the_rest(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key by key, and each key's layer is told."""
    assert ["file"] == names(file)
    viewpoint.write(tmp_path, DRAWN)
    assert ["left"] == names(file)
    layers = Layers.read(Settings, file)
    assert Origin.DRAWN == layers.origin("privacy", "masks") == layers.origin("view", "zones")
    assert Origin.FILE == layers.origin("site", "city")

    monkeypatch.setenv("STAIRWELL_VIEW__ZONES", "[]")
    city = Layers.read(Settings, file).with_remote({"privacy": {"masks": []}})
    assert (Origin.REMOTE, Origin.ENVIRONMENT) == (
        city.origin("privacy", "masks"),
        city.origin("view", "zones"),
    )
    assert ((), ()) == (settled(city).privacy.masks, settled(city).view.zones)


def test_a_rule_of_the_file_may_name_a_drawn_zone(file: Path, tmp_path: Path) -> None:
    """The settings are judged with all layers, never by halves; what does not fit is named by its layer."""
    file.write_text(toml(settings(tmp_path)) + '[loitering]\nzones = ["door"]\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="no such zone"):
        load(file)
    viewpoint.write(tmp_path, DRAWN)
    assert ("door",) == load(file).loitering.zones
    viewpoint.write(tmp_path, {"view": {"zones": [DOOR | {"name": "No Slug"}]}})
    with pytest.raises(ConfigError, match=r"drawn\.json: view\.zones\.0\.name"):
        load(file)


@pytest.mark.parametrize("name", [viewpoint.NAME, viewpoint.COPY])
def test_one_copy_is_enough(name: str, file: Path, tmp_path: Path) -> None:
    """Whichever of the two is damaged or gone."""
    viewpoint.write(tmp_path, DRAWN)
    damaged = bytearray((tmp_path / name).read_bytes())
    damaged[-3] ^= 1
    (tmp_path / name).write_bytes(damaged)
    assert ["left"] == names(file)
    (tmp_path / name).unlink()
    assert ["left"] == names(file)


@pytest.mark.parametrize("content", [b"", b"no checksum", None])
def test_what_cannot_be_read_masks_the_whole_picture(
    content: bytes | None, file: Path, tmp_path: Path
) -> None:
    """Nobody can say what had to be hidden, so all is; the file's older masks are not taken for enough."""
    viewpoint.write(tmp_path, DRAWN)
    for name in (viewpoint.NAME, viewpoint.COPY):
        (tmp_path / name).unlink()
        if content is None:
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).write_bytes(content)
    found = load(file)
    assert ["unreadable"] == [mask.name for mask in found.privacy.masks]
    assert ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)) == found.privacy.masks[0].polygon
    assert found.capture.reencode


def test_an_agent_begins_with_what_is_lost(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules and lines, of file and city, name zones that were drawn, and the city encodes nothing again."""
    rules = (
        '[loitering]\nzones = ["door"]\n[[view.zones]]\nname = "stairs"\npolygon = [[0, 0], [1, 0], [1, 1]]\n'
    )
    file.write_text(file.read_text("utf-8") + rules, encoding="utf-8")
    line = {
        "name": "step",
        "start": [0, 0],
        "end": [1, 0],
        "left": "up",
        "right": "down",
        "zones": ["landing"],
    }
    city = {"gathering": {"zones": ["door"]}, "view": {"lines": [line]}, "capture": {"reencode": False}}
    (tmp_path / viewpoint.NAME).write_bytes(b"damaged")

    layers = Layers.read(Settings, file).with_remote(city)
    found = settled(layers)
    assert layers.lost
    assert ["door", "landing"] == [zone.name for zone in found.view.zones]
    assert (["unreadable"], True) == ([mask.name for mask in found.privacy.masks], found.capture.reencode)
    assert {Origin.DRAWN} == {layers.origin("view", "zones"), layers.origin("capture", "reencode")}
    assert ["door"] == [zone.name for zone in settled(layers.with_remote({})).view.zones]

    bare = Layers.read(Settings, file).with_remote({"loitering": {"zones": ["stairs"]}})
    assert ["stairs"] == [zone.name for zone in settled(bare).view.zones]  # which nobody lost
    masked = layers.with_remote({"privacy": {"masks": [LEFT]}, "capture": {"reencode": False}})
    assert not settled(masked).capture.reencode  # the city's masks stood over what was drawn, and do so still
    monkeypatch.setenv("STAIRWELL_VIEW__ZONES", "[]")
    with pytest.raises(ConfigError, match=r"loitering\.zones = 'door': no such zone"):
        load(file)


def test_wrong_settings_are_told_though_a_drawing_is_lost(file: Path, tmp_path: Path) -> None:
    """What stands in for it is asked for before they are judged."""
    (tmp_path / viewpoint.NAME).write_bytes(b"damaged")
    base = file.read_text("utf-8")
    for wrong, told in (
        ("loitering = 5\n", "loitering = 5"),
        ("view = 5\n", "view = 5"),
        ("[view]\nzones = 5\nlines = [5]\n", "view.zones = 5"),
        ("[loitering]\nzones = [5]\n", "loitering.zones.0 = 5"),
    ):
        file.write_text((wrong + base) if wrong[0] != "[" else (base + wrong), encoding="utf-8")
        with pytest.raises(ConfigError, match=re.escape(told)):
            load(file)


def test_nothing_else_can_be_smuggled_in(file: Path, tmp_path: Path) -> None:
    """A layer with a key that nobody can draw is no layer of ours: it is taken for damage."""
    viewpoint.write(tmp_path, {"clips": {"seal": "none"}})
    assert viewpoint.LOST == viewpoint.read(tmp_path)
    for name in (viewpoint.NAME, viewpoint.COPY):
        checkedfile.write(tmp_path / name, b"{whole, and no JSON")
    assert viewpoint.LOST == viewpoint.read(tmp_path)
    assert "none" != Layers.read(Settings, file).drawn.get("clips", {}).get("seal")


def test_the_disk_may_refuse(tmp_path: Path) -> None:
    """Then what was drawn before is whole still."""
    viewpoint.write(tmp_path, DRAWN)
    (tmp_path / f"{viewpoint.COPY}.new").mkdir()
    with pytest.raises(StorageError):
        viewpoint.write(tmp_path, {})
    assert DRAWN == viewpoint.read(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed to be kept out")
def test_who_may_not_enter_gets_nothing(tmp_path: Path) -> None:
    """A technician's command, which needs no more than the state's place, is not told of a damage."""
    viewpoint.write(tmp_path, DRAWN)
    tmp_path.chmod(0o700)
    child = os.fork()
    if child == 0:
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        os._exit(0 if viewpoint.read(tmp_path) == {} else 1)
    assert 0 == os.waitpid(child, 0)[1]


def test_in_what_is_no_directory_nothing_was_kept(tmp_path: Path) -> None:
    """The agent ends for the directory's sake, which its error names: nothing is to be masked."""
    state = tmp_path / "state"
    state.write_text("a file in its place")
    assert {} == viewpoint.read(state)
