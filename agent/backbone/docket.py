"""The book of orders: what was given, how it ended, and an account of each for an auditor.

Invariants:
- An order that is under way has a row since before it began, so it is never begun twice: not by a repeated
  message, and not after a crash.
- The last KEPT orders that ended are remembered for KEPT_S of uptime at least, with what came of them as far
  as that is short and nobody's picture.
- A nonce that was taken is remembered for as long. No signed order counts whose `exp` is not above that of
  each nonce that was forgotten: none is done again, however far the clock may go back.
- The audit keeps the last AUDIT_MAX lines. Rejected orders get a limited number of them: who floods the kit
  must neither wear out its card nor wash away what was done before.

Every function works on the connection of a unit of work (`agent.database.Database`) and commits nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from agent.backbone.examination import Envelope, Given
    from agent.device.clock import Stamp

KEPT = 1000
KEPT_S = 86_400.0
NONCES_MAX = 10_000  # of signed orders: the platform's own, so none of them is lost to a flood of others
OUT_MAX = 4096  # bytes of a result that is kept: 1000 of them are 4 MB at most
TEXT_MAX = 500  # characters of a line for the auditor
AUDIT_MAX = 5000  # lines, some 1 MB: a year of a kit that is worked with

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    req TEXT NOT NULL UNIQUE,
    cmd TEXT NOT NULL,
    digest TEXT NOT NULL,
    topic TEXT NOT NULL,
    correlation BLOB,
    status TEXT NOT NULL,
    code TEXT,
    text TEXT,
    out TEXT,
    born TEXT NOT NULL,    -- the boot in which it was given
    boot TEXT NOT NULL,    -- boot and mono: since when it is kept
    mono REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS order_nonces (
    nonce TEXT PRIMARY KEY,
    exp TEXT NOT NULL,     -- of its order, as Ts: such texts have the order of their times
    boot TEXT NOT NULL,
    mono REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS order_floor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    exp TEXT NOT NULL      -- the highest of the nonces that were forgotten
) STRICT;
CREATE TABLE IF NOT EXISTS audit (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    boot TEXT NOT NULL,
    mono REAL NOT NULL,
    ts TEXT,
    clk TEXT NOT NULL,
    cmd TEXT,
    req TEXT,
    by TEXT,               -- as the order says; proven only if there is a key
    key TEXT,              -- the platform's key that signed, or was claimed by a rejected order
    status TEXT NOT NULL,
    code TEXT,
    text TEXT,
    passed_over INTEGER NOT NULL    -- rejected orders before this line that got none
) STRICT;
"""

