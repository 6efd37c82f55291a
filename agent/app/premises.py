"""The directory of clips in the agent's hands: recognised at the start, asked for before each clip."""

from __future__ import annotations

import errno
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent.app import ballast
from agent.clips import premises
from agent.clips.retention import MEGABYTE
from agent.device import health
from agent.errors import StorageError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.app.journal import Journal
    from agent.clips.fragment import Plaintext
    from agent.clips.journal import OpenClip
    from agent.config import Settings
    from agent.types import ClipRecord

RESERVE_SHARE = 0.5
"""Of `clips.reserve_mb`: below it no clip begins. Retention keeps the whole free once a minute, and a clip
may take a bite in between; what is left then belongs to the messages."""


class Premises:
    """Stands between the recorder and the journal (a ClipJournal). Safe to call from any thread.

    `closed_hook` is called after each clip that is on disk, row and all.
    """

    def __init__(self, settings: Settings, journal: Journal, closed_hook: Callable[[], None]) -> None:
        self._directory = settings.clips_dir
        self._floors = {
            settings.clips_dir: int(settings.clips.reserve_mb * MEGABYTE * RESERVE_SHARE),
            # A clip would take what the database needs to delete the next one: then nothing helps any more.
            settings.state.dir: ballast.ROOM,
        }
        self._journal = journal
        self._closed_hook = closed_hook
        self._reserve = int(settings.clips.reserve_mb * MEGABYTE)
        self._wanted = 0
        self._mark: str | None = None
        self._beginning = threading.Lock()
        self._under_way: set[str] = set()

    def check(self) -> None:
        """Return if the directory is the one that the index speaks of; the first one is marked.

        Raises:
            StorageError: it isn't, or the disk refuses.
        """
        if self._mark is None:
            mark = self._journal.ask(premises.known_mark)
            if mark is None:
                mark = premises.make_mark(self._directory)
                self._journal.ask(lambda tx: premises.keep_mark(tx, mark))
            self._mark = mark
        try:
            premises.check_premises(self._directory, self._mark)
        except StorageError:
            self._mark = None  # asked for again: a person may accept another disk meanwhile
            raise

    @contextmanager
    def no_clip_begins(self) -> Iterator[set[str]]:
        """Meanwhile no file is begun; the ids of those that may be under way."""
        with self._beginning:
            yield set(self._under_way)

    def opened(self, clip: OpenClip) -> None:
        """See ClipJournal. A clip begins only in the right directory, and where there is room for it.

        Raises:
            StorageError: there is not, or the disk refuses.
        """
        with self._beginning:
            self.check()
            if clip.id not in self._under_way:
                self._check_room()
            self._journal.opened(clip)
            self._under_way.add(clip.id)

    @property
    def spare(self) -> int:
        """Bytes that retention is to keep free, of the settings' reserve and of what `kept_free` asks for."""
        return self._reserve + self._wanted

    @contextmanager
    def kept_free(self, size: int) -> Iterator[int]:
        """Meanwhile retention keeps `size` bytes free beside the reserve, for what is no clip; gives the sum.

        One at a time asks for it.
        """
        self._wanted = size
        try:
            yield self.spare
        finally:
            self._wanted = 0

    def _check_room(self) -> None:
        for directory, floor in self._floors.items():
            free = health.free_bytes(directory)
            if free is not None and free < floor:
                raise StorageError(
                    say(
                        "{path}: {mb:.0f} MB are free, too few to begin a clip",
                        path=directory,
                        mb=free / MEGABYTE,
                    ),
                    fix=say("free space, or lower clips.max_mb or clips.reserve_mb"),
                    errno=errno.ENOSPC,
                )

    def closed(self, clip: ClipRecord, plain: Plaintext) -> None:
        """See ClipJournal."""
        self._journal.closed(clip, plain)
        self._under_way.discard(clip.id)
        self._closed_hook()

    def left(self, clip: str) -> None:
        """The recorder gave this clip up: recovery may have its file."""
        self._under_way.discard(clip)
