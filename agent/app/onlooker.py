"""Looking at the agent's database beside a running agent, or without one.

The connection cannot write, holds no lock for longer than one question, and keeps the agent waiting for
nothing: with a log beside the file (WAL) readers and the writer do not meet. The agent itself may look, too.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from agent.errors import StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

BUSY_S = 30.0  # a card that syncs one of the agent's commits for longer has failed
_CANNOT_HAVE_ITS_LOG = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
_PRIMARY = 0xFF  # the low byte of an extended result code


def look(database: Path, question: Callable[[sqlite3.Connection], T]) -> T:
    """What `question` makes of the database; all that it reads is of one moment.

    Raises:
        StorageError: it is not there, it may not be read, or it is none.
    """
    log = database.with_name(database.name + "-wal")
    try:
        if not database.is_file():
            raise StorageError(
                say("{path}: there is no such database", path=database),
                fix=say(
                    "name the agent's configuration with --config (state.dir); "
                    "a kit that never ran has none yet"
                ),
            )
        # SQLite does not say that it was a matter of rights. To open the file would take away the locks of a
        # process that has the database open as well: to close any descriptor does (sqlite.org/howtocorrupt).
        if not os.access(database, os.R_OK, effective_ids=True):
            raise PermissionError
        still = not log.exists() or log.stat().st_size == 0
    except PermissionError:
        raise StorageError(
            say("{path}: permission denied", path=database), fix=say("run it with sudo")
        ) from None
    except OSError as error:
        raise StorageError(
            say("{path}: cannot be read ({reason})", path=database, reason=reason(error)),
            fix=say("replace a card that is worn out"),
        ) from None
    try:
        try:
            return _asked(database, "mode=ro", question)
        except sqlite3.OperationalError as error:
            # Where nothing can be made beside it (a read-only card) SQLite wants to know that nobody writes;
            # an agent that was stopped in order leaves no log, and one that runs always has one.
            if not still or error.sqlite_errorcode & _PRIMARY not in _CANNOT_HAVE_ITS_LOG:
                raise
            return _asked(database, "immutable=1", question)
    except sqlite3.Error as error:
        raise StorageError(
            say("{path}: cannot be read ({reason})", path=database, reason=reason(error)),
            fix=say("run it with sudo; one of an older version is brought up by the agent's next start"),
        ) from None


def _asked(database: Path, how: str, question: Callable[[sqlite3.Connection], T]) -> T:
    address = f"file:{quote(str(database))}?{how}"
    with closing(sqlite3.connect(address, timeout=BUSY_S, isolation_level=None, uri=True)) as connection:
        connection.execute("BEGIN")
        try:
            return question(connection)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
