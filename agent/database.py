"""The agent's one SQLite database and its one writer.

Invariants:
- Every write happens in the writer thread, so a message and the row that it speaks of commit together.
- A unit of work that returned is on disk: WAL with `synchronous=FULL` syncs each commit.
- Units that wait together commit together (one sync for all), each in a savepoint of its own: one that
  fails takes nothing with it. Who can wait says for how long, and costs no sync of its own if another comes.
- A file that is no sound database is set aside, never repaired in place, and a new one is begun.
"""

from __future__ import annotations

import contextlib
import errno
import queue
import sqlite3
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from agent.durable import free_name
from agent.errors import StorageError
from agent.reasons import reason
from agent.thread import NamedThread
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

T = TypeVar("T")
Work = "Callable[[sqlite3.Connection], T]"

GROUP_MAX = 64  # units in one commit; bounds the time until the first of them is answered
# SQLite's primary result codes, the low byte of an extended one, in the words of the system.
_PRIMARY = 0xFF
_ERRNO = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_IOERR: errno.EIO,
}
VERSION = 1  # of all that is kept, `PRAGMA user_version`
MIGRATIONS: dict[int, str] = {}
"""SQL that takes a database from a version to the next one. Those of before they were numbered say 0, and
are what version 1 is."""
_UNSOUND = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# Each commit writes every page that it touches, and of most it changes a few bytes: with 1 KiB the card gets
# a fifth more for an event, with SQLite's own 4 KiB a multiple (`scripts/bench writes`). Smaller ones there
# are not. For new files only.
PAGE_BYTES = 512
WAL_LIMIT_BYTES = 4 * 1024 * 1024  # the log is cut back to this: a card is no place for a growing log
# So long a log (a frame is a page and 24 bytes) is taken into the database and begun anew: the longer it is,
# the more often a page changes before it is written there, once. The rest of the limit is for a big commit.
CHECKPOINT_FRAMES = WAL_LIMIT_BYTES * 3 // 4 // (PAGE_BYTES + 24)
# SQLite keeps so much of its pages in memory. Its default of 2 MB fills so slowly that it looks like a leak.
# A larger commit spills into the log, where it goes anyway; what is read again the kernel still has.
CACHE_KIB = 512


@dataclass(frozen=True, slots=True)
class _Unit:
    work: Callable[[sqlite3.Connection], Any]
    future: Future[Any]
    due: float | None
    """When it is to be on disk, on the monotonic clock; None: it only looks."""


