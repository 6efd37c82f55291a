"""Whether clips are what the kit recorded: each file against its manifest, each manifest against the next.

Without the city's secret key the sealed file is compared as it lies there; with it the plaintext as well,
stretch by stretch, so that a damage is given its second. A copy that was opened (`<id>.mp4` beside its
manifest) is compared with the plaintext that was signed. Nothing is changed and nothing leaves memory.

What cannot be told from a set of files: that the newest clips of a chain were taken away, or the oldest.
The clip messages that the platform keeps tell that: each names its manifest and the one before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from agent.clips import manifest
from agent.clips.agefile import CHUNK, TAG
from agent.clips.journal import SEALED_SUFFIX, SUFFIX
from agent.clips.plaintext import PlaintextCheck
from agent.clips.unseal import unseal
from agent.reasons import reason
from agent.words import given, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from pyrage import x25519

    from agent.clips.manifest import File, Manifest, Plain, Signed
    from agent.device.identity import PublicKey
    from agent.words import Text

Kind = Literal["authentic", "altered", "truncated", "missing link", "unknown key", "unattested", "unreadable"]
"""The worst that is true of a clip.

- authentic: file and manifest are what the key signed.
- altered: file or manifest are not.
- truncated: the file ends before it should.
- missing link: it is authentic, but the clip before it in the chain is not among these, or another one.
- unknown key: another key signed its manifest.
- unattested: it has no manifest.
- unreadable: the disk refuses.
"""
_LABELS: dict[Kind, Text] = {
    "authentic": say("authentic"),
    "altered": say("altered"),
    "truncated": say("truncated"),
    "missing link": say("missing link"),
    "unknown key": say("unknown key"),
    "unattested": say("unattested"),
    "unreadable": say("unreadable"),
}

_BLOCK = 1 << 20  # bytes read at once


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is true of one clip. `seconds` are the stretches (begin, end) that are not what was recorded.

    `full`: the plaintext was compared, too. `recovered`: the kit itself cut it, after a power loss.
    """

    clip: str
    path: Path
    kind: Kind
    detail: Text | None = None
    seconds: tuple[tuple[float, float], ...] = ()
    full: bool = False
    recovered: bool = False
    sha256: str = field(default="", compare=False)
    """Of the file, where it was compared whole."""

    @property
    def label(self) -> Text:
        """Its kind, for people."""
        return _LABELS[self.kind]


def verify(
    paths: Iterable[Path],
    public_key: PublicKey,
    keys: Sequence[x25519.Identity] = (),
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Verdict]:
    """A verdict on each clip of `paths` (clips, manifests, directories of them), in the order of their ids.

    `keys` open sealed clips (`unseal.read_keys`). `progress` is told how many bytes were read just now.

    Raises:
        OSError: a directory cannot be read.
    """
    verdicts: list[Verdict] = []
    chain: list[tuple[Signed, int]] = []
    for clip in sorted(set(_clips(paths)), key=lambda path: path.name):
        verdict, signed = _one(clip, public_key, keys, progress)
        if signed is not None:
            chain.append((signed, len(verdicts)))
        verdicts.append(verdict)
    owners = {signed.manifest.file.sha256: signed.manifest.clip for signed, _ in chain}
    for index, verdict in enumerate(verdicts):
        owner = owners.get(verdict.sha256, verdict.clip)
        if verdict.kind in {"altered", "truncated"} and owner != verdict.clip:
            detail = say("it is the file of clip {clip}", clip=owner)
            verdicts[index] = replace(verdict, kind="altered", detail=detail, seconds=())
    for index, problem in _breaks(chain):
        if verdicts[index].kind == "authentic":
            verdicts[index] = replace(verdicts[index], kind="missing link", detail=problem)
    return verdicts


def size_of(paths: Iterable[Path]) -> int:
    """The bytes that `verify` will read of these, as long as nothing changes.

    Raises:
        OSError: a directory cannot be read.
    """
    return sum(clip.stat().st_size for clip in set(_clips(paths)) if clip.exists())


def _clips(paths: Iterable[Path]) -> Iterator[Path]:
    """The clip files, there or not, that the paths mean."""
    for path in paths:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if file.name.endswith((SUFFIX, SEALED_SUFFIX)):
                yield file
            elif file.name.endswith(manifest.SUFFIX):
                stem = file.name.removesuffix(manifest.SUFFIX)
                sealed, plain = file.with_name(stem + SEALED_SUFFIX), file.with_name(stem + SUFFIX)
                yield plain if plain.exists() and not sealed.exists() else sealed


