"""How the city's certificates look. Pure: keys and times go in, signed certificates and lists come out.

All keys are ECDSA P-256, all signatures SHA-256, all certificates keep to RFC 5280 as strictly as kits check
(`ssl.VERIFY_X509_STRICT`). The common name says who somebody is: the broker makes a user's name of it, so a
kit's is its id, and nothing else is in the subject. What a request asks for beside its key is never copied.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CURVE = ec.SECP256R1
ROOT_LIFE = timedelta(days=3652)  # ten years: longer than the hardware of a kit
INTERMEDIATE_LIFE = timedelta(days=1096)  # three years: its key is on a machine with a network
LEAF_LIFE = timedelta(days=90)  # renewed at half of that: six weeks to find out why one was not
# An expired list locks the whole fleet out: it must survive a holiday, and be renewed well before.
CRL_LIFE = timedelta(days=40)
# Clocks differ, and a kit without a battery starts with the time of its last hour.
BACKDATED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate that may sign others, with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Revoked:
    """A certificate that was taken back."""

    serial: int
    at: datetime
    reason: x509.ReasonFlags


def root(name: str, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    """The city's own certificate, signed by itself: all that a kit has to know to trust the rest."""
    builder = _builder(name, key.public_key(), now, now + ROOT_LIFE).issuer_name(_name(name))
    return _as_authority(builder, path_length=1).sign(key, hashes.SHA256())


def intermediate(
    name: str, key: ec.EllipticCurvePublicKey, signer: Signer, now: datetime
) -> x509.Certificate:
    """A certificate that may sign kits and servers, and no further authority."""
    builder = _issued_by(signer, _builder(name, key, now, now + INTERMEDIATE_LIFE, signer))
    return _as_authority(builder, path_length=0).sign(signer.key, hashes.SHA256())


def leaf(
    name: str,
    key: ec.EllipticCurvePublicKey,
    signer: Signer,
    now: datetime,
    hosts: Sequence[str] = (),
    life: timedelta = LEAF_LIFE,
) -> x509.Certificate:
    """A certificate of a kit or program; with `hosts` (names, addresses) a server's, who is no client.

    Raises:
        ValueError: a host is neither a name nor an address.
    """
    role = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _issued_by(signer, _builder(name, key, now, now + life, signer))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([role]), critical=False)
    )
    if hosts:
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer.key, hashes.SHA256())


def is_for(certificate: x509.Certificate, host: str) -> bool:
    """Whether it is a server's that goes by this name or address."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return _host(host) in list(names)


def half_over(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether half of its life is behind it."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= begin + (end - begin) / 2


def crl(
    signer: Signer, number: int, revoked: Iterable[Revoked], now: datetime, until: datetime | None = None
) -> x509.CertificateRevocationList:
    """What `signer` has taken back of what it signed; valid for CRL_LIFE unless `until` says else."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer.certificate.subject)
        .last_update(now - BACKDATED)
        .next_update(until or now + CRL_LIFE)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(_authority_key(signer), critical=False)
    )
    for one in revoked:
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(one.serial)
            .revocation_date(one.at)
            .add_extension(x509.CRLReason(one.reason), critical=False)
        )
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(signer.key, hashes.SHA256())


def _builder(
    name: str,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    end: datetime,
    signer: Signer | None = None,
) -> x509.CertificateBuilder:
    """What all have. None lives longer than who signs it."""
    if signer is not None:
        end = min(end, signer.certificate.not_valid_after_utc)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _issued_by(signer: Signer, builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    return builder.issuer_name(signer.certificate.subject).add_extension(
        _authority_key(signer), critical=False
    )


def _as_authority(builder: x509.CertificateBuilder, path_length: int) -> x509.CertificateBuilder:
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    return builder.add_extension(constraints, critical=True).add_extension(
        _usage(authority=True), critical=True
    )


def _authority_key(signer: Signer) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
