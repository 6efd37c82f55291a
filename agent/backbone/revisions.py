"""The revisions of the city's configuration that a kit keeps: the last good one, and one that is on trial.

Invariants:
- What is kept is one file with its checksum, changed by one rename: a power cut leaves the state of before a
  step or of after it, never a mixture.
- A start with a revision on trial is counted on disk before it is made. So whatever ends the process, and
  however often, such a revision is started ATTEMPTS times at most, and then never again.
- Beside a trial there is always the last good revision to fall back to; revision 0, without values, is the
  kit's own file.
- A revision that is not above the highest ever kept is not taken: no old configuration can be played back.
- The last good revision lies in a file of its own too: it survives damage to the other one.

How a revision goes: `take` puts it on trial, `begin` counts each start with it, and then it either has proven
itself (`prove`: it is the last good one) or did not work (`roll_back`, or ATTEMPTS starts without proof).
`forgive` takes a start back that was ended on purpose. Safe to call from any thread.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent import checkedfile
from agent.backbone.desired import digest
from agent.durable import free_name
from agent.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

STATE = "configuration.json"
GOOD = "configuration.good.json"
ATTEMPTS = 2  # one may be a power cut's fault
FAILURE_MAX = 500  # characters kept of why a trial failed

_LOG = logging.getLogger(__name__)


class Revision(BaseModel):
    """A configuration and its number."""

    model_config = ConfigDict(frozen=True, strict=True)

    rev: int = Field(default=0, ge=0)
    values: dict[str, dict[str, Any]] = {}

    @property
    def digest(self) -> str:
        """Tells its values from those of another with the same number."""
        return digest(self.values)


OWN = Revision()
"""The settings of the kit's own file."""

Fate = Literal["applied", "pending", "refused", "rolled-back"]


class Answer(BaseModel):
    """What became of the revision `rev`, in the words of `cfg/rep`; None for one without a good signature."""

    model_config = ConfigDict(frozen=True, strict=True)

    rev: int | None = None
    fate: Fate = "applied"
    digest: str = ""
    why: str = ""
    detail: str = ""
    errors: dict[str, str] = {}


class Kept(BaseModel):
    """All that is kept."""

    model_config = ConfigDict(frozen=True, strict=True)

    good: Revision = OWN
    trial: Revision | None = None
    attempts: int = Field(default=0, ge=0)
    """Starts with the revision on trial that have not proven it, the present one included."""
    failure: str = ""
    """How the last of them ended, if that is known."""
    highest: int = Field(default=0, ge=0)
    answer: Answer = Answer()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.trial is not None and not self.good.rev < self.trial.rev <= self.highest:
            raise ValueError("the revision on trial is not the latest")
        return self

    def to(self, **changes: Any) -> Kept:  # noqa: ANN401 - any field
        """The state after a step."""
        return self.model_copy(update=changes)


_Content = TypeVar("_Content", Kept, Revision)


