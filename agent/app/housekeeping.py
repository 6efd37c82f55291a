"""The one owner of deletion: puts the clip store in order at start, and keeps it within its bounds after."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agent.app.reporter import Stock
from agent.clips import recovery, retention, store
from agent.device import health
from agent.errors import StorageError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from agent.app.announcer import Announcer
    from agent.app.journal import Journal
    from agent.app.reporter import Reporter
    from agent.clips.recovery import Recovered
    from agent.config import Settings
    from agent.device.clock import Clock
    from agent.types import ClipRecord

log = logging.getLogger(__name__)


class Housekeeping:
    """Deletion in three steps that a power cut may part: row to garbage with its message, unlink, forget."""

    def __init__(
        self, settings: Settings, journal: Journal, reporter: Reporter, announcer: Announcer, clock: Clock
    ) -> None:
        self._settings = settings
        self._directory = settings.clips_dir
        self._journal = journal
        self._reporter = reporter
        self._announcer = announcer
        self._clock = clock
        self.stock: Stock | None = None
        """What is kept, as of the last look."""

    def recover(self) -> None:
        """Finish what an earlier run left: announce the clips that it cut, remove what does not play.

        Raises:
            StorageError: the disk refuses.
        """
        self._sweep()
        intents = self._journal.ask(store.open_clips)
        known = {row.record.path: row.record for row in self._journal.ask(store.clips)}
        lost = False
        for found in recovery.recover(self._directory, intents, known.keys()):
            self._settle(found, known)
            lost |= found.kind == "missing"
        self._announcer.alarm("clips.lost", active=lost)

    def run(self, in_use: str | None) -> None:
        """Delete what must go; `in_use` is the clip under way.

        Raises:
            StorageError: the disk refuses, or does not answer.
        """
        rows = self._journal.ask(store.clips)
        free = health.free_bytes(self._directory)
        if rows and free is None:
            raise StorageError(
                f"{self._directory}: its file system does not answer, so no clip is deleted",
                fix="see that the directory exists and its disk is mounted",
            )
        plan = retention.plan_retention(
            rows,
            now=self._clock.stamp(),
            free_bytes=free or 0,
            settings=self._settings.clips,
            in_use={in_use} if in_use else set(),
        )
        self._erase(plan, "retention")
        self._sweep()
        gone = {clip.id for clip in plan}
        kept = [row.record for row in rows if row.record.id not in gone]
        self.stock = Stock(len(kept), sum(clip.bytes for clip in kept))

    def _settle(self, found: Recovered, known: dict[str, ClipRecord]) -> None:
        match found.kind:
            case "kept" | "adopted" if found.record is not None:
                log.warning("clip %s was cut: %.1f s of it play", found.id, found.record.duration)
                self._journal.closed(found.record)
            case "removed":
                log.warning("clip %s had nothing that plays: removed", found.id)
                self._journal.ask(lambda tx: store.drop_intent(tx, found.id))
            case "missing":
                log.error("clip %s: its file has gone", found.id)
                self._erase([known[found.path]], "missing")
            case _:
                log.error("clip %s cannot be read: %s", found.id, found.problem)

    def _erase(self, clips: Sequence[ClipRecord], why: str) -> None:
        """Out of the index, with a message for each, in one transaction."""
        if not clips:
            return
        drafts = [self._reporter.clip_erased(clip, why) for clip in clips]

        def work(tx: sqlite3.Connection) -> None:
            store.mark_garbage(tx, [clip.id for clip in clips])
            for draft in drafts:
                self._journal.append(tx, draft)

        self._journal.ask(work)
        log.info("%d clips erased: %s", len(clips), why)

    def _sweep(self) -> None:
        names = self._journal.ask(store.garbage)
        if names:
            store.unlink_garbage(self._directory, names)
            self._journal.ask(lambda tx: store.sweep_garbage(tx, names))
