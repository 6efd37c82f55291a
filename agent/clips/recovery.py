"""After a power cut: files cut to what plays, rubbish removed, the rest told.

`recover` prepares files and changes no row: the caller enters what it returns, with the messages, in one
transaction. Killed at any moment, it does the same again at the next start.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agent.clips import hold, manifest
from agent.clips.cut import cut_plain, cut_sealed
from agent.clips.journal import SEALED_SUFFIX, SUFFIX, OpenClip
from agent.clips.part import PART
from agent.clips.retention import UNKNOWN_BOOT
from agent.clips.sink import refused
from agent.durable import SUFFIX_NEW, sync_directory
from agent.types import ClipRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from agent.clips.cut import Cut
    from agent.clips.fragment import Plaintext

log = logging.getLogger(__name__)

# Only what is named by a ULID is ours.
_ULID = r"[0-9A-HJKMNP-TV-Z]{26}"
_CLIP = re.compile(f"({_ULID})({re.escape(SUFFIX)}|{re.escape(SEALED_SUFFIX)})")
_LASTING = (manifest.SUFFIX, hold.SUFFIX)
"""What lies beside a clip as long as the clip is there."""
_WRITTEN = "|".join(map(re.escape, _LASTING))
_BESIDE = re.compile(f"({_ULID})({re.escape(PART)}|(?:{_WRITTEN})({re.escape(SUFFIX_NEW)})?)")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found about one clip.

    - `kept`: an intent's file plays; `record` is to be entered (`finish_clip`) with a manifest of `plain`,
      and announced.
    - `adopted`: a file that nobody knew plays; the same, and what its manifest or its note tells of it is in
      `record`. Without `plain` its manifest is there already.
    - `removed`: nothing played, the file is gone; drop the intent.
    - `missing`: a row of the index has no file; take it out (`mark_garbage`).
    - `unreadable`: the disk refused, or what is on hold does not play (`problem`); everything stays.
    """

    kind: Literal["kept", "adopted", "removed", "missing", "unreadable"]
    id: str
    path: str
    record: ClipRecord | None = None
    plain: Plaintext | None = None
    problem: str = ""


def recover(
    directory: Path,
    open_clips: Iterable[OpenClip],
    known_paths: Collection[str],
    *,
    in_use: Collection[str] = (),
) -> list[Recovered]:
    """Put `directory` in order. `known_paths` are the index's; `in_use` are ids of clips under way.

    Remove garbage first (`unlink_garbage`), or it comes back as adopted clips.

    Raises:
        StorageError: the directory itself cannot be read or synced.
    """
    intents = {clip.path: clip for clip in open_clips if clip.id not in in_use}
    names = _names(directory)
    files = {name for name in names if (clip := _CLIP.fullmatch(name)) and clip[1] not in in_use}
    found = [
        _settle(directory, name, intents.get(name), there=name in files)
        for name in sorted((files | intents.keys()) - set(known_paths))
    ]
    found += [
        Recovered("missing", _id(name), name)
        for name in sorted(set(known_paths) - files)
        if _id(name) not in in_use
    ]
    path = directory
    try:
        for path in _strays(directory, names, in_use, known_paths, found):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise refused(path, "removed", error) from None
    if names:
        try:
            sync_directory(directory)
        except OSError as error:
            raise refused(directory, "synced", error) from None
    return found


def _names(directory: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(directory)}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise refused(directory, "read", error) from None


def _strays(
    directory: Path,
    names: set[str],
    in_use: Collection[str],
    known_paths: Collection[str],
    found: list[Recovered],
) -> list[Path]:
    """What lies beside no clip any more, was half written, and the notes of clips whose rows are there."""
    known = {_id(name) for name in known_paths}
    open_still = {*in_use, *(each.id for each in found if each.kind not in {"removed", "missing"})}
    strays = []
    for name in sorted(names):
        beside = _BESIDE.fullmatch(name)
        if beside is None or beside[1] in open_still:
            continue
        if beside[1] not in known or beside[2] not in _LASTING:
            strays.append(directory / name)
    return strays


def _id(name: str) -> str:
    return name.partition(".")[0]


def _settle(directory: Path, name: str, intent: OpenClip | None, *, there: bool) -> Recovered:
    clip, path = _id(name), directory / name
    if not there:
        return Recovered("removed", clip, name)
    try:
        if intent is None and (record := _attested(path)) is not None:
            return Recovered("adopted", clip, name, record)
        cut = cut_sealed(path) if name.endswith(SEALED_SUFFIX) else cut_plain(path)
        if cut is None and hold.stands(directory, clip):
            return Recovered("unreadable", clip, name, problem=f"{path}: nothing plays, and it is on hold")
        if cut is None:
            path.unlink()
            return Recovered("removed", clip, name)
    except OSError as error:
        problem = refused(path, "recovered", error)
        log.error("clips: %s", problem)  # noqa: TRY400 - a disk's refusal is told in one line
        return Recovered("unreadable", clip, name, problem=str(problem))
    noted = cut.about if cut.about and (cut.about.id, cut.about.path) == (clip, name) else None
    record = _record(clip, name, intent or noted, cut)
    return Recovered("kept" if intent else "adopted", clip, name, record, cut.plain)


def _attested(path: Path) -> ClipRecord | None:
    """The clip as its manifest tells, where the file was finished and only its row is gone.

    Whose signature it is, and whether the file is still what was signed, `verify` says.
    """
    try:
        signed = manifest.read(manifest.manifest_path(path))
    except (FileNotFoundError, ValueError):
        return None
    told = signed.manifest
    if (told.file.name, told.file.bytes) != (path.name, path.stat().st_size):
        return None
    return ClipRecord(
        id=told.clip,
        path=path.name,
        events=tuple(told.events),
        started=told.start.mono,
        duration=told.video.dur,
        boot=told.start.boot,
        ts=told.start.ts,
        clk=told.start.clk,
        bytes=told.file.bytes,
        sha256=told.file.sha256,
        codec=told.video.codec,
        width=told.video.width,
        height=told.video.height,
        sealed=told.file.sealed,
        part=told.part,
        truncated=told.truncated,
        recipients=tuple(told.file.recipients),
        manifest=signed.digest,
        prev=told.prev or "",
        sig=signed.sig,
    )


def _record(clip: str, name: str, intent: OpenClip | None, cut: Cut) -> ClipRecord:
    known = intent or OpenClip(
        id=clip,
        path=name,
        events=(),
        started=0.0,
        boot=UNKNOWN_BOOT,
        ts=None,
        clk="none",
        codec=cut.codec,
        width=cut.width,
        height=cut.height,
        sealed="age" if name.endswith(SEALED_SUFFIX) else "none",
    )
    return ClipRecord(
        id=known.id,
        path=known.path,
        events=known.events,
        started=known.started,
        duration=cut.duration,
        boot=known.boot,
        ts=known.ts,
        clk=known.clk,
        bytes=cut.bytes,
        sha256=cut.sha256,
        codec=known.codec,
        width=known.width,
        height=known.height,
        sealed=known.sealed,
        part=known.part,
        truncated=cut.truncated,
        recipients=cut.recipients,
    )
