"""What the doctor asks: its own checks of the machine, and those that need the rooms of the agent.

Nothing here changes the kit. Where the agent runs it is asked (`symptoms`), so that nothing is disturbed;
without it the same is tried from here.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.app import models, symptoms, uplink
from agent.app.archive import Archive
from agent.capture.picamera import connected
from agent.capture.source import source_kind
from agent.clips import store
from agent.doctor import disk, machine, papers, wayout
from agent.doctor.check import Check, Verdict, fail, ok, skip
from agent.doctor.registry import ALARMS
from agent.errors import ConfigError, ModelError, SourceError, StorageError
from agent.vision.models import load_card
from agent.words import joined, say, verbatim

if TYPE_CHECKING:
    from agent.config import Settings
    from agent.device.clock import Clock

ROOT = Path("/")


def examination(settings: Settings, clock: Clock, root: Path = ROOT) -> list[Check]:
    """Every check, in the order in which a technician reads them."""
    return [
        *machine.checks(root),
        *disk.checks(settings, root),
        *papers.checks(settings, clock),
        *wayout.checks(root),
        *uplink.checks(settings),
        *symptoms.checks(settings),
        *_store(settings, clock),
        *_eyes(settings),
    ]


def _store(settings: Settings, clock: Clock) -> list[Check]:
    return [
        Check(
            "store.database",
            say("Database"),
            lambda: _database(settings, clock),
            ("disk.state",),
            box_s=30.0,
            quick=False,
        ),
        Check("store.clips", say("The clips are there"), lambda: _clips(settings, clock), ("disk.state",)),
    ]


def _archive(settings: Settings, clock: Clock) -> Archive | None:
    try:
        return Archive(settings, clock)
    except StorageError:
        return None


def _database(settings: Settings, clock: Clock) -> Verdict:
    archive = _archive(settings, clock)
    if archive is None:
        return skip(say("there is none yet: the agent never ran"))
    try:
        found = archive.read(lambda tx: [str(row[0]) for row in tx.execute("PRAGMA quick_check(3)")])
    except (StorageError, sqlite3.Error) as error:
        found = [str(error)]
    if found != ["ok"]:
        return fail(joined("; ", map(verbatim, found)), ALARMS["storage.corrupt"].fix)
    return ok(say("sound"))


def _clips(settings: Settings, clock: Clock) -> Verdict:
    archive = _archive(settings, clock)
    if archive is None:
        return skip(say("there is no database yet"))
    rows = archive.read(store.clips)
    gone = [row.record.id for row in rows if not (archive.directory / row.record.path).is_file()]
    if gone:
        told = say("{gone} of {all} are missing", gone=len(gone), all=len(rows))
        return fail(told, ALARMS["clips.lost"].fix)
    return ok(verbatim(str(len(rows))))


def _eyes(settings: Settings) -> list[Check]:
    model = Check("ai.model", say("The model's file"), lambda: _model(settings))
    return [
        Check("cam.source", say("The camera is there"), lambda: _source(settings)),
        model,
        Check(
            "ai.selftest",
            say("The detector sees a person"),
            lambda: _selftest(settings),
            (model.code,),
            box_s=30.0,
            quick=False,
        ),
    ]


def _source(settings: Settings) -> Verdict:
    source = settings.capture.source
    try:
        kind = source_kind(source)
    except ConfigError as error:
        return fail(error.words[0], ALARMS["camera.lost"].fix)
    if kind in {"file", "v4l2"} and not Path(source).exists():
        return fail(say("{source}: is not there", source=source), ALARMS["camera.lost"].fix)
    if kind == "picamera":
        try:
            return ok(verbatim(connected(source)))
        except SourceError as error:
            return fail(error.words[0], ALARMS[error.alarm].fix)
    return ok(verbatim(kind))


def _model(settings: Settings) -> Verdict:
    try:
        card = load_card(settings.detector.model)
    except ModelError as error:
        return fail(*error.words)
    return ok(verbatim(card.label))


def _selftest(settings: Settings) -> Verdict:
    try:
        found: dict[str, Any] = models.check(settings.detector)
    except ModelError as error:
        return fail(*error.words)
    return ok(say("{score:.2f} in {ms:.0f} ms", score=found["score"], ms=found["ms"]))
