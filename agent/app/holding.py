"""Holding clips: the file beside each first, its row after; released the other way round.

So a cut between the two steps leaves a clip held, and `settle` makes both say so.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agent.clips import hold as holds
from agent.clips import store
from agent.errors import StorageError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from agent.app.deletion import Ledger
    from agent.device.clock import Stamp

log = logging.getLogger(__name__)


def hold(
    ledger: Ledger, directory: Path, clips: Sequence[str], *, by: str, why: str, now: Stamp
) -> str | None:
    """Keep the clips of these ids whatever happens. Returns one that there is not; none is changed then.

    Raises:
        StorageError: the disk refused. What is held by its file alone is held from the next start on.
    """
    gone = ledger.ask(lambda tx: _gone(tx, clips))
    if gone is not None:
        return gone
    fresh = [clip for clip in clips if holds.put(directory, clip, by, why, now)]
    gone = ledger.ask(lambda tx: _enter(tx, clips, held=True))
    if gone is not None:
        holds.remove(directory, fresh)
    return gone


def release(ledger: Ledger, directory: Path, clips: Sequence[str]) -> str | None:
    """Give the clips of these ids back to retention. Returns one that there is not; none is changed then.

    Raises:
        StorageError: the disk refused. Those whose files it kept are held again.
    """
    gone = ledger.ask(lambda tx: _enter(tx, clips, held=False))
    if gone is None:
        holds.remove(directory, clips)
    return gone


def keep_noted(ledger: Ledger, directory: Path, clips: Iterable[str]) -> None:
    """Hold those of the clips that are held by their files alone, and are there still.

    Raises:
        StorageError: the disk refused.
    """
    noted = [clip for clip in clips if holds.stands(directory, clip)]
    if noted:
        log.warning("held by the files beside them: clips %s", ", ".join(noted))
        ledger.ask(lambda tx: [store.hold(tx, clip, held=True) for clip in noted])


def settle(ledger: Ledger, directory: Path, now: Stamp) -> None:
    """Have index and files agree: who is held by one is held by both.

    Raises:
        StorageError: the database refused. A file that cannot be written waits for the next start.
    """
    rows = ledger.ask(store.clips)
    keep_noted(ledger, directory, [row.record.id for row in rows if not row.held])
    try:
        for row in rows:
            if row.held:
                holds.put(directory, row.record.id, "agent", "the index", now)
    except StorageError as error:
        log.warning("clips: %s", error)


def _enter(tx: sqlite3.Connection, clips: Sequence[str], *, held: bool) -> str | None:
    gone = _gone(tx, clips)
    for clip in () if gone else clips:
        store.hold(tx, clip, held=held)
    return gone


def _gone(tx: sqlite3.Connection, clips: Sequence[str]) -> str | None:
    """The first of the clips that the index does not have."""
    return next((clip for clip in clips if not store.has(tx, clip)), None)
