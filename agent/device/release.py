"""A release of the agent as one signed file. What the city's release key did not sign is never looked into.

    stairwell release 1⏎   what it is
    64 bytes               Ed25519 (RFC 8032) over CONTEXT and the manifest
    4 bytes                length of the manifest, big endian
    manifest               JSON (Manifest)
    the rest               what the files hold, one after the other in the manifest's order, as one xz stream

The order of reading is that of trust: the signature with keys that the kit holds, then the manifest, then the
hash of the compressed bytes, and only then the decompressor; each file's hash at last. There are no links,
devices or owners, and one bit of modes, so there is nothing to unpack that could reach out of its directory.
"""

from __future__ import annotations

import base64
import hashlib
import lzma
import os
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from agent.device.identity import PublicKey
from agent.errors import UpdateError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAGIC = b"stairwell release 1\n"
CONTEXT = b"stairwell release manifest v1\n"
"""Stands before what is signed: no other signature of the city's can pass for one of a release."""
SIGNATURE_BYTES = 64
LONGEST_MANIFEST = 8 << 20  # some 150 bytes for each of some thousand files; it is read into memory
CHUNK = 1 << 20
LEVEL = 6  # xz's own: 9 MB of memory to unpack, which a Zero 2 W has
EXECUTABLE, ORDINARY = 0o755, 0o644
ANEW = say("copy the bundle again, or make it anew with scripts/build-bundle")


def _inside(path: str) -> str:
    if "\0" in path or any(part in {"", ".", ".."} for part in path.split("/")):
        raise ValueError("not a plain path below the release")
    return path


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Entry(_Strict):
    """A file of the release."""

    path: Annotated[str, Field(max_length=400), AfterValidator(_inside)]
    size: int = Field(ge=0)
    sha256: Digest
    executable: bool = False


class Manifest(_Strict):
    """What a release is, and everything in it."""

    version: str = Field(pattern=r"^[0-9]{1,4}(\.[0-9]{1,6}){1,3}[a-z0-9.]{0,20}$")
    counter: int = Field(ge=1, lt=2**53)
    """Grows with every release: a kit never goes back below the highest that the platform acknowledged."""
    suite: Literal["bookworm", "trixie"]
    architecture: Literal["amd64", "arm64"]
    python: str = Field(pattern=r"^3\.[0-9]{1,2}$")
    """Of that suite: compiled modules fit no other."""
    payload_size: int = Field(ge=0)
    payload_sha256: Digest
    files: tuple[Entry, ...] = Field(min_length=1)

    @property
    def name(self) -> str:
        """Its directory: a word, for the guard is a shell script."""
        return f"{self.version}-{self.counter}"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)


def read(stream: BinaryIO, name: str, keys: Iterable[str]) -> Manifest:
    """The manifest of a bundle, and with it the stream at the payload's first byte.

    `keys` are those that may sign releases, each 32 bytes in base64.

    Raises:
        UpdateError: it is no bundle, none of the keys signed it, or the manifest makes no sense.
    """
    if stream.read(len(MAGIC)) != MAGIC:
        raise UpdateError(say("{name}: not a release of the stairwell agent", name=name), fix=ANEW)
    signature = stream.read(SIGNATURE_BYTES)
    length = int.from_bytes(stream.read(4))
    text = stream.read(length) if length <= LONGEST_MANIFEST else b""
    if len(signature) != SIGNATURE_BYTES or not text or len(text) != length:
        raise UpdateError(say("{name}: cut off or damaged", name=name), fix=ANEW)
    known = [PublicKey.of(base64.b64decode(key, validate=True)) for key in keys]
    if not any(key.signed(signature, CONTEXT + text) for key in known):
        raise UpdateError(
            say("{name}: signed by no key in update.release_keys ({n})", name=name, n=len(known)),
            fix=say("take a bundle of this city's, or set the key of whoever made it on the kit"),
        )
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UpdateError(
            say(
                "{name}: the manifest is not one of this form ({place}: {why})",
                name=name,
                place=place,
                why=first["msg"],
            ),
            fix=say("install the package that the release asks for first"),
        ) from None


def check_payload(stream: BinaryIO, name: str, manifest: Manifest) -> None:
    """Whether the payload is the signed one; leaves the stream at its first byte.

    Raises:
        UpdateError: it is not.
    """
    start, digest, size = stream.tell(), hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
    if size != manifest.payload_size or digest.hexdigest() != manifest.payload_sha256:
        told = say(
            "{name}: cut off or damaged ({size} of {whole} bytes)",
            name=name,
            size=size,
            whole=manifest.payload_size,
        )
        raise UpdateError(told, fix=ANEW)
    stream.seek(start)


