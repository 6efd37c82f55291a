"""One-time claims: 128 bits by chance that a kit trades for its first certificate.

The register keeps a hash only: who reads it, or a backup of it, can enrol nothing. A claim is bound to its
kit's id, which is hashed with it; a kit has one at most that counts.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from agent.city import moment
from agent.city.kits import MOVES, State
from agent.city.registry import kit_of, note
from agent.device.enrolfile import CLAIM_LENGTH
from agent.errors import ConfigError
from agent.kitid import ALPHABET

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

BITS = 128
LIFE_H = 72.0  # from the depot to the wall, with a weekend between
LIFE_MAX_H = 14 * 24.0
DIGIT_BITS = 5


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim, told this one time only."""

    kit: str
    text: str
    expires: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What the register knows of a claim."""

    n: int
    kit: str
    made: str
    expires: str
    used: str | None
    withdrawn: str | None


def digest(kit: str, claim: str) -> bytes:
    """As the register keeps it. What has 128 bits by chance needs no slow hash."""
    return hashlib.sha256(f"{kit}:{claim}".encode()).digest()


def make(db: sqlite3.Connection, kit: str, by: str, now: datetime, life_h: float = LIFE_H) -> Claim:
    """A new claim for a kit, within a transaction of the register; the one before counts no more.

    Raises:
        ConfigError: the kit is not in the register, or gone for good; or `life_h` is out of bounds.
    """
    if not 0 < life_h <= LIFE_MAX_H:
        raise ConfigError(
            f"{life_h:g} hours: no life of a claim", fix=f"give it up to {LIFE_MAX_H:.0f} hours"
        )
    state = kit_of(db, kit).state
    if State.CLAIMED not in MOVES[state]:
        raise ConfigError(f"{kit}: is {state}", fix="take a new kit, with an id of its own")
    withdraw(db, kit, now)
    claim = Claim(kit, _encoded(secrets.randbits(BITS)), moment.text(now + timedelta(hours=life_h)))
    db.execute(
        "INSERT INTO claims (kit, digest, made, expires) VALUES (?, ?, ?, ?)",
        (kit, digest(kit, claim.text), moment.text(now), claim.expires),
    )
    note(db, now, "claim made", by, kit, f"counts until {claim.expires}")
    return claim


def withdraw(db: sqlite3.Connection, kit: str, now: datetime) -> None:
    """No claim of the kit counts any more."""
    db.execute(
        "UPDATE claims SET withdrawn = ? WHERE kit = ? AND used IS NULL AND withdrawn IS NULL",
        (moment.text(now), kit),
    )


def counting(db: sqlite3.Connection, now: datetime) -> set[str]:
    """The kits with a claim that still counts: a card with it may be on its way."""
    rows = db.execute(
        "SELECT kit FROM claims WHERE used IS NULL AND withdrawn IS NULL AND expires > ?",
        (moment.text(now),),
    )
    return {kit for (kit,) in rows}


def find(db: sqlite3.Connection, kit: str, claim: str) -> Kept | None:
    """The claim of this text, if it was made for this kit."""
    row = db.execute(
        "SELECT n, kit, made, expires, used, withdrawn FROM claims WHERE digest = ?", (digest(kit, claim),)
    ).fetchone()
    return Kept(*row) if row else None


def of_kit(db: sqlite3.Connection, kit: str) -> list[Kept]:
    """All that were made for a kit, oldest first."""
    rows = db.execute(
        "SELECT n, kit, made, expires, used, withdrawn FROM claims WHERE kit = ? ORDER BY n", (kit,)
    ).fetchall()
    return [Kept(*row) for row in rows]


def _encoded(number: int) -> str:
    digits = (
        number >> shift & (len(ALPHABET) - 1) for shift in range(0, CLAIM_LENGTH * DIGIT_BITS, DIGIT_BITS)
    )
    return "".join(ALPHABET[digit] for digit in digits)
