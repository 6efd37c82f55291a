"""What the audit tells of updates: who began each, when it was on trial, how the trial ended.

Whoever installs a release notes that it begins, or why it was refused. All else is worked out by the agent
from the last of these lines and from how the releases stand, so a power cut or a taken back release loses no
line; at worst it comes late. `by`, `req` and `key` go from the first line of an update to all that follow.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.app.archive import Archive
from agent.backbone import docket
from agent.backbone.docket import AuditLine
from agent.errors import StairwellError, StorageError
from agent.reasons import reason

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from agent.config import Settings
    from agent.device.clock import Clock
    from agent.device.release import Manifest
    from agent.device.releases import Releases, Trial
    from agent.words import Text

COMMAND = "update"
ON_TRIAL, CONFIRMED, ROLLED_BACK = "on-trial", "confirmed", "rolled-back"
INSTALLING, NOT_INSTALLED = "installing", "not-installed"
STEPS = (INSTALLING, NOT_INSTALLED, ON_TRIAL, CONFIRMED, ROLLED_BACK)
"""The codes of lines that belong to one update; an order or a refusal beside it has others."""

_AUDIT = logging.getLogger("audit")


@dataclass(frozen=True, slots=True)
class Standing:
    """How the releases stand, as `agent.device.releases` tells it; the first two of one moment."""

    current: str | None
    trial: Trial | None
    failed: str | None

    @classmethod
    def of(cls, releases: Releases) -> Standing:
        """As they stand now.

        Raises:
            StorageError: something of it cannot be read.
        """
        current, trial = releases.standing()
        return cls(current, trial, releases.failed())

    def took_back(self, release: str) -> bool:
        """Whether it is this release that was tried last in vain."""
        return self.failed is not None and self.failed.split()[0] == release


class UpdateBook:
    """Notes what becomes of updates. One thread drives it."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._seen: Standing | None = None

    def note(self, line: AuditLine) -> None:
        """Put a line into the audit.

        Raises:
            StorageError: there is no database, or the disk refuses.
        """
        _say(line)
        self._archive().ask(lambda tx: docket.audit(tx, line, self._clock.stamp()))

    def hand_over(self, req: str, release: str) -> None:
        """Note, once, that a release is being installed by order, and of whom. Root has begun with it.

        Raises:
            StorageError: the disk refuses.
        """
        last, (by, key) = self._archive().read(lambda tx: (_last(tx), docket.giver(tx, req)))
        if last is not None and last.req == req:
            return
        self.note(AuditLine(COMMAND, req, by, key, "accepted", INSTALLING, release))

    def follow(self, standing: Standing) -> None:
        """Note what has become of the last update, if nobody has yet. The disk is asked after changes only.

        Raises:
            StorageError: the disk refuses; it is to be called again.
        """
        if standing == self._seen:
            return
        archive = self._archive()
        if following(archive.read(_last), standing) is not None:
            line = archive.ask(lambda tx: self._follow(tx, standing))
            if line is not None:
                _say(line)
        self._seen = standing

    def _follow(self, tx: sqlite3.Connection, standing: Standing) -> AuditLine | None:
        line = following(_last(tx), standing)
        if line is not None:
            docket.audit(tx, line, self._clock.stamp())
        return line

    def _archive(self) -> Archive:
        return Archive(self._settings, self._clock)


def following(last: AuditLine | None, standing: Standing) -> AuditLine | None:
    """The line that is due after `last`, the newest of updates, as the releases stand; None if none is."""
    under_way = last if last is not None and last.status == "accepted" else None
    by, req, key = (under_way.by, under_way.req, under_way.key) if under_way else (None, None, None)

    def due(status: str, code: str, text: str) -> AuditLine:
        return AuditLine(COMMAND, req, by, key, status, code, text)

    if standing.trial is not None:
        known = under_way is not None and under_way.code == ON_TRIAL
        if known and last is not None and last.text == standing.trial.release:
            return None
        return due("accepted", ON_TRIAL, standing.trial.release)
    if under_way is None or not under_way.text:
        return None
    if under_way.text == standing.current:
        return due("ok", CONFIRMED, under_way.text)
    if standing.took_back(under_way.text):
        return due("failed", ROLLED_BACK, standing.failed or "")
    return None


class Attempt:
    """An installation by hand. `by` gives it; `unnoted` hears why something of it is not in the audit."""

    def __init__(self, book: UpdateBook, by: str, unnoted: Callable[[Text], None]) -> None:
        self._book = book
        self._by = by
        self._unnoted = unnoted
        self._release: str | None = None

    def begin(self, manifest: Manifest) -> None:
        """Note that this release is being installed."""
        self._release = manifest.name
        self._note("accepted", INSTALLING, manifest.name)

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Note what keeps it from being installed."""
        try:
            yield
        except StairwellError as error:
            if self._release is None:
                self._note("rejected", None, error.problem)
            else:
                self._note("failed", NOT_INSTALLED, error.problem)
            raise

    def _note(self, status: str, code: str | None, text: str) -> None:
        try:
            self._book.note(AuditLine(COMMAND, None, self._by, None, status, code, text))
        except StorageError as error:
            self._unnoted(error.line)
        except OSError as error:
            self._unnoted(reason(error))


def _last(tx: sqlite3.Connection) -> AuditLine | None:
    return docket.last_audited(tx, COMMAND, STEPS)


def _say(line: AuditLine) -> None:
    code = f": {line.code}" if line.code else ""
    _AUDIT.info("update of %s by %s is %s%s", line.text or "?", line.by or "somebody", line.status, code)
