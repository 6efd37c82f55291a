"""After a power cut: files cut to what plays, rubbish removed, the rest told.

`recover` prepares files and changes no row: the caller enters what it returns, with the messages, in one
transaction. Killed at any moment, it does the same again at the next start.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

from agent.clips.boxes import whole_fragments
from agent.clips.journal import SUFFIX, OpenClip
from agent.clips.retention import UNKNOWN_BOOT
from agent.clips.sink import refused, sync_directory
from agent.types import ClipRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

_NAME = re.compile(r"([0-9A-HJKMNP-TV-Z]{26})" + re.escape(SUFFIX))  # a ULID; other files are not ours
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found about one clip.

    - `kept`: an intent's file plays; `record` is to be entered (`finish_clip`) and announced.
    - `adopted`: a file that nobody knew plays; the same.
    - `removed`: nothing played, the file is gone; drop the intent.
    - `missing`: a row of the index has no file; take it out (`mark_garbage`).
    - `unreadable`: the disk refused, `problem` says how; everything stays for the next start.
    """

    kind: Literal["kept", "adopted", "removed", "missing", "unreadable"]
    id: str
    path: str
    record: ClipRecord | None = None
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
    try:
        files = {entry.name for entry in os.scandir(directory) if _NAME.fullmatch(entry.name)}
    except FileNotFoundError:
        files = set()
    except OSError as error:
        raise refused(directory, "read", error) from None
    using = {name + SUFFIX for name in in_use}
    found = [
        _settle(directory, name, intents.get(name), there=name in files)
        for name in sorted((files | intents.keys()) - set(known_paths) - using)
    ]
    found += [
        Recovered("missing", name.removesuffix(SUFFIX), name) for name in sorted(set(known_paths) - files)
    ]
    if files:
        try:
            sync_directory(directory)
        except OSError as error:
            raise refused(directory, "synced", error) from None
    return found


def _settle(directory: Path, name: str, intent: OpenClip | None, *, there: bool) -> Recovered:
    clip, path = name.removesuffix(SUFFIX), directory / name
    if not there:
        return Recovered("removed", clip, name)
    try:
        with path.open("r+b", buffering=1 << 16) as file:
            record = _cut(file, clip, name, intent)
        if record is None:
            path.unlink()
            return Recovered("removed", clip, name)
    except OSError as error:
        problem = refused(path, "recovered", error)
        log.error("clips: %s", problem)  # noqa: TRY400 - a disk's refusal is told in one line
        return Recovered("unreadable", clip, name, problem=str(problem))
    return Recovered("kept" if intent else "adopted", clip, name, record)


def _cut(file: BinaryIO, clip: str, name: str, intent: OpenClip | None) -> ClipRecord | None:
    """Cut the file to its whole fragments and describe it; None when there are none."""
    extent = whole_fragments(file)
    if not extent.fragments:
        return None
    file.truncate(extent.bytes)
    file.flush()
    os.fsync(file.fileno())
    file.seek(0)
    sha256 = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        sha256.update(chunk)
    known = intent or OpenClip(
        id=clip,
        path=name,
        events=(),
        started=0.0,
        boot=UNKNOWN_BOOT,
        ts=None,
        clk="none",
        codec=extent.codec,
        width=extent.width,
        height=extent.height,
        sealed="none",
    )
    return ClipRecord(
        id=known.id,
        path=known.path,
        events=known.events,
        started=known.started,
        duration=extent.duration,
        boot=known.boot,
        ts=known.ts,
        clk=known.clk,
        bytes=extent.bytes,
        sha256=sha256.hexdigest(),
        codec=known.codec,
        width=known.width,
        height=known.height,
        sealed=known.sealed,
        part=known.part,
        truncated=True,
    )
