"""Certificates in the register: given, and taken back. All functions work within one of its transactions.

One key, one certificate: a key that was certified once is never certified anew, whoever asks. So a request
that somebody recorded is worth nothing, and neither is a key that somebody copied off an old card.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.city import moment
from agent.city.certificates import Revoked
from agent.city.registry import note

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

SUPERSEDED, CESSATION, COMPROMISED = (
    x509.ReasonFlags.superseded,
    x509.ReasonFlags.cessation_of_operation,
    x509.ReasonFlags.key_compromise,
)
REASONS = {flag.value: flag for flag in (SUPERSEDED, CESSATION, COMPROMISED)}
"""By the word that is kept."""
_BY_KEY = "SELECT serial, name, pem, issued, ends, claim, revoked, reason FROM certificates WHERE key = ?"
_BY_SERIAL = (
    "SELECT serial, name, pem, issued, ends, claim, revoked, reason FROM certificates WHERE serial = ?"
)
_BY_NAME = (
    "SELECT serial, name, pem, issued, ends, claim, revoked, reason FROM certificates"
    " WHERE name = coalesce(?, name) ORDER BY n"
)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that was given. `serial` in lower-case hex; `claim` is the number of its claim."""

    serial: str
    name: str
    pem: str
    issued: str
    ends: str
    claim: int | None
    revoked: str | None
    reason: str | None

    @property
    def certificate(self) -> x509.Certificate:
        """Itself."""
        return x509.load_pem_x509_certificate(self.pem.encode())


def serial_of(certificate: x509.Certificate) -> str:
    """As the register has it."""
    return f"{certificate.serial_number:x}"


def key_digest(key: CertificatePublicKeyTypes) -> bytes:
    """What tells one key from another: SHA-256 of its SubjectPublicKeyInfo."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def given(
    db: sqlite3.Connection,
    certificate: x509.Certificate,
    name: str,
    by: str,
    now: datetime,
    *,
    kit: str | None = None,
    claim: int | None = None,
) -> Issued:
    """Write down that `certificate` is given; it must not leave before the transaction ended.

    Raises:
        sqlite3.IntegrityError: its key was certified before.
    """
    issued = Issued(
        serial_of(certificate),
        name,
        certificate.public_bytes(Encoding.PEM).decode(),
        moment.text(now),
        moment.text(certificate.not_valid_after_utc),
        claim,
        None,
        None,
    )
    db.execute(
        "INSERT INTO certificates (serial, name, key, pem, issued, ends, claim) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            issued.serial,
            name,
            key_digest(certificate.public_key()),
            issued.pem,
            issued.issued,
            issued.ends,
            claim,
        ),
    )
    note(db, now, "issued", by, kit, f"{name}, serial {issued.serial}, until {issued.ends}")
    return issued


def of_key(db: sqlite3.Connection, key: CertificatePublicKeyTypes) -> Issued | None:
    """The certificate that was given for this key."""
    row = db.execute(_BY_KEY, (key_digest(key),)).fetchone()
    return Issued(*row) if row else None


def by_serial(db: sqlite3.Connection, serial: str) -> Issued | None:
    """The certificate with this number."""
    row = db.execute(_BY_SERIAL, (serial,)).fetchone()
    return Issued(*row) if row else None


def of_name(db: sqlite3.Connection, name: str | None = None) -> list[Issued]:
    """All that were given to `name`, or all, oldest first."""
    rows = db.execute(_BY_NAME, (name,)).fetchall()
    return [Issued(*row) for row in rows]


def revoke(
    db: sqlite3.Connection,
    which: str,
    reason: x509.ReasonFlags,
    by: str,
    now: datetime,
    *,
    kit: str | None = None,
) -> int:
    """Take back what `which`, a name or a serial, was given and still has; how many that were."""
    rows = db.execute(
        "UPDATE certificates SET revoked = ?, reason = ?"
        " WHERE (name = ? OR serial = ?) AND revoked IS NULL AND ends > ? RETURNING serial, name",
        (moment.text(now), reason.value, which, which, moment.text(now)),
    ).fetchall()
    for serial, name in rows:
        note(db, now, "revoked", by, kit, f"{name}, serial {serial}: {reason.value}")
    return len(rows)


def revoked(db: sqlite3.Connection, now: datetime) -> list[Revoked]:
    """What a list has to name: taken back, and not ended yet."""
    rows = db.execute(
        "SELECT serial, revoked, reason FROM certificates WHERE revoked IS NOT NULL AND ends > ?"
        " ORDER BY serial",
        (moment.text(now),),
    ).fetchall()
    return [Revoked(int(serial, 16), moment.read(at), REASONS[reason]) for serial, at, reason in rows]
