"""The one owner of deletion: puts the clip store in order at start, and keeps it within its bounds after."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING

from agent.app import ballast, holding
from agent.app.deletion import erase, sweep
from agent.app.reporter import Stock
from agent.clips import hold, recovery, retention, store
from agent.device import health
from agent.errors import StorageError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.app.announcer import Announcer
    from agent.app.journal import Journal
    from agent.app.premises import Premises
    from agent.app.reporter import Reporter
    from agent.clips.journal import OpenClip
    from agent.clips.recovery import Recovered
    from agent.clips.store import StoredClip
    from agent.config import Settings
    from agent.device.clock import Clock
    from agent.types import ClipRecord

log = logging.getLogger(__name__)

ROOM_BYTES = 16_000_000  # wanted free when a disk was full before there was a clip: a minute at 2 Mbit/s


class Housekeeping:
    """Deletion in three steps that a power cut may part: row to garbage with its message, unlink, forget.

    One thread drives it.
    """

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        reporter: Reporter,
        announcer: Announcer,
        clock: Clock,
        premises: Premises,
    ) -> None:
        self._settings = settings
        self._directory = settings.clips_dir
        self._journal = journal
        self._reporter = reporter
        self._announcer = announcer
        self._clock = clock
        self._premises = premises
        self._in_order = False
        self.stock: Stock | None = None
        """What is kept, as of the last look."""

    def recover(self) -> None:
        """Finish what an earlier run left: announce the clips that it cut, remove what does not play.

        Where the disk refuses, or is not there, events go on: `run` puts it in order once it can.
        """
        try:
            self._put_in_order()
        except StorageError as error:
            log.error("clips: %s", error)  # noqa: TRY400 - what is mounted is no matter of a traceback

    def run(self, in_use: str | None, *, left: Sequence[str] = (), full: bool = False) -> None:
        """Delete what must go but the clip `in_use`; take up the clips that the recorder gave up (`left`).

        `full`: the disk refused for want of room, so the oldest go even within their bounds.

        Raises:
            StorageError: the disk refuses, does not answer or is not there.
        """
        for clip in left:
            self._premises.left(clip)
            self._in_order = False
        if not self._in_order:
            self._put_in_order()
        rows = self._journal.ask(store.clips)
        free = health.free_bytes(self._directory)
        if rows and free is None:
            raise StorageError(
                say("{path}: its file system does not answer, so no clip is deleted", path=self._directory),
                fix=say("see that the directory exists and its disk is mounted"),
                errno=errno.ENODEV,
            )
        if rows:
            self._premises.check()
        plan = retention.plan_retention(
            rows,
            now=self._clock.stamp(),
            free_bytes=free or 0,
            settings=self._settings.clips,
            in_use={in_use} if in_use else set(),
            wanted_bytes=max(self._premises.spare, _room(rows) if full else ballast.ROOM),
        )
        holding.keep_noted(self._journal, self._directory, [clip.id for clip in plan])
        gone = set(erase(self._journal, self._reporter, plan, "retention"))
        sweep(self._journal, self._directory)
        kept = [row.record for row in rows if row.record.id not in gone]
        self.stock = Stock(len(kept), sum(clip.bytes for clip in kept))

    def _put_in_order(self) -> None:
        with self._premises.no_clip_begins() as under_way:
            intents = self._journal.ask(store.open_clips)
            rows = self._journal.ask(store.clips)
            known = {row.record.path: row.record for row in rows}
            if not (known or intents or self._journal.ask(store.garbage) or self._directory.exists()):
                self._in_order = True  # a kit that never recorded
                return
            self._premises.check()
            sweep(self._journal, self._directory)
            lost = False
            unreadable: dict[str, str] = {}
            for found in recovery.recover(self._directory, intents, known.keys(), in_use=under_way):
                lost |= self._settle(found, known)
                if found.kind == "unreadable":
                    unreadable[found.id] = found.path
            holding.settle(self._journal, self._directory, self._clock.stamp())
            self._announcer.alarm("clips.lost", active=lost)
            self._in_order = not unreadable  # a disk that has no room to mend a clip may have some later
            self._give_up(unreadable, intents, rows)

    def _give_up(self, unreadable: dict[str, str], intents: list[OpenClip], rows: list[StoredClip]) -> None:
        """Remove files (by their ids) of which no clip could be made until they were too old to be kept."""
        begun = {clip.id: clip for clip in intents}
        late = retention.overdue(
            {clip: begun.get(clip) for clip in unreadable if not hold.stands(self._directory, clip)},
            rows,
            now=self._clock.stamp(),
            settings=self._settings.clips,
        )
        for clip in late:
            log.error("clip %s could not be read for as long as clips are kept: removed", clip)
            self._journal.ask(lambda tx, clip=clip: store.give_up(tx, clip, unreadable[clip]))  # type: ignore[misc]
        if late:
            sweep(self._journal, self._directory)

    def _settle(self, found: Recovered, known: dict[str, ClipRecord]) -> bool:
        """Enter or remove one clip; whether it was lost."""
        match found.kind:
            case "kept" | "adopted" if found.record is not None:
                log.warning("clip %s was cut: %.1f s of it play", found.id, found.record.duration)
                self._journal.closed(found.record, found.plain)
            case "removed":
                log.warning("clip %s had nothing that plays: removed", found.id)
                self._journal.ask(lambda tx: store.drop_intent(tx, found.id))
            case "missing":
                if erase(self._journal, self._reporter, [known[found.path]], "missing", held=True):
                    log.error("clip %s: its file has gone", found.id)
                    return True
            case _:
                log.error("clip %s cannot be read: %s", found.id, found.problem)
        return False


def _room(rows: Sequence[StoredClip]) -> int:
    """Bytes that the next clip may want, as many as the largest there is, and the ballast."""
    return max((row.record.bytes for row in rows), default=ROOM_BYTES) + ballast.ROOM
