"""Checks of what the kit keeps: its database, its clips, and that nothing lies open or stays too long."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

from agent.app import schemas
from agent.app.archive import Archive
from agent.clips import store
from agent.clips.retention import clip_ages
from agent.doctor.check import BOX_S, Check, Verdict, fail, ok, skip, warn
from agent.doctor.registry import ALARMS
from agent.errors import StorageError
from agent.words import counted, joined, say, verbatim

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.config import Settings
    from agent.device.clock import Clock

DATABASE_S = 30.0  # SQLite reads all of it, and a worn card is slow
LOOK_S = 20.0  # for open footage; on a Pi's card that is half a gigabyte
LATE_S, HOURS = 3600.0, 3600.0  # the agent looks for old clips within minutes, or is not there to do it


def checks(settings: Settings, clock: Clock) -> list[Check]:
    """The checks of this module."""

    def kept(judge: Callable[[Archive], Verdict]) -> Callable[[], Verdict]:
        def ask() -> Verdict:
            if not (settings.state.dir / schemas.DATABASE).exists():
                return skip(say("there is no database yet: the agent never ran"))
            try:
                archive = Archive(settings, clock)
            except StorageError as error:
                return fail(error.words[0], ALARMS["storage.corrupt"].fix)
            return judge(archive)

        return ask

    state = ("disk.state",)
    return [
        Check("store.database", say("Database"), kept(_database), state, box_s=DATABASE_S, quick=False),
        Check("store.clips", say("The clips are there"), kept(_clips), state),
        Check("priv.overdue", say("Old clips are gone"), kept(lambda found: _overdue(found, clock)), state),
        Check(
            "priv.open",
            say("No open footage on the card"),
            lambda: _open(settings),
            state,
            box_s=LOOK_S + BOX_S,
            quick=False,
        ),
    ]


def _database(archive: Archive) -> Verdict:
    try:
        found = archive.read(lambda tx: [str(row[0]) for row in tx.execute("PRAGMA quick_check(3)")])
    except StorageError as error:
        return fail(error.words[0], ALARMS["storage.corrupt"].fix)
    except sqlite3.Error as error:
        found = [str(error)]
    if found != ["ok"]:
        return fail(joined("; ", map(verbatim, found)), ALARMS["storage.corrupt"].fix)
    return ok(say("sound"))


def _clips(archive: Archive) -> Verdict:
    archive.check_premises()  # of a disk that is not mounted no clip has gone
    rows = archive.read(store.clips)
    gone = [row.record.id for row in rows if not (archive.directory / row.record.path).is_file()]
    if gone:
        told = say("{gone} of {all} are missing", gone=len(gone), all=len(rows))
        return fail(told, ALARMS["clips.lost"].fix)
    return ok(counted("{n} clip", "{n} clips", len(rows)))


def _overdue(archive: Archive, clock: Clock) -> Verdict:
    limit_s = archive.settings.clips.retention_h * HOURS
    rows = archive.read(store.clips)
    ages = clip_ages(rows, clock.stamp())
    late = [row for row in rows if not row.held and ages[row.record.id] > limit_s + LATE_S]
    if late:
        oldest = max(ages[row.record.id] for row in late) / HOURS
        return fail(
            counted(
                "{n} clip is older than {limit:g} h, {oldest:.0f} h at most",
                "{n} clips are older than {limit:g} h, {oldest:.0f} h at most",
                len(late),
                limit=limit_s / HOURS,
                oldest=oldest,
            ),
            say("Start the agent: it deletes them. Until then: sudo stairwell clips erase"),
        )
    held = sum(row.held for row in rows)
    if held:
        return ok(counted("yes; {n} is held on purpose", "yes; {n} are held on purpose", held))
    return ok(say("yes"))


def _open(settings: Settings) -> Verdict:
    """The newest files first: what was written wrongly was written lately."""
    if settings.clips.seal == "none":
        return skip(say("clips are not sealed"))
    from agent.clips import check as clip_check  # noqa: PLC0415 - they load NumPy, and the quick checks do not
    from agent.clips.scan import scan_file  # noqa: PLC0415 - the same

    began = time.monotonic()
    try:
        found = clip_check.files({settings.state.dir, settings.clips_dir})
        newest = sorted((path for path, _ in found), key=_written, reverse=True)
        looked = 0
        for path in newest:
            if time.monotonic() - began > LOOK_S:
                break
            footage = scan_file(path, lambda _: None)
            if footage is not None:
                return fail(
                    say("{path}: {kind} lies open", path=path, kind=footage.kind),
                    say("A clip from before sealing: sudo stairwell clips erase; anything else: remove it"),
                )
            looked += 1
    except StorageError as error:
        return skip(error.words[0])
    told = say("{looked} of {all} files looked at", looked=looked, all=len(newest))
    return ok(told) if looked or not newest else warn(told, say("Run it again when the kit has less to do"))


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
