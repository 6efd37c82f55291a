"""Proving the store's invariants on a store that may be in use.

- Every clip of the index has its file, and both are what the kit signed (verify); with the city's key, what
  is in it decodes to as many seconds as the row says.
- Every file has its row. A file is listed before the index is read: what is listed and unknown is a stray.
- With sealing on, no file of the agent's, its database included, holds the head of a picture or video.

Nothing is changed here.
"""

from __future__ import annotations

import io
import os
import re
import stat
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import av
import av.error

from agent.clips import hold, premises, readback, store
from agent.clips.journal import SEALED_SUFFIX
from agent.clips.scan import scan_file
from agent.clips.sink import refused
from agent.clips.unseal import unseal
from agent.clips.verify import verify
from agent.errors import StorageError
from agent.words import joined, say

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from pyrage import x25519

    from agent.clips.journal import OpenClip
    from agent.clips.readback import Outcome
    from agent.clips.store import StoredClip
    from agent.device.identity import PublicKey
    from agent.types import ClipRecord
    from agent.words import Text

DURATION_SLACK_S = 0.2  # the last picture's length is a guess where the source does not tell it
_AGE = b"age-encryption.org/v1\n"
_KEEP = say("keep it for inquiry, and replace the card")
_OURS = re.compile(r"([0-9A-HJKMNP-TV-Z]{26})\.")
Code = Literal[
    "absent",
    "missing",
    "altered",
    "unproven",
    "unplayable",
    "damaged",
    "unreadable",
    "stray",
    "garbage",
    "open",
    "unsealed",
    "hold",
]
_LABELS: dict[Code, Text] = {
    "absent": say("absent"),
    "missing": say("missing"),
    "altered": say("altered"),
    "unproven": say("unproven"),
    "unplayable": say("unplayable"),
    "damaged": say("damaged"),
    "unreadable": say("unreadable"),
    "stray": say("stray"),
    "garbage": say("garbage"),
    "open": say("open"),
    "unsealed": say("unsealed"),
    "hold": say("hold"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. `broken` ones break a promise, the others wait for something.

    `code`: absent (the directory of clips), missing, altered, unproven, unplayable, damaged, unreadable,
    stray, garbage, hold, open, unsealed.
    """

    code: Code
    what: str
    text: Text
    fix: Text
    broken: bool = True

    @property
    def label(self) -> Text:
        """Its code, for people."""
        return _LABELS[self.code]

    def as_dict(self) -> dict[str, Any]:
        """As JSON types, in English."""
        return {
            "code": self.code,
            "what": self.what,
            "text": self.text.en,
            "fix": self.fix.en,
            "broken": self.broken,
        }


@dataclass(frozen=True, slots=True)
class View:
    """The index at one moment."""

    clips: tuple[StoredClip, ...]
    intents: tuple[OpenClip, ...]
    garbage: tuple[str, ...]
    mark: str | None
    readback: dict[str, Outcome]


def view(tx: sqlite3.Connection) -> View:
    """The index now."""
    return View(
        tuple(store.clips(tx)),
        tuple(store.open_clips(tx)),
        tuple(store.garbage(tx)),
        premises.known_mark(tx),
        readback.outcomes(tx),
    )


def check_index(directory: Path, look: Callable[[], View]) -> tuple[View, list[Finding]]:
    """The index against the directory: what is missing, what is too many. `look` reads the index anew.

    Raises:
        StorageError: a disk refuses.
    """
    names = _names(directory)
    seen = look()
    if seen.mark is not None:
        try:
            premises.check_premises(directory, seen.mark)
        except StorageError as error:
            return seen, [Finding("absent", str(directory), *error.words)]
    missing = {row.record.id: row.record for row in seen.clips if not (directory / row.record.path).exists()}
    if missing:
        # What was deleted meanwhile has no row any more.
        missing = {row.record.id: row.record for row in look().clips if row.record.id in missing}
    found = [
        Finding(
            "missing",
            clip.path,
            say("its file has gone"),
            say("`--repair` takes it out of the index, and tells the city"),
        )
        for clip in missing.values()
    ]
    known = {row.record.id for row in seen.clips} | {clip.id for clip in seen.intents}
    going = {_id(name) for name in seen.garbage}
    for name in sorted(names):
        clip = _OURS.match(name)
        if clip is None or clip[1] in known | going or not (directory / name).exists():
            continue
        found.append(
            Finding(
                "stray",
                name,
                say("no row knows this file"),
                say("restart the agent: it adopts or removes it"),
            )
        )
    found += [
        Finding(
            "garbage",
            name,
            say("its deletion is not finished"),
            say("`--repair`, or the agent within a minute"),
            broken=False,
        )
        for name in seen.garbage
    ]
    found += [
        Finding(
            "hold",
            row.record.path,
            say("its hold is in the index alone") if row.held else say("its hold lies beside it alone"),
            say("restart the agent: it holds what one of both does"),
            broken=False,
        )
        for row in seen.clips
        if row.held != hold.stands(directory, row.record.id)
    ]
    return seen, found


def check_clip(
    directory: Path,
    row: StoredClip,
    outcome: Outcome | None,
    public_key: PublicKey,
    keys: Sequence[x25519.Identity],
    progress: Callable[[int], None],
) -> list[Finding]:
    """One clip against its row and its manifest; in full where a key opens it.

    Raises:
        StorageError: the disk refuses.
    """
    clip, path = row.record, directory / row.record.path
    found = []
    if outcome == "mismatch":
        found.append(
            Finding(
                "damaged",
                clip.path,
                say("the card gave back something else than was written"),
                say("replace the card"),
            )
        )
    if path.is_dir():  # a file system that lost its mind
        return [*found, Finding("unreadable", clip.path, say("a directory lies in its place"), _KEEP)]
    [verdict] = verify([path], public_key, keys, progress=progress)
    spans = [say("{begin:.1f} to {end:.1f} s", begin=begin, end=end) for begin, end in verdict.seconds]
    parts = (verdict.label, verdict.detail, joined(", ", spans) if spans else None)
    text = joined("; ", (part for part in parts if part is not None))
    if verdict.kind == "unreadable":
        found.append(Finding("unreadable", clip.path, text, say("replace the card")))
    elif verdict.kind in {"unknown key", "unattested"}:
        fix = say("check it with the public key that the kit had then: `stairwell clips verify --public-key`")
        found.append(Finding("unproven", clip.path, text, fix))
    elif verdict.kind in {"altered", "truncated"}:
        found.append(Finding("altered", clip.path, text, _KEEP))
    elif (problem := _unplayable(path, clip, keys)) is not None:
        found.append(Finding("unplayable", clip.path, problem, say("report it with the clip's manifest")))
    return found


def check_sealing(
    roots: Iterable[Path], *, sealed: bool, progress: Callable[[int], object]
) -> tuple[list[Finding], int]:
    """Open footage below `roots`, and how many bytes were looked at; nothing is sought where none is sealed.

    Raises:
        StorageError: the disk refuses.
    """
    if not sealed:
        text = say("clips are not sealed: a stolen card shows all of them")
        fix = say('set clips.recipients, and remove clips.seal = "none"')
        return [Finding("unsealed", "clips.seal", text, fix, broken=False)], 0
    found, total = [], 0
    for path, size in files(roots):
        total += size
        footage = scan_file(path, progress)
        if footage is not None:
            text = say("{kind} lies open at byte {offset}", kind=footage.kind, offset=footage.offset)
            fix = say("a clip from before sealing: `stairwell clips erase`; anything else: remove it")
            found.append(Finding("open", str(path), text, fix))
        elif path.name.endswith(SEALED_SUFFIX) and size and not _is_age(path):
            found.append(Finding("open", str(path), say("it is no age file"), say("keep it for inquiry")))
    return found, total


def files(roots: Iterable[Path]) -> list[tuple[Path, int]]:
    """Every regular file below `roots` with its length, each once."""
    found: dict[tuple[int, int], tuple[Path, int]] = {}
    for root in roots:
        for folder, _, names in os.walk(root):
            for name in names:
                path = root.joinpath(folder, name)
                state = _lstat(path)
                if state is not None and stat.S_ISREG(state.st_mode):
                    found[state.st_dev, state.st_ino] = (path, state.st_size)
    return sorted(found.values())


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(path, "read", error) from None


def _names(directory: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(directory)}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise refused(directory, "read", error) from None


def _id(name: str) -> str:
    return name.partition(".")[0]


def _is_age(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_AGE)) == _AGE
    except FileNotFoundError:
        return True
    except OSError as error:
        raise refused(path, "read", error) from None


def _unplayable(path: Path, clip: ClipRecord, keys: Sequence[x25519.Identity]) -> Text | None:
    """Why the clip, which nobody altered, does not decode; None when it does, or cannot be opened here."""
    if clip.sealed == "none":
        return _decode(str(path), clip)
    if not keys:
        return None
    out = io.BytesIO()  # in memory: what was sealed must not lie open here either
    try:
        with path.open("rb") as file:
            if unseal(file, out, keys) != "whole":
                return None  # a stranger's key: verify has said what can be said
    except OSError as error:
        raise refused(path, "read", error) from None
    out.seek(0)
    return _decode(out, clip)


def _decode(file: str | io.BytesIO, clip: ClipRecord) -> Text | None:
    try:
        with av.open(file, "r") as container:
            end = 0.0
            for picture in container.decode(video=0):
                base, shown = picture.time_base or Fraction(0), picture.pts or 0
                end = max(end, float((shown + (picture.duration or 0)) * base))
    except (av.error.FFmpegError, IndexError) as error:
        return say("it does not decode ({error})", error=error)
    if abs(end - clip.duration) > DURATION_SLACK_S:
        return say("{end:.1f} s of it decode, {row:.1f} s are in its row", end=end, row=clip.duration)
    return None
