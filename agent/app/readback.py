"""The thread that reads each clip back from the card once, slowly, after it was closed."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

from agent.app.stages import Stage
from agent.clips import readback
from agent.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from agent.app.announcer import Announcer
    from agent.app.journal import Journal
    from agent.app.premises import Premises
    from agent.clips.readback import Due, Outcome

log = logging.getLogger(__name__)

LOOK_S = 600.0  # clips of an earlier run, or of a disk that was away, are found this late at worst
READINGS = 2  # of a clip that does not match: a bit that flips on the way differs the second time


class ReadBackStage(Stage):
    """Compares what the card gives with what was written; a difference is the alarm `storage.mismatch`.

    `refusal` is what the disk said when a clip could not be read; None since one could.
    """

    def __init__(self, directory: Path, journal: Journal, premises: Premises, announcer: Announcer) -> None:
        super().__init__("readback")
        self.refusal: StorageError | None = None
        self._directory = directory
        self._journal = journal
        self._premises = premises
        self._announcer = announcer
        self._woken = threading.Event()
        self._ended = threading.Event()

    def wake(self) -> None:
        """There is a new clip."""
        self._woken.set()

    def end(self) -> None:
        """Stop within a chunk; what is left is read at the next start."""
        self._ended.set()
        self._woken.set()

    def _work(self) -> None:
        while not self._ended.is_set():
            self._woken.clear()
            try:
                self._round()
            except StorageError as error:
                self._refused(error)
            self._woken.wait(LOOK_S)

    def _round(self) -> None:
        due = self._journal.ask(readback.due)
        if due:
            self._premises.check()
        for clip in due:
            outcome = self._read(clip)
            if outcome is None:
                return
            self._journal.ask(partial(readback.note, clip=clip.clip, outcome=outcome))
        found = self._journal.ask(readback.outcomes).values()
        self._announcer.alarm("storage.mismatch", active="mismatch" in found)

    def _read(self, clip: Due) -> Outcome | None:
        """What the card gives of one clip; None when the agent stops, or the clip went meanwhile."""
        try:
            for _ in range(READINGS):
                read = readback.card_sha256(self._directory / clip.path, self._ended.wait)
                if self._ended.is_set():
                    return None
                if read == (clip.bytes, clip.sha256):
                    self.refusal = None
                    return "good"
                log.error("clip %s: the card gives back something else than was written", clip.clip)
        except FileNotFoundError:
            return "unreadable"  # erased meanwhile, and then not noted; or lost, which the next start tells
        except StorageError as error:
            self._refused(error)
            return "unreadable"
        return "mismatch"

    def _refused(self, error: StorageError) -> None:
        if self.refusal is None:
            log.error("clips: %s", error)
        self.refusal = error