def unpack(stream: BinaryIO, name: str, manifest: Manifest, directory: Path) -> None:
    """Write the files of a payload that was checked into `directory`, which is empty. Nothing is synced.

    Raises:
        UpdateError: the payload holds something else than the manifest says.
        OSError: the disk refused.
    """
    try:
        with lzma.open(stream) as content:
            for entry in manifest.files:
                path = directory / entry.path
                path.parent.mkdir(parents=True, exist_ok=True)
                digest, rest = hashlib.sha256(), entry.size
                with path.open("xb") as file:
                    while chunk := content.read(min(rest, CHUNK)):
                        digest.update(chunk)
                        file.write(chunk)
                        rest -= len(chunk)
                    os.fchmod(file.fileno(), EXECUTABLE if entry.executable else ORDINARY)
                if rest or digest.hexdigest() != entry.sha256:
                    raise UpdateError(
                        say("{name}: {path} is not what was signed", name=name, path=entry.path), fix=ANEW
                    )
            if content.read(1):
                raise UpdateError(say("{name}: holds more than was signed", name=name), fix=ANEW)
    except (EOFError, lzma.LZMAError) as error:
        raise UpdateError(
            say("{name}: cannot be unpacked ({error})", name=name, error=error), fix=ANEW
        ) from None


def first_wrong(directory: Path, manifest: Manifest) -> str | None:
    """The first file that is not what was signed, as the card gives it back; None when all are.

    They are read from the disk where the system lets go of what it has in memory, so after a sync it is
    proved that the card kept them.
    """
    for entry in manifest.files:
        try:
            with (directory / entry.path).open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
                    return entry.path
        except OSError:
            return entry.path
    return None


class Facts(_Strict):
    """What the maker of a release says of it; the rest of the manifest is computed."""

    version: str
    counter: int
    suite: Literal["bookworm", "trixie"]
    architecture: Literal["amd64", "arm64"]
    python: str


def pack(tree: Path, facts: Facts, key: Ed25519PrivateKey, out: Path, level: int = LEVEL) -> Manifest:
    """Make the bundle `out` of the directory `tree`: the same bytes for the same files, facts, key and level.

    Empty directories are left out.

    Raises:
        UpdateError: there is something in the tree that a release cannot have, or the facts make no sense.
        OSError: the disk refused.
    """
    payload, digest, size = out.with_name(out.name + ".payload"), hashlib.sha256(), 0
    paths = sorted(_files(tree), key=lambda path: path.relative_to(tree).as_posix())
    entries = []
    try:
        with payload.open("wb") as packed:
            press = lzma.LZMACompressor(preset=level)
            for path in paths:
                with path.open("rb") as file:
                    whole = hashlib.sha256()
                    while chunk := file.read(CHUNK):
                        whole.update(chunk)
                        packed.write(press.compress(chunk))
                    length, executable = file.tell(), bool(os.fstat(file.fileno()).st_mode & 0o100)
                relative = path.relative_to(tree).as_posix()
                entries.append(
                    {
                        "path": relative,
                        "size": length,
                        "sha256": whole.hexdigest(),
                        "executable": executable,
                    }
                )
            packed.write(press.flush())
        with payload.open("rb") as packed:
            while chunk := packed.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
        try:
            manifest = Manifest.model_validate(
                {
                    **facts.model_dump(),
                    "payload_size": size,
                    "payload_sha256": digest.hexdigest(),
                    "files": tuple(Entry.model_validate(entry) for entry in entries),
                }
            )
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise UpdateError(
                say("{tree}: {place}: {why}", tree=tree, place=place, why=first["msg"]),
                fix=say("give a package of scripts/build-deb"),
            ) from None
        text = manifest.model_dump_json().encode()
        new = out.with_name(out.name + ".new")
        with new.open("wb") as bundle, payload.open("rb") as packed:
            bundle.write(MAGIC + key.sign(CONTEXT + text) + len(text).to_bytes(4) + text)
            while chunk := packed.read(CHUNK):
                bundle.write(chunk)
        new.rename(out)
    finally:
        payload.unlink(missing_ok=True)
    return manifest


def _files(tree: Path) -> Iterator[Path]:
    for path in tree.rglob("*"):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise UpdateError(
                say("{path}: neither a file nor a directory", path=path),
                fix=say("a release has only these two"),
            )
        if path.is_file():
            yield path
