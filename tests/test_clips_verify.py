"""Verification: what is untouched is authentic, and whatever is done to a clip is named, with its second."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pyrage
import pytest
from clips_keys import CITY, KIT_KEY, OTHER_KIT_KEY, RECIPIENTS, STRANGER, notary
from clips_store import clip_id, make_store, record_clip
from pyrage import x25519

from agent.clips.boxes import whole_fragments
from agent.clips.manifest import Link, manifest_path, read
from agent.clips.verify import Verdict, verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.clips.manifest import Stretch
    from agent.clips.verify import Kind

CLIPS, SECONDS = 4, 5
PUBLIC = KIT_KEY.public


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("recorded")
    for name in ("sealed", "open"):
        (directory / name).mkdir()
    make_store(directory / "sealed", CLIPS)
    make_store(directory / "open", 2, sealed=False)
    return directory


@pytest.fixture
def clips(recorded: Path, tmp_path: Path) -> Path:
    """A copy of sealed clips, to be spoilt."""
    shutil.copytree(recorded / "sealed", tmp_path / "clips")
    return tmp_path / "clips"


@pytest.fixture
def unsealed(recorded: Path, tmp_path: Path) -> Path:
    """A copy of unsealed clips, to be spoilt."""
    shutil.copytree(recorded / "open", tmp_path / "open")
    return tmp_path / "open"


def sealed(directory: Path, number: int) -> Path:
    return directory / f"{clip_id(number)}.mp4.age"


def kinds(directory: Path, keys: Sequence[x25519.Identity] = ()) -> list[Kind]:
    return [verdict.kind for verdict in verify([directory], PUBLIC, keys)]


def detail(verdict: Verdict) -> str:
    return verdict.detail.en if verdict.detail else ""


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << (at % 8)
    path.write_bytes(bytes(data))


def test_untouched_clips_are_authentic(clips: Path) -> None:
    """Without the city's key the sealed files, with it the plaintext too; nothing is changed by looking."""
    before = {path: path.read_bytes() for path in clips.iterdir()}
    read_bytes: list[int] = []
    names = [clip_id(number) for number in range(1, CLIPS + 1)]
    for keys, full in (((), False), ((STRANGER, CITY), True)):
        found = verify([clips], PUBLIC, keys, progress=read_bytes.append)
        expected = [Verdict(name, clips / f"{name}.mp4.age", "authentic", full=full) for name in names]
        assert expected == found
    assert before == {path: path.read_bytes() for path in clips.iterdir()}
    assert 2 * sum(len(data) for path, data in before.items() if path.suffix == ".age") == sum(read_bytes)


def test_a_single_clip_is_named_by_itself_or_its_manifest(clips: Path) -> None:
    """The second of a chain alone: it is authentic, whatever is elsewhere; twice named, it is one clip."""
    path = sealed(clips, 2)
    for names in ([path], [manifest_path(path)], [path, manifest_path(path), path]):
        assert [("authentic", path)] == [(v.kind, v.path) for v in verify(names, PUBLIC)]


def test_a_strangers_key_is_told(clips: Path) -> None:
    """The seal's hash holds all the same."""
    (verdict,) = verify([sealed(clips, 1)], PUBLIC, [STRANGER])
    assert ("authentic", False, "no key given opens it") == (verdict.kind, verdict.full, detail(verdict))


@pytest.mark.parametrize("keys", [(), (CITY,)], ids=["closed", "opened"])
def test_every_flipped_bit_is_found(clips: Path, keys: tuple[x25519.Identity, ...]) -> None:
    """Header, nonce, chunks, tags, the last byte: altered, and the others stay authentic."""
    chance = random.Random(5)  # noqa: S311 - a test, not a key
    path = sealed(clips, 2)
    data = path.read_bytes()
    places = [0, 30, 60, 200, 320, len(data) - 1, *(chance.randrange(len(data)) for _ in range(20))]
    for at in places:
        flip(path, at)
        assert ["authentic", "altered", "authentic", "authentic"] == kinds(clips, keys), at
        path.write_bytes(data)


