"""Which clips must go: by age, by bytes, by free space, whichever bites first. Pure.

The age of a clip is the greatest that can be proved, never more: a kit without a clock battery must not
throw evidence away because of a wrong label. Each boot is given an age of its beginning:

- this boot's is the monotonic clock, exactly;
- an earlier boot began before the next one did, by at least the last moment that a clip of it shows;
- or as long ago as the label of one of its clips says, if that clip knew the time (`clk` ntp or rtc; a clock
  that was only saved over a power cut runs late, and would make its clips older than they are) and the kit
  knows it now.

A clip is as old as its boot's beginning less the time from there to its last picture. So ages fall in the
order of recording, and a clip without a clock is at least as old as any recorded after its boot. One whose
boot is unknown (adopted from a file without an intent) was there before this boot.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.clips.store import StoredClip
from agent.types import ClipRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agent.clips.journal import OpenClip
    from agent.config import Clips
    from agent.device.clock import Stamp

MEGABYTE = 1_000_000  # as cards are sold, and as the configuration counts
UNKNOWN_BOOT = ""
_TRUSTED = ("ntp", "rtc")


def plan_retention(
    rows: Sequence[StoredClip],
    *,
    now: Stamp,
    free_bytes: int,
    settings: Clips,
    in_use: Collection[str] = (),
    wanted_bytes: int = 0,
) -> list[ClipRecord]:
    """The clips to delete, in this order. `rows` are in the order of the index, `in_use` are ids.

    `wanted_bytes` is what must be free beyond the settings' reserve: a write just failed for want of it.

    Age takes every clip that is past it, announced or not: that is the law's limit. For space the oldest
    go first, and those not yet announced only when no announced one is left. Held clips and those in use
    never go; held ones do not count for `max_mb` either, or each new clip would have to go for their sake.
    """
    ages = clip_ages(rows, now)
    loose = sorted(
        (row for row in rows if not row.held and row.record.id not in in_use),
        key=lambda row: (not row.announced, -ages[row.record.id], row.seq),
    )
    limit = settings.retention_h * 3600
    plan = [row for row in loose if ages[row.record.id] > limit]
    gone = sum(row.record.bytes for row in plan)
    total = sum(row.record.bytes for row in rows if not row.held)
    reserve = max(settings.reserve_mb * MEGABYTE, wanted_bytes)
    for row in (row for row in loose if ages[row.record.id] <= limit):
        crowded = total - gone > settings.max_mb * MEGABYTE
        if not crowded and free_bytes + gone >= reserve:
            break
        plan.append(row)
        gone += row.record.bytes
    return [row.record for row in plan]


def clip_ages(rows: Sequence[StoredClip], now: Stamp) -> dict[str, float]:
    """Seconds since each clip's last picture, by id: the greatest number that can be proved."""
    boots: dict[str, list[ClipRecord]] = {}
    for row in rows:
        boots.setdefault(row.record.boot, []).append(row.record)
    ages = _within(boots.pop(now.boot, []), now.mono)
    began = now.mono
    for boot, clips in reversed(boots.items()):
        if boot == UNKNOWN_BOOT:
            ages |= dict.fromkeys((clip.id for clip in clips), began)
            continue
        began += max(clip.started + clip.duration for clip in clips)
        began = max([began, *(_labelled(clip, now) for clip in clips)])
        ages |= _within(clips, began)
    return ages


def overdue(
    files: Mapping[str, OpenClip | None], rows: Sequence[StoredClip], *, now: Stamp, settings: Clips
) -> list[str]:
    """Which of the `files`, by the ids of clips that cannot be read, are past the limit for clips.

    Of some the intent is known; their age counts from the first picture.
    """
    records = [_barely(clip, intent) for clip, intent in files.items()]
    last = max((row.seq for row in rows), default=0)
    ages = clip_ages([*rows, *(StoredClip(last + 1, record) for record in records)], now)
    return [clip for clip in files if ages[clip] > settings.retention_h * 3600]


def _barely(clip: str, intent: OpenClip | None) -> ClipRecord:
    """As much of a record as an age needs."""
    return ClipRecord(
        id=clip,
        path="",
        events=(),
        started=intent.started if intent else 0.0,
        duration=0.0,
        boot=intent.boot if intent else UNKNOWN_BOOT,
        ts=intent.ts if intent else None,
        clk=intent.clk if intent else "none",
        bytes=0,
        sha256="",
        codec="",
        width=0,
        height=0,
        sealed="",
    )


def _within(clips: Sequence[ClipRecord], began: float) -> dict[str, float]:
    return {clip.id: max(0.0, began - clip.started - clip.duration) for clip in clips}


def _labelled(clip: ClipRecord, now: Stamp) -> float:
    """Seconds since the beginning of the clip's boot as its label tells, 0 when it tells nothing."""
    if clip.ts is None or now.ts is None or clip.clk not in _TRUSTED:
        return 0.0
    return (_utc(now.ts) - _utc(clip.ts)).total_seconds() + clip.started


def _utc(ts: str) -> datetime:
    return datetime.fromisoformat(ts).astimezone(UTC)
