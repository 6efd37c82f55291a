"""A release on trial, as its own agent sees it: the city is told, and its acknowledgement ends the trial.

The alarm `update.trial` is a message like any other, and so there is one that can be acknowledged, however
quiet the stairwell is. Once a message of this process has counted as delivered, by the word of whom
`backbone.delivery` names, a mark is left in memory; the guard (scripts/deb/trial), which is root's, looks
for it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import agent
from agent.app.updatebook import Standing, UpdateBook
from agent.device.releases import Releases
from agent.device.volatile import runtime_dir
from agent.errors import StorageError

if TYPE_CHECKING:
    from agent.app.announcer import Announcer
    from agent.backbone.delivery import Delivery
    from agent.config import Settings
    from agent.device.clock import Clock

log = logging.getLogger(__name__)

MARK = "acknowledged"
"""The file in RUNTIME_DIRECTORY for which the guard looks; it holds the release's name."""
TRIAL, FAILED = "update.trial", "update.failed"
OWN = Path(agent.__file__).parents[2].name
"""The release that this process is of; of the package, a directory that is none."""


class OnTrial:
    """Raises and clears the alarms of updates, notes them, and leaves the mark in `runtime`.

    One thread drives it.
    """

    def __init__(
        self,
        announcer: Announcer,
        book: UpdateBook,
        runtime: Path,
        releases: Releases | None = None,
        own: str = OWN,
    ) -> None:
        self._announcer = announcer
        self._book = book
        self._releases = releases or Releases()
        self._mark = runtime / MARK
        self._own = own
        self._marked = False
        self._unknown = False

    @classmethod
    def here(cls, announcer: Announcer, settings: Settings, clock: Clock) -> OnTrial:
        """Of this process."""
        return cls(announcer, UpdateBook(settings, clock), runtime_dir(settings.state.dir))

    def judge(self, delivery: Delivery) -> None:
        """Take in how messages get through."""
        try:
            standing = Standing.of(self._releases)
        except StorageError as error:  # then neither alarm changes, and nothing is acknowledged
            if not self._unknown:
                log.warning("whether a release is on trial is not known: %s", error)
            self._unknown = True
            return
        self._unknown = False
        trial, failed = standing.trial, standing.failed
        self._announcer.alarm(TRIAL, active=trial is not None, detail=trial.release if trial else "over")
        self._announcer.alarm(FAILED, active=failed is not None, detail=failed or "none")
        try:
            self._book.follow(standing)
        except StorageError as error:  # it has alarms of its own, and is asked again
            log.debug("what became of an update is not noted: %s", error)
        if self._marked or trial is None or trial.release != self._own or not delivery.delivered:
            return
        try:
            self._mark.write_text(self._own, encoding="ascii")
        except OSError as error:
            log.warning("%s: the release stays on trial (%s)", self._mark, error.strerror)
            return
        self._marked = True
        log.info("release %s: acknowledged", self._own)
