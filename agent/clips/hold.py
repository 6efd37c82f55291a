"""The hold of a clip: `<id>.hold` beside it, for as long as neither age nor a full disk may delete it.

The index knows it as well. But an index that is damaged begins anew, and evidence must outlive it: so the
file is there before the row says held, and until the row says so no more. That it is there is what counts;
who asked, why and when is in it as JSON, for people.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from agent.clips.sink import FILE_MODE, refused
from agent.durable import sync_directory, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.device.clock import Stamp

SUFFIX = ".hold"


def hold_path(clip: Path) -> Path:
    """Where the hold of the clip in the file `clip` lies."""
    return clip.with_name(clip.name.partition(".")[0] + SUFFIX)


def stands(directory: Path, clip: str) -> bool:
    """Whether a hold lies beside the clip of this id."""
    return os.path.lexists(directory / f"{clip}{SUFFIX}")


def put(directory: Path, clip: str, by: str, why: str, now: Stamp) -> bool:
    """Put a hold beside the clip of this id, on disk when this returns; False if one is there already.

    Raises:
        StorageError: the disk refused.
    """
    if stands(directory, clip):
        return False
    told = {"v": 1, "clip": clip, "by": by, "why": why, "held": asdict(now)}
    path = directory / f"{clip}{SUFFIX}"
    try:
        write_whole(path, json.dumps(told, ensure_ascii=False).encode() + b"\n", FILE_MODE)
    except OSError as error:
        raise refused(path, "written", error) from None
    return True


def remove(directory: Path, clips: Iterable[str]) -> None:
    """Take the holds of the clips of these ids away; one that has gone is well.

    Raises:
        StorageError: the disk refused.
    """
    path = directory
    try:
        for clip in clips:
            path = directory / f"{clip}{SUFFIX}"
            path.unlink(missing_ok=True)
        sync_directory(directory)
    except OSError as error:
        raise refused(path, "removed", error) from None