def _one(
    clip: Path, public_key: PublicKey, keys: Sequence[x25519.Identity], progress: Callable[[int], None]
) -> tuple[Verdict, Signed | None]:
    """The verdict on a clip by itself, and its manifest if the key signed it."""
    name = clip.name.partition(".")[0]
    kind, detail, signed = _attested(clip, public_key)
    if signed is None:
        return Verdict(name, clip, kind, detail), None
    told = signed.manifest
    if told.clip != name or clip.name not in {told.file.name, name + SUFFIX}:
        detail = say("its manifest is that of {clip}", clip=told.clip)
        return Verdict(name, clip, "altered", detail), signed
    try:
        verdict = _file(clip, told, keys, progress)
    except FileNotFoundError:
        verdict = Verdict(name, clip, "truncated", say("its file is gone"), ((0.0, told.video.dur),))
    except OSError as error:
        verdict = Verdict(name, clip, "unreadable", _refusal(error))
    return replace(verdict, recovered=told.truncated), signed


def _attested(clip: Path, public_key: PublicKey) -> tuple[Kind, Text | None, Signed | None]:
    """The manifest beside a clip if the key signed it; else what is wrong with it."""
    try:
        signed = manifest.read(manifest.manifest_path(clip))
    except FileNotFoundError:
        return "unattested", say("there is no manifest beside it"), None
    except OSError as error:
        return "unreadable", say("manifest: {reason}", reason=_refusal(error)), None
    except ValueError:
        return "altered", say("its manifest is damaged"), None
    if signed.by(public_key):
        return "authentic", None, signed
    if signed.manifest.key != public_key.fingerprint:
        detail = say(
            "signed by {signer}, not by {key}", signer=signed.manifest.key, key=public_key.fingerprint
        )
        return "unknown key", detail, None
    return "altered", say("its manifest is not what was signed"), None


def _refusal(error: OSError) -> Text:
    """Why the disk refuses; in English as the system says it."""
    return given(str(error.strerror), reason(error).uk)


def _file(
    clip: Path, told: Manifest, keys: Sequence[x25519.Identity], progress: Callable[[int], None]
) -> Verdict:
    """The file against its manifest."""
    opened_copy = clip.name != told.file.name
    is_open = opened_copy or told.file.sealed == "none"
    wanted: Plain | File = told.plain if opened_copy else told.file
    digest, size = hashlib.sha256(), 0
    plain, opened = PlaintextCheck(told), None
    with clip.open("rb") as file:
        while block := file.read(_BLOCK):
            if not opened_copy:
                digest.update(block)
            if is_open:
                plain.write(block)
            size += len(block)
            progress(len(block))
        if is_open:
            opened = "whole"
        elif keys:
            file.seek(0)
            opened = unseal(file, plain, keys)
    full = opened in {"whole", "broken"}
    ends = plain.bytes if full else _plain_bytes(told, size)
    seconds = plain.altered(ends) if full else ()
    sha256 = "" if opened_copy else digest.hexdigest()
    sound = not seconds if opened_copy else (size, sha256) == (told.file.bytes, told.file.sha256)
    note = say("no key given opens it") if opened == "foreign" else None
    if sound and not seconds:
        return Verdict(told.clip, clip, "authentic", note, full=full)
    if size < wanted.bytes and (not seconds or seconds[0][0] >= plain.at(ends)):
        lost = ((plain.at(ends), told.video.dur),)
        short = say("{size} of {whole} bytes are there", size=size, whole=wanted.bytes)
        return Verdict(told.clip, clip, "truncated", short, lost, full, sha256=sha256)
    detail = note or (None if seconds else say("the file is another than was signed"))
    if opened == "broken":
        detail = say("from {second:.1f} s on it does not open", second=plain.at(ends))
    return Verdict(told.clip, clip, "altered", detail, seconds, full, sha256=sha256)


def _plain_bytes(told: Manifest, size: int) -> int:
    """Bytes of plaintext that can lie in the first `size` bytes of the sealed file, in whole chunks."""
    chunks = max(1, -(-told.plain.bytes // CHUNK))
    head = told.file.bytes - told.plain.bytes - chunks * TAG
    return max(0, size - head) // (CHUNK + TAG) * CHUNK


def _breaks(chain: list[tuple[Signed, int]]) -> Iterator[tuple[int, Text]]:
    """Where a chain is not whole: (index of the verdict, what is wrong with the link before it)."""
    ordered = sorted(chain, key=lambda link: (link[0].manifest.stream, link[0].manifest.number))
    before: Manifest | None = None
    digest = ""
    for signed, index in ordered:
        told = signed.manifest
        if before is None or before.stream != told.stream:
            pass
        elif told.number == before.number and signed.digest == digest:
            pass  # a copy of the same clip
        elif told.number == before.number:
            yield index, say("clip {clip} has its number {n} in the chain", clip=before.clip, n=told.number)
        elif told.number > before.number + 1:
            first, last = before.number + 1, told.number - 1
            if first == last:
                yield index, say("number {n} of the chain is not here", n=first)
            else:
                missing = say("numbers {first} to {last} of the chain are not here", first=first, last=last)
                yield index, missing
        elif told.prev != digest:
            yield index, say("clip {clip} is not the one that it was chained to", clip=before.clip)
        before, digest = told, signed.digest