def test_a_flipped_bit_is_given_its_second(clips: Path) -> None:
    """With the city's key: age gives everything before the chunk, nothing after; so it is told."""
    path = sealed(clips, 2)
    told = read(manifest_path(path)).manifest
    head = told.file.bytes - told.plain.bytes - 16 * -(-told.plain.bytes // 65536)
    at = 0
    for piece in told.plain.fragments[:5]:
        plain_at = at + piece.bytes // 2
        data = path.read_bytes()
        flip(path, head + plain_at + 16 * (plain_at // 65536))
        (verdict,) = verify([path], PUBLIC, [CITY])
        path.write_bytes(data)
        ((begin, end),) = verdict.seconds
        chunk = plain_at // 65536 * 65536
        expected = max(f.t for f, first in offsets(told.plain.fragments) if first <= chunk)
        assert (expected, told.video.dur) == (begin, end)
        assert f"from {expected:.1f} s on it does not open" == detail(verdict)
        at += piece.bytes


def offsets(fragments: Sequence[Stretch]) -> list[tuple[Stretch, int]]:
    at, found = 0, []
    for piece in fragments:
        found.append((piece, at))
        at += piece.bytes
    return found


def test_in_an_unsealed_clip_each_second_is_told_apart(unsealed: Path) -> None:
    """Every stretch is hashed for itself: those that differ are named, and no other."""
    path = unsealed / f"{clip_id(1)}.mp4"
    with path.open("rb") as file:
        ends = [end for _, end in whole_fragments(file).ends]
    assert ["authentic", "authentic"] == kinds(unsealed)
    flip(path, ends[0] + 500)
    flip(path, ends[2] + 500)
    flip(path, ends[3] + 500)
    (verdict,) = verify([path], PUBLIC)
    assert ("altered", ((1.0, 2.0), (3.0, 5.0)), True) == (verdict.kind, verdict.seconds, verdict.full)


def test_sealed_anew_with_other_pictures(clips: Path) -> None:
    """Anybody may seal to the city: only the kit's signature tells that it is not the kit's recording."""
    path = sealed(clips, 2)
    opened = bytearray(pyrage.decrypt(path.read_bytes(), [CITY]))
    opened[len(opened) * 3 // 4] ^= 1
    path.write_bytes(pyrage.encrypt(bytes(opened), [x25519.Recipient.from_str(text) for text in RECIPIENTS]))
    (closed,) = verify([path], PUBLIC)
    (full,) = verify([path], PUBLIC, [CITY])
    assert ("altered", ()) == (closed.kind, closed.seconds)
    assert ("altered", 1) == (full.kind, len(full.seconds))
    begin, end = full.seconds[0]
    assert 0 < begin < end <= SECONDS


@pytest.mark.parametrize("keys", [(), (CITY,)], ids=["closed", "opened"])
def test_a_shortened_file_is_truncated(clips: Path, keys: tuple[x25519.Identity, ...]) -> None:
    """At every chunk and at random bytes: named, with the second from which on it is missing."""
    chance = random.Random(6)  # noqa: S311 - a test, not a key
    path = sealed(clips, 3)
    data = path.read_bytes()
    for end in (0, 100, 65_536 + 330, *(chance.randrange(len(data)) for _ in range(8)), len(data) - 1):
        path.write_bytes(data[:end])
        verdict = verify([clips], PUBLIC, keys)[2]
        ((begin, last),) = verdict.seconds
        assert ("truncated", 5.0) == (verdict.kind, pytest.approx(last))
        assert begin <= 5.0 * end / len(data) + 0.5
        assert f"{end} of {len(data)} bytes" in detail(verdict)
    path.unlink()
    assert ["authentic", "authentic", "truncated", "authentic"] == kinds(clips, keys)


def test_an_unsealed_file_that_was_shortened(unsealed: Path) -> None:
    """From the second on in which it ends."""
    path = unsealed / f"{clip_id(1)}.mp4"
    with path.open("rb") as file:
        ends = [end for _, end in whole_fragments(file).ends]
    data = path.read_bytes()
    for end, begin in ((ends[2], 3.0), (ends[2] + 10, 3.0), (ends[0] - 1, 0.0)):
        path.write_bytes(data[:end])
        (verdict,) = verify([path], PUBLIC)
        assert ("truncated", ((begin, 5.0),)) == (verdict.kind, verdict.seconds)
    altered = bytearray(data[: ends[2]])
    altered[ends[0] + 500] ^= 1
    path.write_bytes(altered)
    (verdict,) = verify([path], PUBLIC)
    assert ("altered", ((1.0, 2.0), (3.0, 5.0))) == (verdict.kind, verdict.seconds)


def test_something_put_behind_it_is_altered(clips: Path, unsealed: Path) -> None:
    """Bytes that nobody signed, though all that was signed is there."""
    for path in (sealed(clips, 1), unsealed / f"{clip_id(1)}.mp4"):
        with path.open("ab") as file:
            file.write(b"more")
        for keys in ((), (CITY,)):
            assert "altered" == verify([path], PUBLIC, keys)[0].kind


def test_swapped_clips_are_altered(clips: Path) -> None:
    """Files exchanged: their hashes tell. Manifests exchanged with them: the ids tell."""
    one, two = sealed(clips, 1), sealed(clips, 2)
    swap(one, two)
    for keys in ((), (CITY,)):
        found = verify([clips], PUBLIC, keys)
        assert ["altered", "altered", "authentic", "authentic"] == [v.kind for v in found]
        assert [f"it is the file of clip {clip_id(n)}" for n in (2, 1)] == [detail(v) for v in found[:2]]
    swap(manifest_path(one), manifest_path(two))
    found = verify([clips], PUBLIC)
    assert ["altered", "altered", "authentic", "authentic"] == [v.kind for v in found]
    assert f"its manifest is that of {clip_id(2)}" == detail(found[0])


def test_a_shorter_clip_in_its_place_is_altered(clips: Path, tmp_path: Path) -> None:
    """Not truncated: all of it is another's."""
    record_clip(clips, 9, seconds=3)
    record, plain = record_clip(tmp_path, 9, seconds=3)
    notary(clips).attest(record, plain, Link(9, "0" * 64))
    sealed(clips, 1).write_bytes((tmp_path / record.path).read_bytes())
    verdict = verify([clips], PUBLIC)[0]
    assert ("altered", f"it is the file of clip {clip_id(9)}") == (verdict.kind, detail(verdict))


def swap(one: Path, two: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    two.rename(one)
    aside.rename(two)


def test_a_clip_taken_away_is_a_missing_link(clips: Path) -> None:
    """From the middle it shows; at either end only the messages of the platform tell."""
    for path in (sealed(clips, 2), manifest_path(sealed(clips, 2))):
        path.unlink()
    found = verify([clips], PUBLIC, [CITY])
    assert ["authentic", "missing link", "authentic"] == [v.kind for v in found]
    assert "number 2 of the chain is not here" == detail(found[1])
    assert found[1].full
    for number in (1, 4):
        for path in (sealed(clips, number), manifest_path(sealed(clips, number))):
            path.unlink()
    assert ["authentic"] == kinds(clips)


def test_a_clip_put_in_between_is_a_missing_link(clips: Path) -> None:
    """Even with the kit's own key, a stolen one, a second clip of a number cannot be hidden."""
    record, plain = record_clip(clips, 9)
    notary(clips).attest(record, plain, Link(1, "0" * 64))
    found = verify([clips], PUBLIC)
    assert [("authentic", "")] * 2 == [(v.kind, detail(v)) for v in (found[0], found[3])]
    assert {"missing link"} == {v.kind for v in (found[4], found[2])}
    assert f"clip {clip_id(2)} has its number 2 in the chain" == detail(found[4])
    assert f"clip {clip_id(9)} is not the one that it was chained to" == detail(found[2])


def test_a_copy_of_a_clip_is_no_break(clips: Path, tmp_path: Path) -> None:
    """The same evidence found on two sticks."""
    shutil.copytree(clips, tmp_path / "copy")
    found = verify([clips, tmp_path / "copy"], PUBLIC)
    assert ["authentic"] * 2 * CLIPS == [verdict.kind for verdict in found]


def test_a_chain_begins_anew_with_its_stream(clips: Path) -> None:
    """A database that was lost is no missing link."""
    record, plain = record_clip(clips, 9)
    notary(clips, stream="00000001").attest(record, plain, Link())
    assert ["authentic"] * 5 == kinds(clips)


def test_another_kits_clips_are_of_an_unknown_key(clips: Path) -> None:
    """Named with both keys; a manifest that only claims this kit's key was altered."""
    found = verify([clips], OTHER_KIT_KEY.public)
    assert {"unknown key"} == {v.kind for v in found}
    assert PUBLIC.fingerprint in detail(found[0])
    path = manifest_path(sealed(clips, 1))
    told = json.loads(path.read_bytes()) | {"key": OTHER_KIT_KEY.public.fingerprint}
    path.write_text(json.dumps(told))
    assert "altered" == verify([path], OTHER_KIT_KEY.public)[0].kind


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"start": {"boot": "x", "mono": 1.0, "ts": "2020-01-01T00:00:00.000Z", "clk": "ntp"}}, "altered"),
        ({"truncated": True}, "altered"),
        ({"sig": "AAAA"}, "altered"),
        ({"number": 0}, "altered"),
        ({"note": "nothing"}, "altered"),
    ],
)
def test_a_manifest_that_was_changed_is_altered(clips: Path, change: dict[str, object], kind: Kind) -> None:
    """Another time, another flag, another signature, one field more."""
    path = manifest_path(sealed(clips, 1))
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    assert kind == verify([path], PUBLIC)[0].kind


def test_a_clip_without_a_manifest_is_unattested(clips: Path) -> None:
    """It may be real; nothing says so."""
    manifest_path(sealed(clips, 4)).unlink()
    assert ["authentic"] * 3 + ["unattested"] == kinds(clips)


def test_what_cannot_be_read_is_told(clips: Path) -> None:
    """A disk's refusal is no verdict on the clip; the others are looked at."""
    sealed(clips, 1).unlink()
    sealed(clips, 1).mkdir()
    manifest_path(sealed(clips, 2)).unlink()
    manifest_path(sealed(clips, 2)).mkdir()
    found = verify([clips], PUBLIC)
    assert ["unreadable", "unreadable", "missing link", "authentic"] == [verdict.kind for verdict in found]
    assert ["Is a directory", "manifest: Is a directory"] == [detail(verdict) for verdict in found[:2]]
    assert ["це тека", "опис: це тека"] == [v.detail.uk for v in found[:2] if v.detail]


def test_a_clip_that_the_kit_recovered_is_authentic_and_says_so(clips: Path) -> None:
    """Cut by a power loss and signed as such."""
    record, plain = record_clip(clips, 9)
    notary(clips, stream="00000001").attest(replace(record, truncated=True), plain, Link())
    (verdict,) = verify([sealed(clips, 9)], PUBLIC, [CITY])
    assert ("authentic", True) == (verdict.kind, verdict.recovered)
