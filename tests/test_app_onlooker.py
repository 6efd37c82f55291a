"""Looking at a database that is in use."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from agent.app.onlooker import look

if TYPE_CHECKING:
    from pathlib import Path

OTHER = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('SELECT * FROM kept'); db.close()"


def test_who_has_the_database_open_may_look_at_it_too(tmp_path: Path) -> None:
    """Its locks stay: another process that comes and goes does not take its log away from under it."""
    path = tmp_path / "agent.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as own:
        own.execute("PRAGMA journal_mode=WAL")
        own.execute("CREATE TABLE kept (n INTEGER)")

        assert [(0,)] == look(path, lambda tx: tx.execute("SELECT count(*) FROM kept").fetchall())
        subprocess.run([sys.executable, "-c", OTHER, path], check=True)
        own.execute("INSERT INTO kept VALUES (1)")

        assert [(1,)] == look(path, lambda tx: tx.execute("SELECT count(*) FROM kept").fetchall())
        assert (tmp_path / "agent.db-wal").exists()
