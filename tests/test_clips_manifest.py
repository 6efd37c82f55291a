"""The manifest: true of the clip, the same bytes for the same facts, checked by others' means."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785
from clips_footage import hashed, small_disk
from clips_keys import KEY_IDS, KIT, KIT_KEY, OTHER_KIT_KEY, STREAM, age, notary
from clips_store import clip_id, make_store, record_clip
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import agent
from agent.clips import manifest
from agent.clips.fragment import Fragment, Plaintext
from agent.clips.manifest import Link, manifest_path, read
from agent.clips.part import part_path
from agent.errors import StorageError
from agent.types import ClipRecord

if TYPE_CHECKING:
    from pathlib import Path

RECORD = ClipRecord(
    id="01KAMZ7A0000000000000000AA",
    path="01KAMZ7A0000000000000000AA.mp4.age",
    events=("01KAMZ6T3QW8E2R5T7Y9V1J3P5",),
    started=61.4004,
    duration=2.0999,
    boot="3b0f6c1e",
    ts="2026-11-22T23:59:58.500Z",
    clk="ntp",
    bytes=1600,
    sha256="ab" * 32,
    codec="h264",
    width=640,
    height=480,
    sealed="age",
    part=2,
    recipients=("0b7e53d09c0fb75f",),
)
PLAIN = Plaintext(1000, (Fragment(0.0, 600, "ef" * 32), Fragment(1.0, 400, "01" * 32)))
BEFORE = Link(7, "23" * 32)


def fields(directory: Path) -> dict[str, Any]:
    signed = notary(directory).attest(RECORD, PLAIN, BEFORE)
    told: dict[str, Any] = json.loads((directory / f"{signed.id}.json").read_bytes())
    return told


def test_says_all_that_is_known(tmp_path: Path) -> None:
    """Every fact of the clip, in the words of the contract; times to the millisecond, midnight and all."""
    told = fields(tmp_path)
    del told["sig"]
    assert {
        "v": 1,
        "clip": RECORD.id,
        "kit": KIT,
        "key": KIT_KEY.public.fingerprint,
        "stream": STREAM,
        "number": 8,
        "prev": BEFORE.head,
        "events": list(RECORD.events),
        "part": 2,
        "truncated": False,
        "start": {"boot": "3b0f6c1e", "mono": 61.4, "ts": "2026-11-22T23:59:58.500Z", "clk": "ntp"},
        "end": {"boot": "3b0f6c1e", "mono": 63.5, "ts": "2026-11-23T00:00:00.599Z", "clk": "ntp"},
        "video": {"codec": "h264", "width": 640, "height": 480, "dur": 2.1},
        "plain": {
            "bytes": 1000,
            "fragments": [
                {"t": 0.0, "bytes": 600, "sha256": "ef" * 32},
                {"t": 1.0, "bytes": 400, "sha256": "01" * 32},
            ],
        },
        "file": {
            "name": RECORD.path,
            "bytes": 1600,
            "sha256": "ab" * 32,
            "sealed": "age",
            "recipients": ["0b7e53d09c0fb75f"],
        },
        "model": {"label": "ssdlite@12345678", "sha256": "12345678" * 8},
        "sw": agent.__version__,
    } == told


def test_anybody_can_check_it_with_usual_tools(tmp_path: Path) -> None:
    """Canonical JSON, SHA-256 and Ed25519 are all it takes; the record carries what the message says."""
    signed = notary(tmp_path).attest(RECORD, PLAIN, BEFORE)
    data = manifest_path(tmp_path / RECORD.path).read_bytes()
    told = json.loads(data)
    assert rfc8785.dumps(told) == data
    assert signed.sig == told.pop("sig")
    digest = hashlib.sha256(rfc8785.dumps(told))
    assert (signed.manifest, signed.prev) == (digest.hexdigest(), BEFORE.head)
    key = Ed25519PublicKey.from_public_bytes(KIT_KEY.public.raw)
    key.verify(base64.b64decode(signed.sig), b"stairwell clip manifest v1\n" + digest.digest())


def test_the_first_has_none_before_it(tmp_path: Path) -> None:
    """A clock that was never set is told as well: both labels are null."""
    signed = notary(tmp_path).attest(replace(RECORD, ts=None, clk="none"), PLAIN, Link())
    told = read(manifest_path(tmp_path / RECORD.path)).manifest
    assert (1, None, "") == (told.number, told.prev, signed.prev)
    assert (None, None, "none") == (told.start.ts, told.end.ts, told.end.clk)


def test_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Digest, signature and content; only the kit's key signed it."""
    signed = notary(tmp_path).attest(RECORD, PLAIN, BEFORE)
    found = read(manifest_path(tmp_path / RECORD.path))
    assert (signed.manifest, signed.sig) == (found.digest, found.sig)
    assert found.by(KIT_KEY.public)
    assert not found.by(OTHER_KIT_KEY.public)
    assert not replace(found, sig="no base64").by(KIT_KEY.public)


