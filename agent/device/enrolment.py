"""How a kit gets its certificate from the city, and the next one each time half of its life is over.

Both may be cut off anywhere, by a power cut or a kill, and asked for again: the key is on disk before the
city is asked, and the city gives the same certificate for the same key a second time. What comes back is
believed only if it is for this kit, for this key, and leads to a root that was trusted before.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from agent.device.est import EstClient
from agent.device.wallet import common_name
from agent.errors import ConfigError, EnrolError
from agent.words import Text, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cryptography.hazmat.primitives.asymmetric import ec

    from agent.device.clock import Clock
    from agent.device.enrolfile import EnrolFile
    from agent.device.wallet import Papers, Wallet

CHAIN_MAX = 4  # certificates from a kit to its root
ROOTS_MAX = 4  # an old root and a new one, and room


def join(file: EnrolFile, wallet: Wallet, clock: Clock) -> Papers:
    """Trade the claim of `file` for papers; those that the kit has already, if they count for it.

    One try: who calls it decides when the next one is.

    Raises:
        EnrolError: the city cannot be asked, or refuses.
        StorageError: the disk refused.
    """
    wallet.finish()
    papers = wallet.current()
    now = _now(clock)
    if papers is not None and papers.kit == file.kit and not (now and papers.over(now)):
        return papers
    client = EstClient(file.url, file.ca)
    authorities = client.cacerts()
    key = wallet.key()
    given = _or_discard(wallet, lambda: client.enroll(_request(file.kit, key), file.kit, file.claim))
    return _take(wallet, file.kit, key, given, authorities, file.ca, file.url)


def renew(kit: str, url: str, wallet: Wallet, clock: Clock, *, force: bool = False) -> bool:
    """The next certificate, by the one that the kit has; whether it was time for it. `force`: it is.

    Raises:
        ConfigError: the kit has none.
        EnrolError: the city cannot be asked, or refuses.
        StorageError: the disk refused.
    """
    wallet.finish()
    papers = wallet.current()
    if papers is None or papers.kit != kit:
        raise ConfigError(
            say("{directory}: no certificate of kit {kit}", directory=wallet.directory, kit=kit),
            fix=say("enrol it: `stairwell enrol join`"),
        )
    now = _now(clock)
    if now is None:
        raise EnrolError(
            say("the clock was never set: nobody can tell what is due"),
            fix=say("let the kit reach NTP"),
            reason="clock",
        )
    if papers.over(now):
        raise EnrolError(
            say("the certificate ended on {day}", day=papers.certificate.not_valid_after_utc.date()),
            fix=say("make a new claim at the depot: `stairwell fleet claim`"),
            reason="ended",
            refused=True,
        )
    if not force and not papers.half_over(now):
        return False
    client = EstClient(url, papers.roots, papers.files)
    authorities = client.cacerts()
    key = wallet.key()
    given = _or_discard(wallet, lambda: client.reenroll(_request(kit, key)))
    _take(wallet, kit, key, given, authorities, papers.roots, url)
    return True


def _now(clock: Clock) -> datetime | None:
    return None if clock.stamp().ts is None else datetime.fromtimestamp(clock.unix_ms() / 1000, UTC)


def _request(kit: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateSigningRequest:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, kit)])
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())


def _or_discard(wallet: Wallet, ask: Callable[[], list[x509.Certificate]]) -> list[x509.Certificate]:
    """The answer; a key that was refused is not offered again, a key without an answer is."""
    try:
        return ask()
    except EnrolError as error:
        if error.refused:
            wallet.discard()
        raise


def _take(
    wallet: Wallet,
    kit: str,
    key: ec.EllipticCurvePrivateKey,
    given: Sequence[x509.Certificate],
    authorities: Sequence[x509.Certificate],
    trusted: str,
    url: str,
) -> Papers:
    """Let papers of the answer count, if it is one."""
    roots = x509.load_pem_x509_certificates(trusted.encode())
    own = next((one for one in given if one.public_key() == key.public_key()), None)
    if own is None:
        raise _wrong(url, say("the certificate is of another key"))
    if common_name(own) != kit:
        named = common_name(own) or "?"
        raise _wrong(url, say("the certificate is for {named}, not for {kit}", named=named, kit=kit))
    chain = _chain(own, [*given, *authorities], roots)
    if chain is None:
        raise _wrong(url, say("the certificate does not lead to the city's root"))
    return wallet.put(chain, _roots(roots, authorities, own))


def _chain(
    own: x509.Certificate, known: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]
) -> list[x509.Certificate] | None:
    """From the kit's certificate to the one that a root signed; None when there is no such way."""
    chain = [own]
    while len(chain) < CHAIN_MAX:
        if any(_signed_by(chain[-1], root) for root in roots):
            return chain
        above = next((one for one in known if one not in chain and _signed_by(chain[-1], one)), None)
        if above is None:
            return None
        chain.append(above)
    return None


def _roots(
    trusted: Sequence[x509.Certificate], offered: Iterable[x509.Certificate], own: x509.Certificate
) -> list[x509.Certificate]:
    """Whom to trust from now on: as before, and the server's new roots; none that has ended."""
    begin = own.not_valid_before_utc
    roots = [one for one in trusted if one.not_valid_after_utc > begin]
    for one in offered:
        if one not in roots and one.not_valid_after_utc > begin and _signed_by(one, one):
            roots.append(one)
    return roots[:ROOTS_MAX]


def _signed_by(one: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
        one.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return constraints.ca


def _wrong(url: str, problem: Text) -> EnrolError:
    return EnrolError(
        say("{url}: {problem}", url=url, problem=problem),
        fix=say("see that the city's enrolment service answers there"),
        reason="protocol",
    )
