"""The power-cut test: the plug is pulled while the kit records, and it has to come back by itself.

Begun with a note of what was there; judged in a later boot against that note:

    cut        another boot, and the agent before it did not end in order
    back       the agent started by itself, soon after the board
    pictures   its camera gave a first picture, and when
    clip       what was being recorded is a clip, whole up to what was synced before the note, and its file is
               what was signed
    messages   the same stream, and no message that waited is gone but to the platform
    clips      no clip that was complete is gone
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agent.app.archive import Archive
from agent.backbone.drafts import DropOrder
from agent.backbone.messages import Gap
from agent.clips import store
from agent.words import say, verbatim

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping

    from agent.app.status import Status
    from agent.clips.store import StoredClip
    from agent.config import Settings
    from agent.device.clock import Clock
    from agent.device.reset import Boot
    from agent.words import Text

BACK_S = 180.0  # from the board's start to the agent's: a worn card and a check of its file system included
LAG_S = 2.0  # what is recorded lags behind the clock by a group of pictures, and by a busy encoder

Point = Literal["cut", "back", "pictures", "clip", "messages", "clips"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One point. `fix` is there when it is not well."""

    point: Point
    ok: bool
    text: Text
    fix: Text | None = None


def begin(settings: Settings, clock: Clock, status: Status) -> dict[str, Any] | None:
    """What there is now, as JSON types; None while nothing is recorded: there would be nothing to lose.

    Raises:
        StorageError: the database cannot be read.
    """
    archive = Archive(settings, clock)

    def question(tx: sqlite3.Connection) -> dict[str, Any] | None:
        row = tx.execute("SELECT started FROM open_clips WHERE id = ?", (status.clips.recording,)).fetchone()
        if row is None or status.outbox is None:
            return None
        waiting = tx.execute(
            "SELECT seq FROM outbox WHERE done_boot IS NULL AND drop_order NOT IN (?, ?) ORDER BY seq",
            # These may be dropped by design: a picture waits under a key that is in memory only.
            (DropOrder.SNAPSHOT, DropOrder.UPDATE),
        ).fetchall()
        return {
            "boot": clock.boot,
            "clip": status.clips.recording,
            "recorded_s": round(max(0.0, clock.mono() - row[0]), 2),
            "stream": status.outbox.stream,
            "dropped": status.outbox.dropped,
            "waiting": [seq for (seq,) in waiting],
            "clips": [clip.record.id for clip in store.clips(tx)],
        }

    return archive.read(question)


def judge(
    settings: Settings, clock: Clock, status: Status, boot: Boot, before: Mapping[str, Any]
) -> list[Finding]:
    """What came of it. `before` is what `begin` gave, `boot` how this boot came about.

    Raises:
        StorageError: the database cannot be read.
    """
    archive = Archive(settings, clock)
    found = [_cut(clock, boot, before), _back(status), _pictures(status)]
    if not found[0].ok:
        return found[:1]
    rows = {clip.record.id: clip for clip in archive.clips()}
    found.append(_clip(archive, rows.get(before["clip"]), settings.clips.sync_s, before))
    gone = archive.read(lambda tx: list(_gone(tx, before)))
    found.append(_messages(status, before, gone))
    lost = [clip for clip in before["clips"] if clip not in rows]
    found.append(
        Finding("clips", False, say("clips are gone: {clips}", clips=", ".join(lost)), _CARD)
        if lost
        else Finding("clips", True, say("all clips are there ({n})", n=len(before["clips"])))
    )
    return found


def figures(status: Status, findings: list[Finding]) -> dict[str, Any]:
    """What is kept of it, as JSON types."""
    return {
        "first_picture_s": status.camera.first,
        "failed": [finding.point for finding in findings if not finding.ok],
    }


_CARD = say("Test the card (sudo stairwell burnin), or replace it: it loses what it said was written")


def _cut(clock: Clock, boot: Boot, before: Mapping[str, Any]) -> Finding:
    if clock.boot == before["boot"]:
        return Finding(
            "cut",
            False,
            say("the power was not cut: this is the same start of the board"),
            say("Pull the plug, wait ten seconds, put it back, and come again in two minutes"),
        )
    if boot.in_order:
        return Finding(
            "cut",
            False,
            say("the kit was shut down in order: that proves nothing"),
            say("Begin the test again, and pull the plug while it records"),
        )
    return Finding("cut", True, say("the power was cut while the kit worked"))


def _back(status: Status) -> Finding:
    """The agent's clock counts from the board's start."""
    began_s = status.clock.mono - status.up
    if began_s > BACK_S:
        return Finding(
            "back",
            False,
            say("the agent started {seconds:.0f} s after the board: late, or not by itself", seconds=began_s),
            say("stairwell doctor --only svc.enabled --only 'boot.*'; then test again"),
        )
    return Finding(
        "back", True, say("the agent started by itself, {seconds:.0f} s after the board", seconds=began_s)
    )


def _pictures(status: Status) -> Finding:
    first = status.camera.first
    if first is None:
        return Finding(
            "pictures",
            False,
            say("the camera gives no pictures"),
            say("`stairwell doctor --only 'cam.*'` tells why"),
        )
    return Finding(
        "pictures", True, say("first picture {seconds:.0f} s after the board's start", seconds=first)
    )


def _clip(archive: Archive, clip: StoredClip | None, sync_s: float, before: Mapping[str, Any]) -> Finding:
    fix = say("stairwell clips check tells more; test again, and replace the card if it happens again")
    if clip is None:
        return Finding("clip", False, say("the clip that was being recorded is gone"), fix)
    record = clip.record
    due_s = before["recorded_s"] - sync_s - LAG_S
    if record.duration < due_s:
        told = say("the clip has {has:.1f} s, {due:.1f} were synced", has=record.duration, due=due_s)
        return Finding("clip", False, told, fix)
    try:
        with (archive.directory / record.path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return Finding("clip", False, verbatim(f"{record.path}: {error.strerror}"), fix)
    if digest != record.sha256:
        return Finding("clip", False, say("the clip's file is not what was signed"), fix)
    return Finding(
        "clip", True, say("the clip was recovered: {seconds:.1f} s of it", seconds=record.duration)
    )


def _gone(tx: sqlite3.Connection, before: Mapping[str, Any]) -> Iterator[int]:
    """Messages that waited, and are named in a gap since: they will never come."""
    gaps = tx.execute("SELECT payload FROM outbox WHERE CAST(head AS TEXT) LIKE '%/gap\"%'").fetchall()
    for (payload,) in gaps:
        for first, last in Gap.model_validate_json(payload).ranges:
            yield from (seq for seq in before["waiting"] if first <= seq <= last)


def _messages(status: Status, before: Mapping[str, Any], gone: list[int]) -> Finding:
    if status.outbox is None or status.outbox.stream != before["stream"]:
        return Finding("messages", False, say("the database was begun anew: what it held is lost"), _CARD)
    if gone:
        return Finding(
            "messages", False, say("messages are lost: {numbers}", numbers=", ".join(map(str, gone))), _CARD
        )
    return Finding("messages", True, say("no message is lost ({n} waited)", n=len(before["waiting"])))
