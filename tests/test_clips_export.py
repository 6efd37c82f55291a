"""Handing clips out: every byte is checked before the target has its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from app_parts import Hands
from clips_footage import decoded, ffmpeg_plays
from clips_keys import CITY, KEY_IDS, RECIPIENTS, STRANGER, age
from kits import FOOTAGE, Kit, name

from agent.clips.export import Exported, export, target_of
from agent.clips.manifest import manifest_path
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.types import ClipRecord


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    (tmp_path / "state").mkdir()
    (tmp_path / "out").mkdir()
    kit = Kit(tmp_path / "state", Hands(), seal="age", recipients=RECIPIENTS)
    yield kit
    kit.end()


def out(kit: Kit) -> Path:
    return kit.state.parent / "out"


def hand_out(kit: Kit, clip: ClipRecord, *keys: object) -> Exported:
    target = target_of(clip, out(kit), opened=bool(keys))
    return export(kit.directory, clip, target, keys, lambda _: None)  # type: ignore[arg-type]


def test_sealed_as_it_lies_there(kit: Kit) -> None:
    """The same bytes, with the manifest, for nobody but the owner; Debian's age opens them."""
    clip = kit.clip(1)
    done = hand_out(kit, clip)

    copy = out(kit) / clip.path
    assert Exported(copy, clip.bytes, clip.sha256, opened=False) == done
    assert (kit.directory / clip.path).read_bytes() == copy.read_bytes()
    assert manifest_path(kit.directory / clip.path).read_bytes() == manifest_path(copy).read_bytes()
    assert 0o600 == copy.stat().st_mode & 0o777
    plain = out(kit) / "plain.mp4"
    plain.write_bytes(age(copy))
    ffmpeg_plays(plain)


def test_opened_with_the_citys_key(kit: Kit) -> None:
    """It plays, picture by picture what the camera sent."""
    clip = kit.clip(1)
    told: list[int] = []
    done = export(kit.directory, clip, out(kit) / "clip.mp4", [CITY], told.append)

    assert done.opened
    assert FOOTAGE.pictures() == decoded(done.path)
    assert clip.bytes == sum(told)


def test_an_open_clip_is_copied_with_any_key(tmp_path: Path) -> None:
    """There is nothing to open."""
    kit = Kit(tmp_path, Hands())
    try:
        clip = kit.clip(1)
        done = export(kit.directory, clip, tmp_path / "copy.mp4", [CITY], lambda _: None)
        assert not done.opened
        assert clip.sha256 == done.sha256
    finally:
        kit.end()


def test_a_strangers_key_opens_nothing(kit: Kit) -> None:
    """Neither file nor rest of one is left; the keys that would do are named."""
    clip = kit.clip(1)
    with pytest.raises(ConfigError, match="none of the keys") as refusal:
        hand_out(kit, clip, STRANGER)
    assert ", ".join(KEY_IDS) in refusal.value.fix
    assert [] == list(out(kit).iterdir())


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("damage", ["flip", "cut", "swap", "manifest", "no manifest", "foreign manifest"])
def test_what_is_not_as_signed_is_not_handed_out(kit: Kit, damage: str, opened: bool) -> None:
    """Whatever was done to it: an error that names the file, and no target."""
    clip, other = kit.clip(1), kit.clip(2)
    path = kit.directory / clip.path
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[-100] ^= 1
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(data[:-5000])
    elif damage == "swap":
        path.write_bytes((kit.directory / other.path).read_bytes())
    elif damage == "manifest":
        manifest_path(path).write_bytes(b"{}")
    elif damage == "foreign manifest":
        manifest_path(path).write_bytes(manifest_path(kit.directory / other.path).read_bytes())
    else:
        manifest_path(path).unlink()

    with pytest.raises(StorageError, match=name(1)):
        hand_out(kit, clip, *([CITY] if opened else []))
    assert [] == list(out(kit).iterdir())


def test_a_directory_that_takes_nothing_is_told(kit: Kit) -> None:
    """The target's path is in the error."""
    clip = kit.clip(1)
    with pytest.raises(StorageError, match=r"nowhere/clip\.mp4: cannot be exported from"):
        export(kit.directory, clip, out(kit) / "nowhere" / "clip.mp4", [], lambda _: None)
