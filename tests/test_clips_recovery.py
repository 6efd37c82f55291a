"""Recovery on real files, as a power cut leaves them."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest
from clips_footage import decoded, encoded, ffmpeg_plays, hashed, long_footage, small_disk
from clips_keys import KEY_IDS, SEALED_TO, age
from clips_store import make_store

from agent.clips import hold, recovery
from agent.clips.fmp4 import FragmentMuxer
from agent.clips.fragment import Fragment, Plaintext
from agent.clips.journal import OpenClip
from agent.clips.manifest import manifest_path
from agent.clips.part import part_path
from agent.clips.recovery import Recovered, recover
from agent.clips.retention import UNKNOWN_BOOT
from agent.clips.seal import SealingSink
from agent.clips.writer import ClipWriter
from agent.device.clock import Stamp
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


def sealed_intent(clip: str) -> OpenClip:
    return OpenClip(clip, f"{clip}.mp4.age", ("e",), 5.0, "b00t", None, "none", "h264", 320, 240, "age", 3)


def running(directory: Path, clip: str, pictures: int = 50, about: OpenClip | None = None) -> Path:
    """A sealed clip under way, synced every 2 s."""
    path = directory / f"{clip}.mp4.age"
    footage = long_footage(12)
    writer = ClipWriter(path, footage.info, 2.0, open_sink=lambda path: SealingSink(path, SEALED_TO))
    if about:
        writer.about(about)
    for packet in footage.packets[:pictures]:
        writer.packet(packet)
    writer.abandon()
    return path


def test_an_interrupted_sealed_clip_is_cut_and_kept(tmp_path: Path) -> None:
    """Up to its last sync, opened by the city; its note stays until its row is there."""
    path = running(tmp_path, ONE)
    for _ in range(2):
        (found,) = recover(tmp_path, [sealed_intent(ONE)], set())
        assert found.record is not None
        assert found.plain is not None
        assert ("kept", ("e",), 5.0, 4.0, "age", KEY_IDS, True, 3) == (
            found.kind,
            found.record.events,
            found.record.started,
            found.record.duration,
            found.record.sealed,
            found.record.recipients,
            found.record.truncated,
            found.record.part,
        )
        assert found.plain == hashed(age(path), found.plain)
    assert part_path(path).exists()
    assert [] == recover(tmp_path, [], {path.name})
    assert [path] == [p for p in tmp_path.iterdir() if p.name != "identity.txt"]


def test_a_sealed_clip_that_nobody_knew_is_adopted(tmp_path: Path) -> None:
    """Its note tells size and length; when it was is not known."""
    running(tmp_path, ONE)
    (found,) = recover(tmp_path, [], set())
    assert found.record is not None
    assert ("adopted", "age", 320, 240, UNKNOWN_BOOT, 4.0) == (
        found.kind,
        found.record.sealed,
        found.record.width,
        found.record.height,
        found.record.boot,
        found.record.duration,
    )


def test_a_sealed_clip_whose_intent_is_lost_is_adopted_as_it_was_noted(tmp_path: Path) -> None:
    """After a database was lost: events, time, clock and part are in its note."""
    intent = replace(sealed_intent(ONE), events=("e", "f"), ts="2026-11-22T00:31:05.412Z", clk="ntp")
    running(tmp_path, ONE, about=intent)
    running(tmp_path, TWO, about=intent)  # another clip's note says nothing of this one
    one, two = recover(tmp_path, [], set())
    assert one.record is not None
    assert two.record is not None
    assert ("adopted", 4.0, True) == (one.kind, one.record.duration, one.record.truncated)
    assert asdict(intent).items() <= asdict(one.record).items()
    assert (TWO, (), UNKNOWN_BOOT) == (two.record.id, two.record.events, two.record.boot)


def test_a_sealed_clip_without_a_sync_comes_to_nothing(tmp_path: Path) -> None:
    """Nothing of it can be told from noise: clip and note go."""
    running(tmp_path, ONE, pictures=15)
    assert ["removed"] == [found.kind for found in recover(tmp_path, [sealed_intent(ONE)], set())]
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("sealed", [True, False])
def test_a_finished_clip_whose_row_is_gone_is_adopted_as_it_was_signed(tmp_path: Path, sealed: bool) -> None:
    """After a database was lost: every fact comes from the manifest, and the signature is the old one."""
    (record,) = make_store(tmp_path, 1, sealed=sealed)
    part_path(tmp_path / record.path).write_bytes(b"")  # killed before it went
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert [Recovered("adopted", record.id, record.path, record)] == recover(tmp_path, [], set())
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_manifest_of_something_else_is_not_believed(tmp_path: Path, fragments: list[bytes]) -> None:
    """Torn, of another size or of another clip: what plays is adopted by itself, and signed anew."""
    (record,) = make_store(tmp_path, 1, sealed=False)
    beside = manifest_path(tmp_path / record.path)
    signed = beside.read_bytes()
    (tmp_path / record.path).write_bytes(b"".join(fragments))
    place(tmp_path, TWO, b"".join(fragments))
    manifest_path(tmp_path / f"{TWO}.mp4").write_bytes(signed)
    for content in (signed, signed[:100]):
        beside.write_bytes(content)
        found = recover(tmp_path, [], set())
        assert [("adopted", True)] * 2 == [(each.kind, each.plain is not None) for each in found]


def test_what_lies_beside_no_clip_goes(tmp_path: Path) -> None:
    """Manifests and notes without a clip, half-written ones, notes of clips whose rows are there."""
    one, two = make_store(tmp_path, 2)
    part_path(tmp_path / one.path).write_bytes(b"")
    (tmp_path / two.path).unlink()
    half = tmp_path / f"{TWO}.json.new"
    half.write_bytes(b"{")
    stranger = tmp_path / "notes.json"
    stranger.write_bytes(b"{}")
    assert [] == recover(tmp_path, [], {one.path})
    kept = {one.path, manifest_path(tmp_path / one.path).name, stranger.name}
    assert kept == {path.name for path in tmp_path.iterdir()}


def test_what_belongs_to_a_clip_under_way_or_in_trouble_stays(tmp_path: Path) -> None:
    """Its note is all that can mend it."""
    running(tmp_path, ONE)
    place(tmp_path, TWO, b"").unlink()
    (tmp_path / f"{TWO}.mp4.age").mkdir()
    part_path(tmp_path / f"{TWO}.mp4.age").write_bytes(b"")
    found = recover(tmp_path, [sealed_intent(ONE), sealed_intent(TWO)], set(), in_use={ONE})
    assert ["unreadable"] == [each.kind for each in found]
    assert {f"{ONE}.part", f"{TWO}.part"} <= {path.name for path in tmp_path.iterdir()}


def test_what_cannot_be_removed_is_told(tmp_path: Path) -> None:
    """By its path."""
    (tmp_path / f"{ONE}.part").mkdir()
    with pytest.raises(StorageError, match=r"\.part: cannot be removed"):
        recover(tmp_path, [], set())


def test_what_is_on_hold_is_never_removed(tmp_path: Path, fragments: list[bytes]) -> None:
    """Not even where nothing of it plays: somebody may make more of it than the kit can."""
    for clip in (ONE, TWO):
        path = place(tmp_path, clip, fragments[0][:30])
    hold.put(tmp_path, ONE, "olena", "case 12", Stamp("b00t", 5.0, None, "none"))
    held, other = recover(tmp_path, [], set())
    assert ("unreadable", "removed") == (held.kind, other.kind)
    assert "it is on hold" in held.problem
    assert ([f"{ONE}.hold", f"{ONE}.mp4"], False) == (left(tmp_path), path.exists())


def test_a_hold_goes_with_its_clip(tmp_path: Path, fragments: list[bytes]) -> None:
    """What lies beside a known or an adopted clip stays; beside none, or half written, it is rubbish."""
    for clip in (ONE, TWO):
        place(tmp_path, clip, b"".join(fragments))
    for name in (f"{ONE}.hold", f"{TWO}.hold", f"{ONE}.hold.new", f"{THREE}.hold"):
        (tmp_path / name).write_text("{}")
    recover(tmp_path, [], {f"{ONE}.mp4"})
    assert [f"{ONE}.hold", f"{ONE}.mp4", f"{TWO}.hold", f"{TWO}.mp4"] == left(tmp_path)


def left(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())
