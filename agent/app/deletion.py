"""Deleting clips in steps of which none is forgotten: row to garbage with its message, unlink, forget."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol, TypeVar

from agent.clips import store

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from agent.app.reporter import Reporter
    from agent.backbone.drafts import Draft
    from agent.types import ClipRecord

T = TypeVar("T")

log = logging.getLogger(__name__)


class Ledger(Protocol):
    """Who writes: the agent's journal, or a command beside a running agent."""

    def ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a unit of work and wait until it is on disk; StorageError when the disk refuses."""
        ...

    def append(self, tx: sqlite3.Connection, draft: Draft) -> int:
        """Put a message into the outbox within a unit of work; its number."""
        ...


def erase(
    ledger: Ledger, reporter: Reporter, clips: Sequence[ClipRecord], why: str, *, held: bool = False
) -> dict[str, int]:
    """Take clips out of the index, with a message for each that went, in one transaction.

    Clips on hold stay, unless `held`: their files are gone already. Returns the messages' numbers by the
    clips' ids.

    Raises:
        StorageError: the disk refused; nothing has changed.
    """
    if not clips:
        return {}

    def work(tx: sqlite3.Connection) -> dict[str, int]:
        if held:
            for clip in clips:
                store.hold(tx, clip.id, held=False)
        gone = store.mark_garbage(tx, [clip.id for clip in clips])
        return {
            clip.id: ledger.append(tx, reporter.clip_erased(clip, why)) for clip in clips if clip.id in gone
        }

    gone = ledger.ask(work)
    log.info("%d clips erased: %s", len(gone), why)
    return gone


def sweep(ledger: Ledger, directory: Path) -> None:
    """Remove the files of clips that are out of the index.

    Raises:
        StorageError: the disk refused; the next sweep goes on.
    """
    names = ledger.ask(store.garbage)
    if names:
        store.unlink_garbage(directory, names)
        ledger.ask(lambda tx: store.sweep_garbage(tx, names))
