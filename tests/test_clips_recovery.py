"""Recovery on real files, as a power cut leaves them."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

import pytest
from clips_footage import decoded, encoded, ffmpeg_plays, small_disk

from agent.clips import recovery
from agent.clips.fmp4 import FragmentMuxer
from agent.clips.fragment import Fragment, Plaintext
from agent.clips.journal import OpenClip
from agent.clips.recovery import Recovered, recover
from agent.clips.retention import UNKNOWN_BOOT
from agent.errors import StorageError
from agent.types import ClipRecord
from agent.ulid import ulid

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO, THREE = (ulid(n, bytes(10)) for n in (1, 2, 3))


def intent(clip: str) -> OpenClip:
    return OpenClip(clip, f"{clip}.mp4", ("e",), 5.0, "b00t", None, "none", "h264", 320, 240, "none", 3)


@pytest.fixture(scope="module")
def fragments() -> list[bytes]:
    out: list[bytes] = []
    muxer = FragmentMuxer(encoded().info, out.append)
    for packet in encoded().packets:
        muxer.packet(packet)
    muxer.close()
    return out


def place(directory: Path, clip: str, data: bytes) -> Path:
    path = directory / f"{clip}.mp4"
    path.write_bytes(data)
    return path


def test_an_interrupted_clip_is_cut_and_kept(tmp_path: Path, fragments: list[bytes]) -> None:
    """The tail of a torn fragment goes; the record is true; it plays everywhere."""
    whole = b"".join(fragments[:3])
    path = place(tmp_path, ONE, whole + fragments[3][:777])
    found = recover(tmp_path, [intent(ONE)], set())
    record = ClipRecord(
        id=ONE,
        path=path.name,
        events=("e",),
        started=5.0,
        duration=pytest.approx(3.0),
        boot="b00t",
        ts=None,
        clk="none",
        bytes=len(whole),
        sha256=hashlib.sha256(whole).hexdigest(),
        codec="h264",
        width=320,
        height=240,
        sealed="none",
        part=3,
        truncated=True,
    )
    plain = Plaintext(
        len(whole),
        record.sha256,
        tuple(
            Fragment(float(second), len(piece), hashlib.sha256(piece).hexdigest())
            for second, piece in enumerate(fragments[:3])
        ),
    )
    assert [Recovered("kept", ONE, path.name, record, plain)] == found
    assert whole == path.read_bytes()
    ffmpeg_plays(path)


def test_recovering_again_gives_the_same(tmp_path: Path, fragments: list[bytes]) -> None:
    """Killed before its rows were entered, the next start finds what this one found."""
    place(tmp_path, ONE, b"".join(fragments) + b"torn")
    place(tmp_path, TWO, b"".join(fragments)[:-5])
    first = recover(tmp_path, [intent(ONE)], set())
    assert ["kept", "adopted"] == [r.kind for r in first]
    assert first == recover(tmp_path, [intent(ONE)], set())


@pytest.mark.parametrize("data", [b"", b"\x00" * 5000, None])
def test_what_does_not_play_is_removed(tmp_path: Path, data: bytes | None) -> None:
    """An intent whose file is empty, blank or was never made comes to nothing."""
    path = tmp_path / f"{ONE}.mp4"
    if data is not None:
        path.write_bytes(data)
    assert [Recovered("removed", ONE, path.name)] == recover(tmp_path, [intent(ONE)], set())
    assert not path.exists()


def test_an_unknown_file_that_plays_is_adopted(tmp_path: Path, fragments: list[bytes]) -> None:
    """Its id is in its name, size and length in itself; when it was is not known."""
    place(tmp_path, TWO, b"".join(fragments))
    (found,) = recover(tmp_path, [], set())
    record = found.record
    assert record is not None
    assert ("adopted", TWO, (), UNKNOWN_BOOT, None, "none", 320, 240, "h264", True) == (
        found.kind,
        record.id,
        record.events,
        record.boot,
        record.ts,
        record.clk,
        record.width,
        record.height,
        record.codec,
        record.truncated,
    )
    assert 60 == len(decoded(tmp_path / record.path))


def test_an_unknown_file_that_does_not_play_is_removed(tmp_path: Path) -> None:
    """Rubbish under a clip's name."""
    path = place(tmp_path, TWO, b"rubbish")
    assert [Recovered("removed", TWO, path.name)] == recover(tmp_path, [], set())
    assert not path.exists()


def test_other_peoples_files_are_left_alone(tmp_path: Path) -> None:
    """Only names that we give are ours to remove."""
    for name in ("notes.txt", "clip.mp4", f"{ONE}.mp4.part", f"{ONE[:-1]}a.mp4"):
        (tmp_path / name).write_bytes(b"")
    assert [] == recover(tmp_path, [], set())
    assert 4 == len(list(tmp_path.iterdir()))


def test_a_row_without_its_file_is_told(tmp_path: Path, fragments: list[bytes]) -> None:
    """A known clip that is there is not touched, one that is gone is reported."""
    path = place(tmp_path, ONE, b"".join(fragments) + b"untouched")
    found = recover(tmp_path, [], {path.name, f"{TWO}.mp4"})
    assert [Recovered("missing", TWO, f"{TWO}.mp4")] == found
    assert path.read_bytes().endswith(b"untouched")


def test_a_clip_under_way_is_left_alone(tmp_path: Path) -> None:
    """Recovery may run beside a recording."""
    path = place(tmp_path, ONE, b"")
    assert [] == recover(tmp_path, [intent(ONE)], set(), in_use={ONE})
    assert path.exists()


def test_no_directory_yet(tmp_path: Path) -> None:
    """A kit that never recorded has nothing to recover; an intent without directory comes to nothing."""
    assert [] == recover(tmp_path / "clips", [], set())
    assert ["removed"] == [r.kind for r in recover(tmp_path / "clips", [intent(ONE)], set())]


def test_a_directory_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A file in its place: the path and the reason."""
    (tmp_path / "clips").write_text("")
    with pytest.raises(StorageError, match="clips: cannot be read"):
        recover(tmp_path / "clips", [], set())


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path, fragments: list[bytes]) -> None:
    """What the disk refuses is told and stays; the rest is recovered."""
    (tmp_path / f"{ONE}.mp4").mkdir()
    place(tmp_path, TWO, b"".join(fragments))
    bad, good = recover(tmp_path, [intent(ONE), intent(TWO)], set())
    assert ("unreadable", "kept") == (bad.kind, good.kind)
    assert f"{ONE}.mp4: cannot be recovered" in bad.problem


def test_a_read_only_disk_is_told(tmp_path: Path, fragments: list[bytes]) -> None:
    """Nothing is lost and nothing is claimed while the card cannot be written."""
    with small_disk(tmp_path / "disk", 512) as disk:
        place(disk, ONE, b"".join(fragments[:2]) + b"torn")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        (found,) = recover(disk, [intent(ONE)], set())
        assert "unreadable" == found.kind
        assert "read-only" in found.problem


def test_a_directory_that_cannot_be_synced_is_told(
    tmp_path: Path, fragments: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removals that may not be on disk are not passed off as done."""

    def refuse(_: Path) -> None:
        raise OSError(5, "Input/output error")

    place(tmp_path, ONE, b"".join(fragments))
    monkeypatch.setattr(recovery, "sync_directory", refuse)
    with pytest.raises(StorageError, match="cannot be synced"):
        recover(tmp_path, [intent(ONE)], set())
