"""The city's register of kits: what each is, where it hangs, what it was given, and who did what when.

Invariants:
- Whatever changes, changes in one transaction together with the line of the audit trail that tells of it.
- Lines of the audit trail are added, and never altered or deleted: the database itself refuses it.
- A kit's state changes along `kits.MOVES` only.
- What a call did is on disk when it returns (WAL, `synchronous=FULL`).

Several programs may have it open at once: the enrolment service, and a command beside it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
import weakref
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from agent.city import moment
from agent.city.kits import MOVES, Kit, State
from agent.config import Site
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

NAME = "fleet.db"
VERSION = 1  # of the tables, `PRAGMA user_version`
FILE_MODE = 0o600
BUSY_S = 20.0  # an import of thousands of kits holds the register for seconds
REFUSALS_PER_H = (
    20  # of one kit in the trail: who asks in a loop must not fill the disk; the log has them all
)

RESTORE = "see that it is yours and whole; otherwise restore its backup"
_PRIMARY = 0xFF  # SQLite's primary result code, the low byte of an extended one
_UNSOUND = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

SCHEMA = """
CREATE TABLE kits (
  kit TEXT PRIMARY KEY, state TEXT NOT NULL, site TEXT NOT NULL, purpose TEXT NOT NULL,
  retention_h REAL NOT NULL, former TEXT NOT NULL DEFAULT '[]', rev INTEGER NOT NULL DEFAULT 0,
  added TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE claims (
  n INTEGER PRIMARY KEY, kit TEXT NOT NULL REFERENCES kits, digest BLOB NOT NULL UNIQUE,
  made TEXT NOT NULL, expires TEXT NOT NULL, used TEXT, withdrawn TEXT
) STRICT;
CREATE INDEX claims_kit ON claims (kit);
CREATE TABLE certificates (
  n INTEGER PRIMARY KEY, serial TEXT NOT NULL UNIQUE, name TEXT NOT NULL, key BLOB NOT NULL UNIQUE,
  pem TEXT NOT NULL, issued TEXT NOT NULL, ends TEXT NOT NULL, claim INTEGER REFERENCES claims,
  revoked TEXT, reason TEXT
) STRICT;
CREATE INDEX certificates_name ON certificates (name);
CREATE TABLE audit (
  n INTEGER PRIMARY KEY, at TEXT NOT NULL, kit TEXT, act TEXT NOT NULL, by TEXT NOT NULL, detail TEXT NOT NULL
) STRICT;
CREATE INDEX audit_kit ON audit (kit, act, at);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail stays'); END;
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail stays'); END;
"""

_LOG = logging.getLogger("audit")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the audit trail: who (`by`) did what (`act`) to which kit, if to one."""

    n: int
    at: str
    kit: str | None
    act: str
    by: str
    detail: str


class Registry:
    """The register in a city's directory. Threads may share one; each call is whole in itself.

    Raises:
        ConfigError: there is none, or it is of a newer version.
        StorageError: it cannot be opened.
    """

    def __init__(self, directory: Path, *, create: bool = False) -> None:
        self.path = directory / NAME
        self._lock = threading.Lock()
        if not create and not self.path.exists():
            raise ConfigError(
                f"{self.path}: there is no register of kits", fix="make the city with `stairwell ca init`"
            )
        try:
            if create:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.path.touch(FILE_MODE)
            self._db = sqlite3.connect(
                self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._close = weakref.finalize(self, self._db.close)
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                self._db.execute(f"PRAGMA {pragma}")
            with self.transaction() as db:
                version = int(db.execute("PRAGMA user_version").fetchone()[0])
                if version == 0:
                    _make(db)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"{self.path}: the register cannot be opened ({error})", fix=RESTORE) from None
        if version > VERSION:
            self.close()
            raise ConfigError(
                f"{self.path}: the register is of version {version}, newer than {VERSION}",
                fix="use the version of the agent that made it, or a newer one",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; it happens at the latest when nobody has the register any more."""
        self._close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it, or nothing: on disk when the block ends, undone when it raises.

        Raises:
            StorageError: the disk refused, the register is damaged, or somebody else holds it for too long.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except (
                sqlite3.IntegrityError,
                sqlite3.ProgrammingError,
            ):  # the caller's, and no fault of the disk's
                raise
            except sqlite3.DatabaseError as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                damaged = getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _UNSOUND
                raise StorageError(
                    f"{self.path}: {error}",
                    fix=RESTORE if damaged else "see that its disk is neither full nor read-only",
                ) from None

    def kits(self, state: State | None = None) -> list[Kit]:
        """All of them, or those in one state; by district, building and entrance."""
        with self.transaction() as db:
            rows = db.execute(
                "SELECT kit, state, site, purpose, retention_h, former, rev, added FROM kits"
                " WHERE state = coalesce(?, state)",
                (state,),
            ).fetchall()
        return sorted(map(_kit, rows), key=lambda kit: (where(kit.site), kit.kit))

    def kit(self, kit: str) -> Kit:
        """One of them.

        Raises:
            ConfigError: it is not in the register.
        """
        with self.transaction() as db:
            return kit_of(db, kit)

    def add(self, kits: Iterable[Kit], by: str, now: datetime) -> None:
        """Take new kits in; all or none.

        Raises:
            ConfigError: one is there already.
        """
        with self.transaction() as db:
            for kit in kits:
                site = kit.site.model_dump_json()
                try:
                    db.execute(
                        "INSERT INTO kits (kit, state, site, purpose, retention_h, added)"
                        " VALUES (?, ?, ?, ?, ?, ?)",
                        (kit.kit, State.MANUFACTURED, site, kit.purpose, kit.retention_h, moment.text(now)),
                    )
                except sqlite3.IntegrityError:
                    raise ConfigError(
                        f"{kit.kit}: is in the register already", fix="give the new kit an id of its own"
                    ) from None
                note(db, now, "added", by, kit.kit, where(kit.site))

    def change(self, kit: str, site: Site, purpose: str, retention_h: float, by: str, now: datetime) -> None:
        """What the city knows of a kit is another now; its card and certificate stay.

        Raises:
            ConfigError: it is not in the register.
        """
        with self.transaction() as db:
            before = kit_of(db, kit)
            former = [territory(place) for place in (*before.former, before.site)]
            kept = [place for place in former if place != territory(site)]
            db.execute(
                "UPDATE kits SET site = ?, purpose = ?, retention_h = ?, former = ? WHERE kit = ?",
                (site.model_dump_json(), purpose, retention_h, json.dumps(kept), kit),
            )
            note(db, now, "changed", by, kit, f"{where(before.site)} -> {where(site)}")

    def move(self, kit: str, state: State, by: str, why: str, now: datetime) -> None:
        """The kit is in another state now.

        Raises:
            ConfigError: it is not in the register, or that state cannot follow on its own.
        """
        with self.transaction() as db:
            move(db, kit, state, by, why, now)

    def next_revs(self, kits: Iterable[str], by: str, now: datetime) -> dict[str, int]:
        """The number of the next configuration of each kit; no number is given out twice.

        Raises:
            ConfigError: a kit is not in the register.
        """
        revs = {}
        with self.transaction() as db:
            for kit in kits:
                revs[kit] = kit_of(db, kit).rev + 1
                db.execute("UPDATE kits SET rev = ? WHERE kit = ?", (revs[kit], kit))
                note(db, now, "configured", by, kit, f"revision {revs[kit]}")
        return revs

    def note(self, act: str, by: str, detail: str, now: datetime, kit: str | None = None) -> int:
        """Add a line to the trail; its number."""
        with self.transaction() as db:
            return note(db, now, act, by, kit, detail)

    def note_refusal(self, kit: str, by: str, detail: str, now: datetime) -> None:
        """Tell of somebody who was sent away: in the log always, in the trail a bounded number of times."""
        _LOG.warning("enrolment of %s by %s refused: %s", kit, by, detail)
        with self.transaction() as db:
            since = moment.text(now - timedelta(hours=1))
            known = db.execute("SELECT 1 FROM kits WHERE kit = ?", (kit,)).fetchone()
            count = db.execute(
                "SELECT count(*) FROM audit WHERE kit = ? AND act = 'refused' AND at > ?", (kit, since)
            ).fetchone()[0]
            if known and count < REFUSALS_PER_H:
                note(db, now, "refused", by, kit, detail, log=False)

    def trail(self, kit: str | None = None, last: int = -1) -> list[Entry]:
        """The trail, or that of one kit, oldest first; the `last` lines of it, or all."""
        with self.transaction() as db:
            rows = db.execute(
                "SELECT n, at, kit, act, by, detail FROM audit WHERE ? IS NULL OR kit = ?"
                " ORDER BY n DESC LIMIT ?",
                (kit, kit, last),
            ).fetchall()
        return [Entry(*row) for row in reversed(rows)]


def kit_of(db: sqlite3.Connection, kit: str) -> Kit:
    """Within a transaction: see Registry.kit."""
    row = db.execute(
        "SELECT kit, state, site, purpose, retention_h, former, rev, added FROM kits WHERE kit = ?", (kit,)
    ).fetchone()
    if row is None:
        raise ConfigError(f"{kit}: not in the register", fix="`stairwell fleet list` shows who is")
    return _kit(row)


def move(db: sqlite3.Connection, kit: str, state: State, by: str, why: str, now: datetime) -> None:
    """Within a transaction: see Registry.move."""
    before = kit_of(db, kit).state
    if state not in MOVES[before]:
        may = ", ".join(sorted(MOVES[before])) or "nothing"
        raise ConfigError(f"{kit}: {before} cannot become {state}", fix=f"after {before} comes {may}")
    db.execute("UPDATE kits SET state = ? WHERE kit = ?", (state, kit))
    note(db, now, state, by, kit, f"was {before}: {why}")


def note(
    db: sqlite3.Connection,
    now: datetime,
    act: str,
    by: str,
    kit: str | None,
    detail: str,
    *,
    log: bool = True,
) -> int:
    """Within a transaction: add a line to the trail; its number."""
    if log:
        _LOG.info("%s %s by %s: %s", act, kit or "-", by, detail)
    row = db.execute(
        "INSERT INTO audit (at, kit, act, by, detail) VALUES (?, ?, ?, ?, ?) RETURNING n",
        (moment.text(now), kit, act, by, detail),
    ).fetchone()
    return int(row[0])


def territory(site: Site) -> dict[str, str]:
    """What of a place is in the topics of its kit."""
    return {"oblast": site.oblast, "city": site.city, "district": site.district}


def where(site: Site) -> str:
    """A place in one line."""
    floor = "" if site.floor is None else f", floor {site.floor}"
    return f"{site.oblast}/{site.city}/{site.district}, {site.building}, entrance {site.entrance}{floor}"


def _kit(row: tuple[str, str, str, str, float, str, int, str]) -> Kit:
    kit, state, site, purpose, retention_h, former, rev, added = row
    places = tuple(Site(**place) for place in json.loads(former))
    return Kit(kit, State(state), Site.model_validate_json(site), purpose, retention_h, places, rev, added)


def _make(db: sqlite3.Connection) -> None:
    """Statement by statement: `executescript` would end the transaction that we are in."""
    statement = ""
    for line in SCHEMA.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""
    db.execute(f"PRAGMA user_version = {VERSION}")
