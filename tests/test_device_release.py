"""A release as one signed file: what was signed is unpacked, and nothing else is looked into."""

from __future__ import annotations

import hashlib
import io
import lzma
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.device import release
from agent.device.identity import PublicKey
from agent.device.release import CONTEXT, MAGIC, Facts, Manifest
from agent.errors import UpdateError

if TYPE_CHECKING:
    from pathlib import Path

KEY = Ed25519PrivateKey.from_private_bytes(b"releases of the city, a test key")
PUBLIC = PublicKey(KEY.public_key()).text
FACTS = Facts(version="1.2.0", counter=7, suite="bookworm", architecture="amd64", python="3.11")
HEAD = len(MAGIC) + release.SIGNATURE_BYTES + 4


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for name, text in (("agent/__init__.py", "x = 1\n"), ("empty", ""), ("run", "#!/bin/sh\n"), ("z/a", "é")):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8")
    (tree / "run").chmod(0o755)
    return tree


@pytest.fixture
def bundle(tree: Path) -> Path:
    out = tree.parent / "release"
    release.pack(tree, FACTS, KEY, out)
    return out


def signed(text: bytes, payload: bytes = b"") -> bytes:
    """A bundle with that manifest, signed as it is."""
    return MAGIC + KEY.sign(CONTEXT + text) + len(text).to_bytes(4) + text + payload


def taken(content: bytes, directory: Path, *keys: str) -> Manifest:
    """Read a bundle whole, as an update does."""
    stream = io.BytesIO(content)
    manifest = release.read(stream, "it", keys or (PUBLIC,))
    release.check_payload(stream, "it", manifest)
    directory.mkdir()
    release.unpack(stream, "it", manifest, directory)
    return manifest


def test_what_was_packed_comes_out(bundle: Path, tree: Path, tmp_path: Path) -> None:
    """Every file with its bytes and whether it may be run; facts and name as they were given."""
    manifest = taken(bundle.read_bytes(), tmp_path / "out")
    assert "1.2.0-7" == manifest.name
    assert ["agent/__init__.py", "empty", "run", "z/a"] == [entry.path for entry in manifest.files]
    for entry in manifest.files:
        was, now = tree / entry.path, tmp_path / "out" / entry.path
        assert was.read_bytes() == now.read_bytes()
        assert (0o755 if entry.path == "run" else 0o644) == now.stat().st_mode & 0o777
    assert release.first_wrong(tmp_path / "out", manifest) is None


def test_the_same_bytes_twice(bundle: Path, tree: Path, tmp_path: Path) -> None:
    """Whoever has the key and the files makes the same bundle, and nothing is left beside it."""
    (tree / "run").touch()
    release.pack(tree, FACTS, KEY, tmp_path / "again")
    assert bundle.read_bytes() == (tmp_path / "again").read_bytes()
    assert {"tree", "release", "again"} == {path.name for path in tmp_path.iterdir()}


def test_every_byte_counts(bundle: Path, tmp_path: Path) -> None:
    """One bit anywhere, one byte more or less, and it is not taken, and nothing is unpacked."""
    whole = bundle.read_bytes()
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        with pytest.raises(UpdateError):
            taken(bytes(flipped), tmp_path / "never")
        with pytest.raises(UpdateError):
            taken(whole[:place], tmp_path / "never")
    with pytest.raises(UpdateError, match="cut off or damaged"):
        taken(whole + b"\0", tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_whose_keys_count(bundle: Path, tmp_path: Path) -> None:
    """Any of the keys of the configuration, and no other; without one nothing is taken."""
    other = PublicKey(Ed25519PrivateKey.generate().public_key()).text
    taken(bundle.read_bytes(), tmp_path / "out", other, PUBLIC)
    with pytest.raises(UpdateError, match=r"update\.release_keys \(1\)"):
        taken(bundle.read_bytes(), tmp_path / "never", other)
    with pytest.raises(UpdateError, match=r"update\.release_keys \(0\)"):
        release.read(io.BytesIO(bundle.read_bytes()), "it", ())


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "", "a\\u0000b"])
def test_no_way_out(bundle: Path, path: str) -> None:
    """Not even the key's owner can have a file written outside of the release's directory."""
    whole = bundle.read_bytes()
    length = int.from_bytes(whole[HEAD - 4 : HEAD])
    text = whole[HEAD : HEAD + length].replace(b'"empty"', f'"{path}"'.encode())
    with pytest.raises(UpdateError, match=r"files\.1\.path"):
        release.read(io.BytesIO(signed(text)), "it", (PUBLIC,))


@pytest.mark.parametrize("version", ["1", "1.2 3", "../1.2", "1.2/3", "1.2-3", "v1.2", "1.2\\n"])
def test_a_version_is_a_word(bundle: Path, version: str) -> None:
    """It becomes a directory's name, and a word of the guard's."""
    whole = bundle.read_bytes()
    length = int.from_bytes(whole[HEAD - 4 : HEAD])
    text = whole[HEAD : HEAD + length].replace(b'"1.2.0"', f'"{version}"'.encode())
    with pytest.raises(UpdateError, match="version"):
        release.read(io.BytesIO(signed(text)), "it", (PUBLIC,))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x = 1\n" + b"#!/bin/sh\n" + "é".encode() + b"more", "holds more than was signed"),
        (b"x = 1\n" + b"#!/bin/sh\n", "z/a is not what was signed"),
        (b"x = 2\n" + b"#!/bin/sh\n" + "é".encode(), "agent/__init__.py is not what was signed"),
        (None, "Input format not supported"),
    ],
)
def test_a_maker_that_errs(bundle: Path, tmp_path: Path, content: bytes | None, message: str) -> None:
    """A payload that its own manifest does not describe is refused, although it is signed."""
    payload = b"no xz at all" if content is None else lzma.compress(content)
    with bundle.open("rb") as stream:
        was = release.read(stream, "it", (PUBLIC,))
    changed = {"payload_size": len(payload), "payload_sha256": hashlib.sha256(payload).hexdigest()}
    text = was.model_copy(update=changed).model_dump_json().encode()
    with pytest.raises(UpdateError, match=message):
        taken(signed(text, payload), tmp_path / "out")


def test_what_a_release_cannot_have(tree: Path, tmp_path: Path) -> None:
    """A link in the tree, or facts that make no sense, end the making; no bundle is left."""
    (tree / "link").symlink_to("/etc/passwd")
    with pytest.raises(UpdateError, match="link: neither a file nor a directory"):
        release.pack(tree, FACTS, KEY, tmp_path / "never")
    (tree / "link").unlink()
    with pytest.raises(UpdateError, match="counter"):
        release.pack(tree, FACTS.model_copy(update={"counter": 0}), KEY, tmp_path / "never")
    assert {"tree"} == {path.name for path in tmp_path.iterdir()}


def test_a_card_that_forgets(bundle: Path, tmp_path: Path) -> None:
    """What was altered or lost after it was written is found by name."""
    manifest = taken(bundle.read_bytes(), tmp_path / "out")
    (tmp_path / "out/z/a").write_text("e", encoding="utf-8")
    assert "z/a" == release.first_wrong(tmp_path / "out", manifest)
    (tmp_path / "out/empty").unlink()
    assert "empty" == release.first_wrong(tmp_path / "out", manifest)