class Database:
    """A database file with the schemas of the rooms that keep something in it.

    `set_aside` names the unsound file that was found in its place, or is None.

    Raises:
        StorageError: the file cannot be created, opened or written.
    """

    def __init__(self, path: Path, schemas: Iterable[str]) -> None:
        self.path = path
        self.set_aside: Path | None = None
        self.unsound: str | None = None
        """What SQLite said when it found the open file damaged; a new start sets it aside."""
        self._schemas = tuple(schemas)
        self._lock = threading.Lock()
        self._closed = False
        self._queue: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._connection = self._open()
        except (OSError, sqlite3.OperationalError) as error:
            raise StorageError(
                say("{path}: the database cannot be opened ({reason})", path=path, reason=reason(error)),
                fix=say("see that the directory belongs to the agent's user and is not read-only or full"),
            ) from None
        self._thread = NamedThread("database", self._run)
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], T], *, within_s: float = 0.0) -> Future[T]:
        """Run `work` in the writer thread inside a transaction; the future is done once it is on disk.

        It may wait `within_s` for others to share its sync; the order of all units is kept. The future raises
        StorageError when the disk refused, or what `work` raised.

        Raises:
            StorageError: the database was closed.
        """
        return self._put(work, time.monotonic() + within_s)

    def look(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run `work`, which only reads, at once: it sees what is on disk, and not what still waits for it.

        Raises:
            StorageError: the database was closed.
        """
        return self._put(work, None)

    def ask(self, work: Callable[[sqlite3.Connection], T], timeout_s: float) -> T:
        """`submit`, and wait for it.

        Raises:
            StorageError: the disk refused, or did not answer in time: then the work may yet be done.
        """
        future = self.submit(work)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            if future.done():  # it was the work's own
                raise
            future.cancel()
            raise self._silent(timeout_s) from None

    def close(self, timeout_s: float | None = None) -> None:
        """Finish what was submitted, then close; a second time does nothing.

        Raises:
            StorageError: the disk did not answer in time.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join(timeout_s)
        if timeout_s is not None and self._thread.is_alive():
            raise self._silent(timeout_s)

    @property
    def alive(self) -> bool:
        """Whether the writer thread runs."""
        return self._thread.is_alive()

    def _put(self, work: Callable[[sqlite3.Connection], T], due: float | None) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise StorageError(
                    say("{path}: written after it was closed", path=self.path),
                    fix=say("start the agent anew"),
                )
            self._queue.put(_Unit(work, future, due))
        return future

    def _silent(self, seconds: float) -> StorageError:
        return StorageError(
            say("{path}: the disk did not answer for {seconds:g} s", path=self.path, seconds=seconds),
            fix=say("replace a card that is worn out"),
            errno=errno.EIO,
        )

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            return self._connect()

    def _put_aside(self) -> None:
        self.set_aside = free_name(self.path)
        wal = self.path.with_name(self.path.name + "-wal")
        if wal.exists():  # first: found beside a new database it would be read into that
            wal.rename(self.set_aside.with_name(self.set_aside.name + "-wal"))
        self.path.rename(self.set_aside)
        self.path.with_name(self.path.name + "-shm").unlink(missing_ok=True)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
            # Debian's SQLite overwrites what is deleted, which writes every picture twice. Pictures lie
            # here encrypted under a key that is nowhere on disk.
            connection.execute("PRAGMA secure_delete=FAST")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT_BYTES}")
            connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_FRAMES}")
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            self._bring_up(connection)
        except BaseException as error:
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                self._put_aside()  # before it is closed, which deletes the log
            connection.close()
            raise
        return connection

    def _bring_up(self, connection: sqlite3.Connection) -> None:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > VERSION:
            raise StorageError(
                say(
                    "{path}: written by a newer agent (version {found}, this one knows {own})",
                    path=self.path,
                    found=found,
                    own=VERSION,
                ),
                fix=say("install that agent again, or move the file away to begin anew"),
            )
        for version in range(found, VERSION):
            if version in MIGRATIONS:
                connection.executescript(f"BEGIN; {MIGRATIONS[version]}; COMMIT")
        for schema in self._schemas:
            connection.executescript(schema)
        if found < VERSION:
            connection.execute(f"PRAGMA user_version={VERSION}")

    def _run(self) -> None:
        running = True
        waiting: list[_Unit] = []
        while running:
            due = min((unit.due for unit in waiting if unit.due is not None), default=None)
            for unit in self._next(due, GROUP_MAX - len(waiting)):
                if unit is None:
                    running = False
                elif unit.due is None:
                    self._commit([unit], "BEGIN")
                else:
                    waiting.append(unit)
            due = min((unit.due for unit in waiting if unit.due is not None), default=None)
            if due is not None and (not running or len(waiting) >= GROUP_MAX or due <= time.monotonic()):
                self._commit(waiting, "BEGIN IMMEDIATE")
                waiting = []
        self._connection.close()

    def _next(self, due: float | None, room: int) -> Iterator[_Unit | None]:
        """What comes until `due`, with all that came with it, `room` at most."""
        timeout = None if due is None else max(0.0, due - time.monotonic())
        with contextlib.suppress(queue.Empty):
            yield self._queue.get(timeout=timeout)
            for _ in range(room - 1):
                yield self._queue.get_nowait()

    def _commit(self, units: list[_Unit], begin: str) -> None:
        batch = [unit for unit in units if unit.future.set_running_or_notify_cancel()]
        done: list[tuple[Future[Any], Any]] = []
        try:
            self._connection.execute(begin)
            for unit in batch:
                self._connection.execute("SAVEPOINT unit")
                try:
                    done.append((unit.future, unit.work(self._connection)))
                except Exception as error:  # handed whole to the caller, who waits for it
                    if _of_the_disk(error):
                        raise
                    self._connection.execute("ROLLBACK TO unit")
                    unit.future.set_exception(error)
                self._connection.execute("RELEASE unit")
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if error.sqlite_errorcode & _PRIMARY in _UNSOUND:
                self.unsound = str(error)
            refused = StorageError(
                say("{path}: cannot be written ({reason})", path=self.path, reason=reason(error)),
                fix=say("free space, or replace a card that is worn out"),
                errno=_ERRNO.get(error.sqlite_errorcode & _PRIMARY),
            )
            for unit in batch:
                if not unit.future.done():
                    unit.future.set_exception(refused)
            return
        for future, result in done:
            future.set_result(result)


def _of_the_disk(error: Exception) -> bool:
    """Whether the whole transaction is lost with it: not a broken constraint or a wrong statement."""
    about_the_unit = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError)
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, about_the_unit)
