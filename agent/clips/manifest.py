"""The manifest of a clip: what it is, hashed stretch by stretch, chained and signed by the kit.

`<id>.json` beside the clip is RFC 8785 canonical JSON: a Manifest with the signature as `sig`.

- Its digest is the SHA-256 of the canonical JSON without `sig`.
- `sig` is Ed25519 over CONTEXT and the 32 bytes of the digest, base64. Whoever has the digest alone, as the
  clip's message carries it, can check who signed it.
- `prev` is the digest of the manifest before it, `number` one more than its. A chain begins with the outbox's
  `stream`: it begins anew where the database did.

So a clip cannot be altered, swapped, inserted or taken from between two others without it showing; that the
newest ones are missing shows only beside the messages.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, Field

import agent
from agent.clips.part import part_path
from agent.clips.sink import FILE_MODE, refused
from agent.durable import write_whole
from agent.types import ClockState  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from pathlib import Path

    from agent.clips.fragment import Plaintext
    from agent.device.identity import Identity, PublicKey
    from agent.types import ClipRecord

log = logging.getLogger(__name__)

SUFFIX = ".json"
CONTEXT = b"stairwell clip manifest v1\n"
"""Before what is signed: no signature of the kit's for something else can pass for a manifest's."""
MANIFEST_MAX = 4 * 1024 * 1024  # bytes; an hour of fragments makes 400 KB: more is no manifest

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Length = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Moment(_Part):
    """Order by (boot, mono); `ts` is a label, null while the clock was never set."""

    boot: str
    mono: Length
    ts: str | None
    clk: ClockState


class Video(_Part):
    """The pictures."""

    codec: str
    width: Count
    height: Count
    dur: Length


class Stretch(_Part):
    """A fragment of the plaintext: `t` seconds after the first picture, right behind the one before."""

    t: Length
    bytes: Count
    sha256: Sha256


class Plain(_Part):
    """What decrypting the file gives: the fragments, one behind the other."""

    bytes: Count
    fragments: list[Stretch]


class File(_Part):
    """The file as it lies on the card; `recipients` are the ids of the keys that open it."""

    name: str
    bytes: Count
    sha256: Sha256
    sealed: Literal["age", "none"]
    recipients: list[str]


class Model(_Part):
    """The detector that found the events: as messages name it, and the SHA-256 of its file."""

    label: str
    sha256: Sha256


class Manifest(_Part):
    """What the kit says of a clip. Fields that a later version adds are covered by the digest as well."""

    v: Literal[1] = 1
    clip: str
    kit: str
    key: str = Field(description="fingerprint of the key that signs")
    stream: str
    number: Annotated[int, Field(ge=1)]
    prev: Sha256 | None
    events: list[str]
    part: Annotated[int, Field(ge=1)]
    truncated: bool
    start: Moment
    end: Moment
    video: Video
    plain: Plain
    file: File
    model: Model | None
    sw: str


@dataclass(frozen=True, slots=True)
class Link:
    """The end of a chain: how many manifests it has, the digest of the last; 0 and "" before the first."""

    number: int = 0
    head: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """A manifest as it was read: `digest` is what its content hashes to, whatever it claims."""

    manifest: Manifest
    digest: str
    sig: str

    def by(self, key: PublicKey) -> bool:
        """Whether `key` signed it."""
        try:
            signature = base64.b64decode(self.sig, validate=True)
        except binascii.Error:
            return False
        return key.signed(signature, _covered(self.digest))


class Notary:
    """Writes the manifests of one kit's clips. `model` is the detector's, None when there is none."""

    def __init__(
        self, directory: Path, identity: Identity, kit: str, stream: str, model: Model | None
    ) -> None:
        self._directory = directory
        self._identity = identity
        self._kit = kit
        self._stream = stream
        self._model = model

    def attest(self, clip: ClipRecord, plain: Plaintext, last: Link) -> ClipRecord:
        """Put the manifest of `clip` on disk, behind `last` in the chain; the record with what was signed.

        Once more for the same clip, it takes the place of the one before.

        Raises:
            StorageError: the disk refused.
        """
        fields = self._manifest(clip, plain, last).model_dump(mode="json")
        digest = _digest(fields)
        sig = base64.b64encode(self._identity.sign(_covered(digest))).decode()
        path = manifest_path(self._directory / clip.path)
        try:
            write_whole(path, rfc8785.dumps({**fields, "sig": sig}), FILE_MODE)
        except OSError as error:
            raise refused(path, "written", error) from None
        return replace(clip, manifest=digest, prev=last.head, sig=sig)

    def entered(self, clip: ClipRecord) -> None:
        """The clip's row is there: what recovery would have needed is not wanted any more."""
        path = part_path(self._directory / clip.path)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: stays until the next start (%s)", path, error.strerror)

    def _manifest(self, clip: ClipRecord, plain: Plaintext, last: Link) -> Manifest:
        return Manifest(
            clip=clip.id,
            kit=self._kit,
            key=self._identity.public.fingerprint,
            stream=self._stream,
            number=last.number + 1,
            prev=last.head or None,
            events=list(clip.events),
            part=clip.part,
            truncated=clip.truncated,
            start=Moment(boot=clip.boot, mono=round(clip.started, 3), ts=clip.ts, clk=clip.clk),
            end=Moment(
                boot=clip.boot,
                mono=round(clip.started + clip.duration, 3),
                ts=_later(clip.ts, clip.duration),
                clk=clip.clk,
            ),
            video=Video(codec=clip.codec, width=clip.width, height=clip.height, dur=round(clip.duration, 3)),
            plain=Plain(
                bytes=plain.bytes,
                fragments=[Stretch(t=f.t, bytes=f.bytes, sha256=f.sha256) for f in plain.fragments],
            ),
            file=File(
                name=clip.path,
                bytes=clip.bytes,
                sha256=clip.sha256,
                sealed="none" if clip.sealed == "none" else "age",
                recipients=list(clip.recipients),
            ),
            model=self._model,
            sw=agent.__version__,
        )


def manifest_path(clip: Path) -> Path:
    """Where the manifest of the clip in the file `clip` lies."""
    return clip.with_name(clip.name.partition(".")[0] + SUFFIX)


def read(path: Path) -> Signed:
    """The manifest in a file, whoever signed it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no manifest (pydantic's ValidationError is one).
    """
    with path.open("rb") as file:
        data = file.read(MANIFEST_MAX + 1)
    if len(data) > MANIFEST_MAX:
        raise ValueError(f"more than {MANIFEST_MAX} bytes")
    fields = json.loads(data)
    sig = fields.pop("sig", None) if isinstance(fields, dict) else None
    if not isinstance(sig, str):
        raise ValueError("no signed manifest")  # noqa: TRY004 - of the content, not of an argument
    try:
        digest = _digest(fields)
    except rfc8785.CanonicalizationError as error:
        raise ValueError(str(error)) from None
    return Signed(Manifest.model_validate(fields), digest, sig)


def _digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(rfc8785.dumps(fields)).hexdigest()


def _covered(digest: str) -> bytes:
    return CONTEXT + bytes.fromhex(digest)


def _later(ts: str | None, seconds: float) -> str | None:
    """The label so many seconds later, in the same form."""
    if ts is None:
        return None
    moment = datetime.fromisoformat(ts) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
