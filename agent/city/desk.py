"""The enrolment desk: who gets a certificate, once. No network here; the register decides and remembers.

A claim is traded in one transaction: the certificate is in the register before it leaves. A kit whose answer
was lost asks again with the same claim and the same key, and gets the same certificate, for a day. Whoever
comes with the same claim and another key is refused: then one of the two is not the kit, and the trail tells
it. A key is certified once, so a recorded request is worth nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from agent.city import claims, issued, moment, requests
from agent.city.kits import LET_IN, MOVES, State
from agent.city.registry import kit_of, move, note
from agent.city.requests import RefusalError
from agent.device.wallet import common_name
from agent.errors import ConfigError

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from cryptography import x509

    from agent.city.authority import Authority
    from agent.city.claims import Kept
    from agent.city.issued import Issued
    from agent.city.office import Office
    from agent.city.requests import Request

# For the same key only, so it gives nothing to anybody else: as long as it takes until somebody has brought
# back the power or the link of a house.
RECOVERY = timedelta(hours=24)


class Desk:
    """Answers requests from the register of `office`, with certificates of `signing`."""

    def __init__(self, office: Office, signing: Authority) -> None:
        self._office = office
        self._signing = signing

    def enrol(self, kit: str, claim: str, body: bytes, peer: str, now: datetime) -> Issued:
        """Trade a kit's claim for a certificate. `body` is the request, `peer` the address that it came from.

        What an older card of the kit was given is taken back.

        Raises:
            RefusalError: it is not given; the trail tells of it.
            StorageError: the register or the list cannot be read or written; once they can, who asks again is
                given the same.
        """
        try:
            request = requests.read(body)
            with self._office.registry.transaction() as db:
                given, superseded = self._trade(db, kit, claim, request, peer, now)
        except RefusalError as refusal:
            self._tell(refusal, kit, peer, now)
            raise
        if superseded:
            self._office.write_crl(peer, now, self._signing)
        return given

    def reenrol(self, shown: x509.Certificate | None, body: bytes, peer: str, now: datetime) -> Issued:
        """Give the next certificate to a kit that has shown the one before.

        `shown` was checked against the city's root by TLS; None when nothing was shown.

        Raises:
            RefusalError: it is not given; the trail tells of it.
            StorageError: the register cannot be read or written; nothing was given.
        """
        if shown is None:
            raise RefusalError(401, "not-yours", "no certificate was shown", fix="show the kit's own")
        name = common_name(shown)
        try:
            request = requests.read(body)
            with self._office.registry.transaction() as db:
                return self._next(db, shown, request, peer, now)
        except RefusalError as refusal:
            self._tell(refusal, name, peer, now)
            raise

    def _trade(
        self, db: sqlite3.Connection, kit: str, claim: str, request: Request, peer: str, now: datetime
    ) -> tuple[Issued, bool]:
        """The certificate, and whether older ones were taken back, or may have been and not be listed yet."""
        kept = claims.find(db, kit, claim)
        if kept is None:
            raise RefusalError(401, "claim-unknown", "no such claim for this kit", fix="see the card's file")
        _same_name(request, kit)
        before = issued.of_key(db, request.key)
        if kept.used and before is not None and before.claim == kept.n and _lately(before, now):
            note(db, now, "given again", peer, kit, f"serial {before.serial}: its answer was lost")
            return before, True
        _check_claim(kept, now)
        _check_new(before)
        _check_state(db, kit, MOVES_TO_CLAIMED)
        superseded = issued.revoke(db, kit, issued.SUPERSEDED, peer, now, kit=kit)
        certificate = self._signing.sign(kit, request.key, now)
        db.execute("UPDATE claims SET used = ? WHERE n = ?", (moment.text(now), kept.n))
        given = issued.given(db, certificate, kit, peer, now, kit=kit, claim=kept.n)
        db.execute("UPDATE kits SET former = '[]' WHERE kit = ?", (kit,))  # a new card knows its place
        move(db, kit, State.CLAIMED, peer, f"claim {kept.n} was traded", now)
        return given, superseded > 0

    def _next(
        self, db: sqlite3.Connection, shown: x509.Certificate, request: Request, peer: str, now: datetime
    ) -> Issued:
        found = issued.by_serial(db, issued.serial_of(shown))
        if found is None or found.certificate != shown:
            raise RefusalError(
                403, "not-yours", "the certificate shown was given to nobody", fix="show the kit's own"
            )
        if found.revoked:
            raise RefusalError(
                403, "revoked", f"the certificate was taken back on {found.revoked}", fix="a new claim"
            )
        _same_name(request, found.name)
        _check_state(db, found.name, LET_IN)
        before = issued.of_key(db, request.key)
        its_own = before is not None and before.serial != found.serial and before.name == found.name
        if before is not None and its_own and _lately(before, now):
            note(db, now, "given again", peer, found.name, f"serial {before.serial}: its answer was lost")
            return before
        _check_new(before)
        certificate = self._signing.sign(found.name, request.key, now)
        return issued.given(db, certificate, found.name, peer, now, kit=found.name)

    def _tell(self, refusal: RefusalError, kit: str, peer: str, now: datetime) -> None:
        """A refusal is in the trail before it leaves."""
        self._office.registry.note_refusal(kit, peer, f"{refusal.reason}: {refusal.problem}", now)


MOVES_TO_CLAIMED = frozenset(state for state in State if State.CLAIMED in MOVES[state])


def _same_name(request: Request, kit: str) -> None:
    if request.name != kit:
        raise RefusalError(
            403, "foreign-name", f"{kit} asks for a certificate of {request.name}", fix="ask for its own"
        )


def _check_claim(kept: Kept, now: datetime) -> None:
    fix = "make a new one: `stairwell fleet claim`"
    if kept.used:
        raise RefusalError(
            403, "claim-used", f"the claim was used on {kept.used}: one of the two is not the kit", fix=fix
        )
    if kept.withdrawn:
        raise RefusalError(403, "claim-withdrawn", "a newer claim was made, or the kit locked out", fix=fix)
    if moment.read(kept.expires) <= now:
        raise RefusalError(403, "claim-expired", f"the claim counted until {kept.expires}", fix=fix)


def _check_new(before: Issued | None) -> None:
    if before is not None:
        raise RefusalError(403, "key-used", "this key was certified before", fix="make a new key")


def _check_state(db: sqlite3.Connection, kit: str, states: frozenset[State]) -> None:
    try:
        state = kit_of(db, kit).state
    except ConfigError:
        raise RefusalError(403, "not-yours", f"{kit} is no kit", fix="kits enrol, programs do not") from None
    if state not in states:
        raise RefusalError(403, "kit-state", f"the kit is {state}", fix="ask the depot")


def _lately(before: Issued, now: datetime) -> bool:
    return before.revoked is None and now - moment.read(before.issued) <= RECOVERY
