"""The power-cut test: the plug is pulled while the kit records, and it has to come back by itself.

Begun with a note of what was there; judged in a later boot against that note:

    cut        another boot, and the agent before it did not end in order
    back       the agent started by itself, soon after the board
    pictures   its camera gives pictures, and since when
    clip       what was being recorded is a clip that the cut ended, whole up to what was synced before the
               note, and its file is what was signed
    messages   the same stream, no number of it was given twice, and no message that waited is gone but to
               the platform
    clips      none of the newest clips that were complete is gone: a card loses what was written last, and
               of the oldest some go by retention meanwhile
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agent.app.archive import Archive
from agent.backbone import gaps
from agent.backbone.drafts import DropOrder
from agent.backbone.messages import Gap
from agent.clips import store
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from agent.app.status import Status
    from agent.clips.store import StoredClip
    from agent.config import Settings
    from agent.device.clock import Clock
    from agent.device.reset import Boot
    from agent.words import Text

BACK_S = 180.0  # from the board's start to the agent's: a worn card and a check of its file system included
LAG_S = 2.0  # what is recorded lags behind the clock by a group of pictures, and by a busy encoder
NEWEST = 20  # clips that are looked for: hours of a busy stairwell

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
        (next_seq,) = tx.execute("SELECT next_seq FROM outbox_state").fetchone()
        waiting = tx.execute(
            "SELECT seq FROM outbox WHERE done_boot IS NULL AND drop_order NOT IN (?, ?) "
            "AND (subject IS NULL OR subject NOT IN (SELECT value FROM json_each(?))) ORDER BY seq",
            # These may go by design: a picture waits under a key that is in memory only, and a gap that
            # waits is taken up into the next one.
            (DropOrder.SNAPSHOT, DropOrder.UPDATE, json.dumps(gaps.REASONS)),
        ).fetchall()
        return {
            "boot": clock.boot,
            "clip": status.clips.recording,
            "recorded_s": round(max(0.0, clock.mono() - row[0]), 2),
            "stream": status.outbox.stream,
            "next": next_seq,
            "waiting": [seq for (seq,) in waiting],
            "clips": [clip.record.id for clip in store.clips(tx)][-NEWEST:],
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
    cut = _cut(clock, boot, before)
    if not cut.ok:
        return [cut]
    found = [cut, _back(status, boot), _pictures(status)]
    rows = {clip.record.id: clip for clip in archive.clips()}
    found.append(_clip(archive, rows.get(before["clip"]), settings.clips.sync_s, before))
    found.append(_messages(archive, clock.boot, status, before))
    lost = [clip for clip in before["clips"] if clip not in rows]
    found.append(
        Finding("clips", False, say("clips are gone: {clips}", clips=", ".join(lost)), _CARD)
        if lost
        else Finding("clips", True, say("the clips before it are there ({n})", n=len(before["clips"])))
    )
    return found


def figures(status: Status, findings: list[Finding]) -> dict[str, Any]:
    """What is kept of it, as JSON types."""
    return {
        "first_picture_s": _first(status),
        "failed": [finding.point for finding in findings if not finding.ok],
    }


_AGAIN = say("Begin the test again, and pull the plug while it records")
_CARD = say("Test the card (sudo stairwell burnin), or replace it: it loses what it said was written")


def _cut(clock: Clock, boot: Boot, before: Mapping[str, Any]) -> Finding:
    if clock.boot == before["boot"]:
        return Finding(
            "cut",
            False,
            say("the power was not cut: this is the same start of the board"),
            say(
                "Pull the plug while it records, wait ten seconds, put it back, and come again in two "
                "minutes; to begin anew: sudo stairwell commission power --again"
            ),
        )
    if boot.in_order:
        return Finding(
            "cut",
            False,
            say("the kit was shut down in order: that proves nothing"),
            _AGAIN,
        )
    return Finding("cut", True, say("the power was cut while the kit worked"))


def _back(status: Status, boot: Boot) -> Finding:
    """The agent's clock counts from the board's start; what counts is its first start in this boot."""
    began_s = _began(status) if boot.began is None else boot.began
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
    first_s = _first(status)
    if first_s is None or status.camera.down is not None:
        return Finding(
            "pictures",
            False,
            say("the camera gives no pictures"),
            say("`stairwell doctor --only 'cam.*'` tells why"),
        )
    return Finding(
        "pictures", True, say("first picture {seconds:.0f} s after the agent's start", seconds=first_s)
    )


def _began(status: Status) -> float:
    """When the process that answers began: not the first of this boot, if it was started anew since."""
    return status.clock.mono - status.up


def _first(status: Status) -> float | None:
    """Seconds from the start of the process that answers to its first picture."""
    first = status.camera.first
    return None if first is None else max(0.0, round(first - _began(status), 2))


def _clip(archive: Archive, clip: StoredClip | None, sync_s: float, before: Mapping[str, Any]) -> Finding:
    fix = say("stairwell clips check tells more; test again, and replace the card if it happens again")
    if clip is None:
        return Finding("clip", False, say("the clip that was being recorded is gone"), fix)
    record = clip.record
    if not record.truncated:
        return Finding("clip", False, say("the recording had ended before the plug was pulled"), _AGAIN)
    due_s = before["recorded_s"] - sync_s - LAG_S
    if record.duration < due_s:
        told = say("the clip has {has:.1f} s, {due:.1f} were synced", has=record.duration, due=due_s)
        return Finding("clip", False, told, fix)
    try:
        with (archive.directory / record.path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return Finding("clip", False, say("{path}: {reason}", path=record.path, reason=reason(error)), fix)
    if digest != record.sha256:
        return Finding("clip", False, say("the clip's file is not what was signed"), fix)
    return Finding(
        "clip", True, say("the clip was recovered: {seconds:.1f} s of it", seconds=record.duration)
    )


def _messages(archive: Archive, boot: str, status: Status, before: Mapping[str, Any]) -> Finding:
    if status.outbox is None or status.outbox.stream != before["stream"]:
        return Finding("messages", False, say("the database was begun anew: what it held is lost"), _CARD)
    if lost := archive.read(lambda tx: _lost(tx, boot, before)):
        told = ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in lost)
        return Finding("messages", False, say("messages are lost: {numbers}", numbers=told), _CARD)
    return Finding("messages", True, say("no message is lost ({n} waited)", n=len(before["waiting"])))


def _lost(tx: sqlite3.Connection, boot: str, before: Mapping[str, Any]) -> list[tuple[int, int]]:
    """The numbers of messages that are lost, as ranges.

    They are named in a gap since. Or the outbox is back at where it was before they were written: then their
    numbers are free, or were given to messages of this `boot`.
    """
    (next_seq,) = tx.execute("SELECT next_seq FROM outbox_state").fetchone()
    lost = set(range(next_seq, before["next"]))
    anew = tx.execute("SELECT seq FROM outbox WHERE seq < ? AND boot = ?", (before["next"], boot))
    lost.update(seq for (seq,) in anew)
    named = tx.execute("SELECT payload FROM outbox WHERE CAST(head AS TEXT) LIKE '%/gap\"%'").fetchall()
    for (payload,) in named:
        for first, last in Gap.model_validate_json(payload).ranges:
            lost.update(seq for seq in before["waiting"] if first <= seq <= last)
    return gaps.runs([(seq, seq) for seq in lost])