def test_spaces_and_order_mean_nothing(tmp_path: Path) -> None:
    """A manifest that was printed nicely is still what was signed; one more field is not."""
    told = fields(tmp_path)
    path = tmp_path / "other.json"
    path.write_text(json.dumps(dict(reversed(told.items())), indent=4))
    assert read(path).by(KIT_KEY.public)
    path.write_text(json.dumps({**told, "held": True}))
    assert not read(path).by(KIT_KEY.public)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"sig": 1}',
        b'{"sig": "x"}',
        b"\xff",
        b'{"sig": "x", "number": 1e999}',
        b'{"sig": "x", "number": 99999999999999999999}',
    ],
)
def test_what_is_no_manifest_is_told(tmp_path: Path, data: bytes) -> None:
    """Whatever lies there."""
    path = tmp_path / "a.json"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r".") as caught:
        read(path)
    assert not isinstance(caught.value, OSError)


def test_what_is_too_long_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card from elsewhere must not fill the memory of whoever checks it."""
    fields(tmp_path)
    monkeypatch.setattr(manifest, "MANIFEST_MAX", 500)
    with pytest.raises(ValueError, match="more than 500 bytes"):
        read(manifest_path(tmp_path / RECORD.path))


@pytest.mark.parametrize("sealed", [True, False])
def test_is_true_of_a_real_clip(tmp_path: Path, sealed: bool) -> None:
    """File and plaintext hash to what it says, stretch by stretch."""
    (record,) = make_store(tmp_path, 1, sealed=sealed)
    path = tmp_path / record.path
    told = read(manifest_path(path)).manifest
    data = path.read_bytes()
    opened = age(path) if sealed else data
    assert (len(data), hashlib.sha256(data).hexdigest()) == (told.file.bytes, told.file.sha256)
    pieces = tuple(Fragment(piece.t, piece.bytes, piece.sha256) for piece in told.plain.fragments)
    assert Plaintext(told.plain.bytes, pieces) == hashed(opened, Plaintext(0, pieces))
    assert (list(KEY_IDS) if sealed else []) == told.file.recipients
    assert [0.0, 1.0, 2.0, 3.0, 4.0] == sorted({piece.t for piece in told.plain.fragments})


def test_the_note_goes_once_the_row_is_there(tmp_path: Path) -> None:
    """And a second time there is nothing to do."""
    record, _ = record_clip(tmp_path, 1)
    note = part_path(tmp_path / record.path)
    assert note.exists()
    notary(tmp_path).entered(record)
    notary(tmp_path).entered(record)
    assert not note.exists()


def test_a_note_that_cannot_go_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The row is there: the next start removes the note."""
    (tmp_path / f"{clip_id(1)}.part").mkdir()
    notary(tmp_path).entered(replace(RECORD, path=f"{clip_id(1)}.mp4.age"))
    assert "stays until the next start" in caplog.text


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """No half of a manifest is left."""
    with small_disk(tmp_path / "disk", 8) as disk:
        (disk / "filler").write_bytes(bytes(4096))
        with pytest.raises(StorageError, match=r"AA\.json: cannot be (written|created).*free space"):
            notary(disk).attest(RECORD, replace(PLAIN, fragments=PLAIN.fragments * 100), BEFORE)
        assert ["filler"] == [path.name for path in disk.iterdir()]