class Revisions:
    """What lies in `directory`. A file that is damaged is put aside (`set_aside`), and the good one counts.

    Raises:
        StorageError: the directory cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self.set_aside: list[Path] = []
        self._kept = self._read()

    @staticmethod
    def next(directory: Path) -> Revision:
        """What the next start in this directory would run with; nothing is changed.

        Raises:
            StorageError: the directory cannot be read.
        """
        kept = _load(directory / STATE, Kept)
        if kept is None:
            return _load(directory / GOOD, Revision) or OWN
        return kept.trial if kept.trial is not None and kept.attempts < ATTEMPTS else kept.good

    @property
    def good(self) -> Revision:
        """The last that has proven itself."""
        return self._kept.good

    @property
    def highest(self) -> int:
        """The highest number that was ever kept."""
        return self._kept.highest

    @property
    def answer(self) -> Answer:
        """What became of the last revision that was taken or refused."""
        return self._kept.answer

    def known(self, revision: Revision) -> Answer | None:
        """What was said of this very revision; None if it is news, or was refused: it may be judged anew."""
        answer = self._kept.answer
        same = (answer.rev, answer.digest) == (revision.rev, revision.digest)
        return answer if same and answer.fate != "refused" else None

    def is_old(self, revision: Revision) -> bool:
        """Whether its number, or a higher one, stands for something else already."""
        kept = self._kept
        again = (kept.answer.rev, kept.answer.digest) == (revision.rev, revision.digest)
        return revision.rev < kept.highest or (revision.rev == kept.highest and not again)

    def begin(self) -> Revision:
        """What to start with now. One on trial is counted; one that was started often enough is rolled back.

        While the disk refuses to count, nothing is tried.
        """
        with self._lock:
            kept = self._kept
            if kept.trial is None:
                return kept.good
            try:
                if kept.attempts >= ATTEMPTS:
                    how = kept.failure or "it was killed or lost power"
                    self._drop(kept.trial, f"the agent ended {kept.attempts} times with it; last: {how}")
                    return self._kept.good
                self._write(kept.to(attempts=kept.attempts + 1))
            except StorageError as error:
                _LOG.error("revision %d is not tried: %s", kept.trial.rev, error)
                return kept.good
            return kept.trial

    def take(self, revision: Revision) -> None:
        """Put a revision on trial, from the next start on.

        Raises:
            StorageError: the disk refuses; nothing was changed.
        """
        answer = Answer(rev=revision.rev, fate="pending", digest=revision.digest)
        with self._lock:
            self._write(
                self._kept.to(trial=revision, attempts=0, failure="", highest=revision.rev, answer=answer)
            )

    def refuse(self, revision: Revision, why: str, detail: str, errors: dict[str, str]) -> None:
        """Keep that a revision was refused, so that none below it is taken; one on trial stays there.

        Raises:
            StorageError: the disk refuses; nothing was changed.
        """
        answer = Answer(
            rev=revision.rev,
            fate="refused",
            digest=revision.digest,
            why=why,
            detail=detail,
            errors=errors,
        )
        with self._lock:
            if answer != self._kept.answer:
                self._write(self._kept.to(highest=max(self._kept.highest, revision.rev), answer=answer))

    def prove(self, revision: Revision) -> None:
        """It works: from now on it is what there is to fall back to. Nothing happens if it is not on trial.

        Raises:
            StorageError: the disk refuses; it is on trial still.
        """
        with self._lock:
            kept = self._kept
            if kept.trial != revision:
                return
            # First the copy: should the other file be damaged after, it must not lead further back than this.
            self._put(GOOD, revision)
            answer = kept.answer
            if answer.rev == revision.rev:
                answer = answer.model_copy(update={"fate": "applied"})
            self._write(kept.to(good=revision, trial=None, attempts=0, failure="", answer=answer))

    def forgive(self, revision: Revision) -> None:
        """The start with it was ended on purpose: it does not count.

        Raises:
            StorageError: the disk refuses; it counts.
        """
        with self._lock:
            kept = self._kept
            if kept.trial == revision and kept.attempts:
                self._write(kept.to(attempts=kept.attempts - 1))

    def note(self, revision: Revision, failure: str) -> None:
        """How the start with it ended: for the report, should it be rolled back.

        Raises:
            StorageError: the disk refuses.
        """
        with self._lock:
            if self._kept.trial == revision:
                self._write(self._kept.to(failure=failure[:FAILURE_MAX]))

    def roll_back(self, revision: Revision, detail: str) -> None:
        """It does not work: the last good one counts again, and it is never tried again.

        Raises:
            StorageError: the disk refuses.
        """
        with self._lock:
            if self._kept.trial == revision:
                self._drop(revision, detail)

    def _drop(self, revision: Revision, detail: str) -> None:
        kept = self._kept
        _LOG.error("configuration %d is rolled back to %d: %s", revision.rev, kept.good.rev, detail)
        answer = Answer(rev=revision.rev, fate="rolled-back", digest=revision.digest, detail=detail)
        self._write(kept.to(trial=None, attempts=0, failure="", answer=answer))

    def _write(self, kept: Kept) -> None:
        self._put(STATE, kept)
        self._kept = kept

    def _put(self, name: str, content: BaseModel) -> None:
        checkedfile.write(self._directory / name, content.model_dump_json().encode())

    def _read(self) -> Kept:
        """What is kept; a damaged file is set aside."""
        kept = self._sound(STATE, Kept)
        if kept is not None:
            return kept
        good = self._sound(GOOD, Revision) or OWN
        return Kept(good=good, highest=good.rev, answer=Answer(rev=good.rev or None, digest=good.digest))

    def _sound(self, name: str, kind: type[_Content]) -> _Content | None:
        path = self._directory / name
        found = _load(path, kind)
        if found is None and path.exists():
            aside = free_name(path)
            _LOG.error("%s is damaged: it is put aside as %s", path, aside.name)
            try:
                path.rename(aside)
            except OSError as error:
                _LOG.error("%s: cannot be renamed (%s)", path, error.strerror)
            self.set_aside.append(aside)
        return found


def _load(path: Path, kind: type[_Content]) -> _Content | None:
    """What the file holds; None if there is none, or it is damaged."""
    body = checkedfile.read(path)
    if body is None:
        return None
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:  # of another version of the agent
        _LOG.error("%s: %s", path, error)
        return None