Standing = Literal["accepted", "ok", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an order ended. `secret`: what came of it may be said once, and must not be kept."""

    ok: bool
    code: str | None = None
    text: str | None = None
    out: dict[str, Any] | None = None
    secret: bool = False

    @property
    def status(self) -> Literal["ok", "failed"]:
        """In the words of the contract."""
        return "ok" if self.ok else "failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """An order in the book."""

    req: str
    cmd: str
    digest: str
    topic: str
    correlation: bytes | None
    status: Standing
    code: str | None
    text: str | None
    out: dict[str, Any] | None
    born: str


@dataclass(frozen=True, slots=True)
class AuditLine:
    """What an auditor gets to know of one step of an order."""

    cmd: str | None
    req: str | None
    by: str | None
    key: str | None
    status: str
    code: str | None
    text: str | None
    passed_over: int = 0


_ENTRY = "req, cmd, digest, topic, correlation, status, code, text, out, born"


def find(tx: sqlite3.Connection, req: str) -> Entry | None:
    """The order with this `req`, if it is remembered."""
    row = tx.execute(f"SELECT {_ENTRY} FROM orders WHERE req = ?", (req,)).fetchone()  # noqa: S608 - own names
    return None if row is None else _entry(row)


def full(tx: sqlite3.Connection) -> bool:
    """Whether no more nonces can be remembered."""
    count: int = tx.execute("SELECT count(*) FROM order_nonces").fetchone()[0]
    return count >= NONCES_MAX


def take_nonce(tx: sqlite3.Connection, nonce: str, exp: str, now: Stamp) -> bool:
    """Note the nonce of an order with this `exp`; False if it was taken before."""
    row = (nonce, exp, now.boot, now.mono)
    return tx.execute("INSERT OR IGNORE INTO order_nonces VALUES (?, ?, ?, ?)", row).rowcount == 1


def outlived(tx: sqlite3.Connection, exp: str) -> bool:
    """Whether the nonce of an order with this `exp` may have been taken, and forgotten since."""
    return tx.execute("SELECT 1 FROM order_floor WHERE exp >= ?", (exp,)).fetchone() is not None


def enter(tx: sqlite3.Connection, given: Given, now: Stamp) -> None:
    """Note that an order is accepted. Its `req` must not be there yet."""
    envelope = given.envelope
    tx.execute(
        "INSERT INTO orders (req, cmd, digest, topic, correlation, status, born, boot, mono) "
        "VALUES (?, ?, ?, ?, ?, 'accepted', ?, ?, ?)",
        (
            given.req,
            envelope.name,
            given.digest,
            envelope.topic,
            envelope.correlation,
            now.boot,
            now.boot,
            now.mono,
        ),
    )


def finish(tx: sqlite3.Connection, req: str, outcome: Outcome, now: Stamp) -> None:
    """Note how an order ended."""
    out = None if outcome.out is None or outcome.secret else json.dumps(outcome.out, ensure_ascii=False)
    if out is not None and len(out.encode()) > OUT_MAX:
        out = None
    tx.execute(
        "UPDATE orders SET status = ?, code = ?, text = ?, out = ?, boot = ?, mono = ? WHERE req = ?",
        (outcome.status, outcome.code, outcome.text, out, now.boot, now.mono, req),
    )


def under_way(tx: sqlite3.Connection) -> list[Entry]:
    """The orders that were accepted and have not ended, in the order in which they were given."""
    rows = tx.execute(f"SELECT {_ENTRY} FROM orders WHERE status = 'accepted' ORDER BY n")  # noqa: S608 - own names
    return [_entry(row) for row in rows]


def forget(tx: sqlite3.Connection, now: Stamp) -> None:
    """Drop what need not be remembered any more.

    How long the kit was without power nobody knows: rows of an earlier boot are counted from now.
    """
    for table in ("orders", "order_nonces"):
        tx.execute(
            f"UPDATE {table} SET boot = ?, mono = ? WHERE boot <> ?",  # noqa: S608 - own names
            (now.boot, now.mono, now.boot),
        )
    since = (now.mono - KEPT_S,)
    tx.execute(
        "INSERT INTO order_floor SELECT 1, exp FROM order_nonces WHERE mono < ? ORDER BY exp DESC LIMIT 1 "
        "ON CONFLICT (one) DO UPDATE SET exp = max(exp, excluded.exp)",
        since,
    )
    tx.execute("DELETE FROM order_nonces WHERE mono < ?", since)
    tx.execute("DELETE FROM orders WHERE mono < ? AND status <> 'accepted'", since)
    tx.execute(
        "DELETE FROM orders WHERE status <> 'accepted' AND n NOT IN "
        "(SELECT n FROM orders WHERE status <> 'accepted' ORDER BY n DESC LIMIT ?)",
        (KEPT,),
    )


def audit(tx: sqlite3.Connection, line: AuditLine, now: Stamp) -> None:
    """Add a line to the account, its text cut to TEXT_MAX; the oldest goes when there are too many."""
    tx.execute(
        "INSERT INTO audit (boot, mono, ts, clk, cmd, req, by, key, status, code, text, passed_over) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            now.boot,
            now.mono,
            now.ts,
            now.clk,
            line.cmd,
            line.req,
            line.by,
            line.key,
            line.status,
            line.code,
            line.text and line.text[:TEXT_MAX],
            line.passed_over,
        ),
    )
    tx.execute("DELETE FROM audit WHERE n <= (SELECT max(n) FROM audit) - ?", (AUDIT_MAX,))


def last_audited(tx: sqlite3.Connection, cmd: str, codes: Sequence[str]) -> AuditLine | None:
    """The newest line on this command that has one of these codes."""
    rows = tx.execute(
        "SELECT cmd, req, by, key, status, code, text, passed_over FROM audit WHERE cmd = ? ORDER BY n DESC",
        (cmd,),
    )
    return next((line for line in (AuditLine(*row) for row in rows) if line.code in codes), None)


def giver(tx: sqlite3.Connection, req: str) -> tuple[str | None, str | None]:
    """Who gave an order, and with which key, as the audit has it; (None, None) when it has forgotten."""
    row: tuple[str | None, str | None] | None = tx.execute(
        "SELECT by, key FROM audit WHERE req = ? AND status = 'accepted' ORDER BY n LIMIT 1", (req,)
    ).fetchone()
    return row or (None, None)


def asked(envelope: Envelope, status: str, code: str | None = None, text: str | None = None) -> AuditLine:
    """A line on the order of this envelope."""
    return AuditLine(envelope.name, envelope.req, envelope.by, envelope.key, status, code, text)


def _entry(row: tuple[Any, ...]) -> Entry:
    fields = dict(zip(_ENTRY.split(", "), row, strict=True))
    fields["out"] = None if fields["out"] is None else json.loads(fields["out"])
    return Entry(**fields)
