"""Erasing a kit that is taken down, sold or sent to repair; goes on wherever it was cut off.

    mark        what there was is counted and noted in `erase.json`: from here no agent starts on this state
    keys        TLS keys and certificates, passwords, the key of waiting pictures
    clips       clips and manifests; sealed ones are not overwritten, for nobody here can open them
    database    messages, index, audit, what the city has set, and all else in the state directory
    settings    the kit's own file: place, masks, camera address
    receipt     signed, kept in the mark and in a file of choice
    identity    the signing key: nothing can be signed in the kit's name from here on
    end         the mark goes, once the receipt was told

No record is kept of the steps: each destroys what there still is of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from agent import checkedfile
from agent.app.erasure_receipt import Receipt, receipt
from agent.app.erasure_survey import SEALED, Counts, Survey
from agent.app.statelock import ERASURE, LOCK, StateLock
from agent.device import shred
from agent.device.identity import KEYS, Identity
from agent.durable import sync_directory
from agent.errors import StorageError
from agent.reasons import reason
from agent.words import counted, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.config import Settings
    from agent.device.clock import Clock


class Mark(BaseModel):
    """What `erase.json` holds."""

    model_config = ConfigDict(frozen=True, strict=True)

    kit: str
    counts: Counts
    runs: int = 0
    receipt: Receipt | None = None


class Erasure:
    """The erasing of the kit that `settings` describe; it holds the state's lock until `close`.

    `settings_file` goes, too; None keeps it.

    Raises:
        OccupiedError: the agent runs.
        StorageError: there is nothing to erase, or whoever asks may not.
    """

    def __init__(self, settings: Settings, settings_file: Path | None, clock: Clock) -> None:
        self._settings, self._settings_file, self._clock = settings, settings_file, clock
        self._state = settings.state.dir
        self._mark_path = self._state / ERASURE
        if not self._state.is_dir() or not any(path.name != LOCK for path in self._state.iterdir()):
            raise StorageError(
                say("{directory}: there is nothing to erase", directory=self._state),
                fix=say("name the kit's settings by --config; one that was erased has nothing more"),
            )
        self._lock = StateLock(self._state, erasing=True)
        try:
            self._survey = Survey.of(settings, settings_file)
            if (obstacle := self._survey.obstacle()) is not None:
                raise StorageError(
                    say("{path}: you may take nothing out of it", path=obstacle),
                    fix=say("run it with sudo, or keep the settings by --keep-settings"),
                )
            if not self._plausible():
                raise StorageError(
                    say("{directory}: is no state directory of a kit", directory=self._state),
                    fix=say("correct state.dir; nothing was erased"),
                )
            found = self._read()
            self.resumed = found is not None
            """An earlier run was cut off."""
            self.mark = found or Mark(kit=settings.kit.id, counts=self._survey.counts(settings))
        except StorageError:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def check(self, *, even_held: bool) -> None:
        """Whether clips on hold are in the way. They are not when an earlier run has begun.

        Raises:
            StorageError: there are some, or nobody can tell, and they were not given up.
        """
        held = self.mark.counts.held
        if self.resumed or even_held or held == 0:
            return
        fix = say("export them first (stairwell clips export), or give them up by --even-held")
        if held is None:
            raise StorageError(
                say("the database cannot be read: nobody can tell whether clips are on hold"), fix=fix
            )
        raise StorageError(counted("{n} clip is on hold", "{n} clips are on hold", held), fix=fix)

    def destroy(
        self, keep: Callable[[Receipt], None], progress: Callable[[str, int, int | None], None]
    ) -> Receipt:
        """Destroy all but the mark. `keep` puts the receipt where it was asked for, before the last key goes.

        Raises:
            StorageError: the disk refused; the next run goes on.
        """
        if self.mark.receipt is None:
            self._write(self.mark.model_copy(update={"runs": self.mark.runs + 1}))
            # Anew: SQLite leaves files beside a database that was looked at.
            self._survey = Survey.of(self._settings, self._settings_file)
            for step in self._survey.steps:
                self._destroy(step.name, step.files, progress)
            self._write(self.mark.model_copy(update={"receipt": self._receipt()}))
        told = self.mark.receipt
        if told is None:
            raise AssertionError("the mark has its receipt by now")
        keep(told)
        self._destroy("identity", self._survey.identity, progress)
        return told

    def finish(self) -> None:
        """The receipt was told: take the mark away, and the empty directories. It is over then.

        Raises:
            StorageError: the disk refused; the next run tells the receipt again.
        """
        try:
            folders = [path for path in self._state.rglob("*") if path.is_dir() and not path.is_symlink()]
            for folder in sorted(folders, reverse=True):
                if not folder.is_mount():
                    folder.rmdir()
            for name in (LOCK, ERASURE):
                shred.destroy(self._state / name, overwrite=False)  # no secret; cut off, it must still read
            sync_directory(self._state)
        except OSError as error:
            raise _refused(self._state, error) from None

    def _destroy(
        self, step: str, files: Iterable[Path], progress: Callable[[str, int, int | None], None]
    ) -> None:
        found = [(path, path.lstat().st_size) for path in files]
        total = sum(size for _, size in found)
        path = self._state
        try:
            for path, size in found:
                settings = path == self._settings_file  # the next run reads them, if they are there
                shred.destroy(path, overwrite=not path.name.endswith(SEALED), name_first=settings)
                progress(step, size, total)
            for folder in sorted({path.parent for path, _ in found}):
                sync_directory(folder)
        except OSError as error:
            raise _refused(path, error) from None

    def _receipt(self) -> Receipt:
        return receipt(
            self.mark.kit,
            self._clock.stamp(),
            self.mark.counts,
            Identity.read(self._state / KEYS),
            runs=self.mark.runs,
            settings=self._settings_file is not None,
        )

    def _plausible(self) -> bool:
        """A wrong `state.dir` (/, /home) shall cost nothing."""
        known = (ERASURE, "agent.db", KEYS, "enrol.toml", "tls")
        return any((self._state / name).exists() for name in known) and self._state.resolve() not in {
            Path("/"),
            Path.home().resolve(),
        }

    def _read(self) -> Mark | None:
        body = checkedfile.read(self._mark_path)
        try:
            return None if body is None else Mark.model_validate_json(body)
        except ValidationError:
            return None

    def _write(self, mark: Mark) -> None:
        checkedfile.write(self._mark_path, mark.model_dump_json().encode())
        self.mark = mark


def _refused(path: Path, error: OSError) -> StorageError:
    return StorageError(
        say("{path}: cannot be erased ({reason})", path=path, reason=reason(error)),
        fix=say("run it again: it goes on. A card that is worn out must be destroyed by hand"),
        errno=error.errno,
    )
