"""The store of clips as a person works on it, beside a running agent or without one.

Reading goes through a connection that cannot write. What changes something is one short transaction of its
own: SQLite lets it in between two of the agent's, and the agent's courier finds the message that it leaves.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from agent.app import holding, onlooker
from agent.app.deletion import erase, sweep
from agent.app.reporter import Reporter, topics
from agent.app.schemas import DATABASE
from agent.backbone.outbox import Outbox
from agent.clips import hold, premises, readback, store
from agent.clips.export import export
from agent.config import Kit
from agent.device.account import asker
from agent.errors import ConfigError, StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pyrage import x25519

    from agent.backbone.drafts import Draft
    from agent.clips.export import Exported
    from agent.clips.store import StoredClip
    from agent.config import Settings
    from agent.device.clock import Clock
    from agent.types import ClipRecord

T = TypeVar("T")

SHORTEST = 4  # characters of a clip's id that may stand for it


class Archive:
    """The clips of the kit that `settings` describe.

    Raises:
        StorageError: there is no database.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.directory = settings.clips_dir
        self._clock = clock
        self._database = settings.state.dir / DATABASE
        self._outbox = Outbox(settings.outbox, topics(settings))
        if not self._database.is_file():
            raise StorageError(
                say("{path}: there is no such database", path=self._database),
                fix=say("name the agent's configuration with --config (state.dir), and run as its user"),
            )

    def read(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """What `look` makes of the database; all that it reads is of one moment.

        Raises:
            StorageError: the database cannot be read.
        """
        return onlooker.look(self._database, look)

    def ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a unit of work in a transaction of its own; it is on disk when this returns (see Ledger).

        Raises:
            StorageError: the database cannot be written.
        """
        try:
            address = f"file:{quote(str(self._database))}?mode=rw"
            opened = sqlite3.connect(address, timeout=onlooker.BUSY_S, isolation_level=None, uri=True)
            with closing(opened), opened:  # the inner one commits, or rolls back
                opened.execute("PRAGMA synchronous=FULL")
                opened.execute("BEGIN IMMEDIATE")
                return work(opened)
        except sqlite3.Error as error:
            raise StorageError(
                say("{path}: cannot be written ({reason})", path=self._database, reason=reason(error)),
                fix=say(
                    "run as the agent's user; one of an older version is brought up by the agent's start"
                ),
            ) from None

    def append(self, tx: sqlite3.Connection, draft: Draft) -> int:
        """See Ledger."""
        return self._outbox.append(tx, draft, self._clock.stamp())

    def clips(self, *, event: str | None = None) -> list[StoredClip]:
        """The clips in the order of recording; only those of `event` when given."""
        return self.read(lambda tx: store.clips(tx, event=event))

    def find(self, names: Sequence[str]) -> list[StoredClip]:
        """The clips of these ids; a part of an id that fits one clip alone stands for it.

        Raises:
            StorageError: one fits none, or more than one.
        """
        rows = self.clips()
        return [_the_one(rows, name) for name in dict.fromkeys(names)]

    def hold(self, clips: Sequence[StoredClip], *, held: bool) -> None:
        """Keep these clips whatever happens, or no longer.

        Raises:
            StorageError: one has gone meanwhile, and none is changed; or the disk refuses or is not there.
        """
        ids = [clip.record.id for clip in clips]
        self.check_premises()
        if held:
            now = self._clock.stamp()
            gone = holding.hold(self, self.directory, ids, by=asker(), why="clips hold", now=now)
        else:
            gone = holding.release(self, self.directory, ids)
        if gone is not None:
            raise _gone(gone)

    def erase(self, clips: Sequence[StoredClip], why: str) -> list[dict[str, Any]]:
        """Delete clips for good and tell the city; a receipt for each.

        Raises:
            ConfigError: the settings are no kit's, so nobody could be told.
            StorageError: one is on hold, or the disk refuses or is not there; nothing has changed then.
        """
        for clip in clips:
            if clip.held or hold.stands(self.directory, clip.record.id):
                raise StorageError(
                    say("clip {clip} is on hold", clip=clip.record.id),
                    fix=say("if it really may go: `stairwell clips release`, then erase it"),
                )
        self.check_premises()
        told = erase(self, self._reporter(), [clip.record for clip in clips], why)
        sweep(self, self.directory)
        return [
            self._receipt(clip.record, why, told[clip.record.id]) for clip in clips if clip.record.id in told
        ]

    def described(self, clips: Sequence[StoredClip]) -> list[dict[str, Any]]:
        """All that the index knows of these clips, as JSON types."""
        outcomes = self.read(readback.outcomes)
        return [
            {
                **_description(row.record),
                "held": row.held,
                "announced": row.announced,
                "readback": outcomes.get(row.record.id),
            }
            for row in clips
        ]

    def export(
        self,
        clip: StoredClip,
        target: Path,
        keys: Sequence[x25519.Identity],
        *,
        force: bool,
        progress: Callable[[int], object],
    ) -> Exported:
        """Put a clip with its manifest at `target`, opened when there are `keys`.

        Raises:
            ConfigError: none of the keys opens it.
            StorageError: there is no such directory, something is there and not to be written over, the
                clip is not what was signed, a disk refuses, or an opened clip would land in the kit's own
                state directory.
        """
        if keys and target.resolve().is_relative_to(self.settings.state.dir.resolve()):
            raise StorageError(
                say("{path}: an opened clip must not lie on the kit's card", path=target),
                fix=say("name a directory elsewhere"),
            )
        if not target.parent.is_dir():
            raise StorageError(
                say("{path}: is no directory", path=target.parent), fix=say("make it, or mount its disk")
            )
        if target.exists() and not force:
            raise StorageError(
                say("{path}: is there already", path=target),
                fix=say("name another directory, or give --force"),
            )
        self.check_premises()
        return export(self.directory, clip.record, target, keys, progress)

    def forget(self, clips: Sequence[StoredClip]) -> None:
        """Take clips whose files have gone out of the index, on hold or not, and tell the city.

        Raises:
            ConfigError: the settings are no kit's, so nobody could be told.
            StorageError: the disk refuses; nothing has changed then.
        """
        erase(self, self._reporter(), [clip.record for clip in clips], "missing", held=True)

    def check_premises(self) -> None:
        """Return if the directory of clips is the one that the index speaks of.

        Raises:
            StorageError: it isn't.
        """
        mark = self.read(premises.known_mark)
        if mark is not None:
            premises.check_premises(self.directory, mark)

    def _reporter(self) -> Reporter:
        if self.settings.kit.id == Kit().id:
            raise ConfigError(say("kit.id: not set"), fix=say("name the agent's configuration with --config"))
        return Reporter(self.settings, topics(self.settings), self._clock, self._stream(), None)

    def _stream(self) -> str:
        return self.read(lambda tx: self._outbox.numbers(tx, self._clock.stamp())).stream

    def _receipt(self, clip: ClipRecord, why: str, seq: int) -> dict[str, Any]:
        """What proves later that this very clip was deleted, when, and with which message."""
        return {
            "v": 1,
            "kit": self.settings.kit.id,
            "erased": asdict(self._clock.stamp()),
            "why": why,
            "message": {"stream": self._stream(), "seq": seq},
            **_description(clip),
        }


def _description(clip: ClipRecord) -> dict[str, Any]:
    return {
        "clip": clip.id,
        "events": list(clip.events),
        "start": {"boot": clip.boot, "mono": round(clip.started, 3), "ts": clip.ts, "clk": clip.clk},
        "dur": round(clip.duration, 3),
        "part": clip.part,
        "truncated": clip.truncated,
        "video": {"codec": clip.codec, "width": clip.width, "height": clip.height},
        "file": {
            "name": clip.path,
            "bytes": clip.bytes,
            "sha256": clip.sha256,
            "sealed": clip.sealed,
            "recipients": list(clip.recipients),
        },
        "manifest": {"sha256": clip.manifest, "prev": clip.prev, "sig": clip.sig},
    }


def _the_one(rows: Sequence[StoredClip], name: str) -> StoredClip:
    wanted = name.upper()
    exact = [row for row in rows if row.record.id == wanted]
    fitting = exact or [row for row in rows if len(wanted) >= SHORTEST and wanted in row.record.id]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise StorageError(
            say(
                "{name}: fits {n} clips, {one} among them",
                name=name,
                n=len(fitting),
                one=fitting[0].record.id,
            ),
            fix=say("give more of the id"),
        )
    raise _gone(name)


def _gone(name: str) -> StorageError:
    return StorageError(
        say("{name}: there is no such clip", name=name),
        fix=say("`stairwell clips list` names those there are"),
    )
