"""Requests for certificates (PKCS #10) as they come over the network: taken if sound.

Of a request only the name and the key are ever used. Whatever else it asks for (names, roles, authority) is
passed over: what a certificate says is the city's decision.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from agent.device.wallet import common_name
from agent.errors import EnrolError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

CURVES = (ec.SECP256R1, ec.SECP384R1)
HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class RefusalError(EnrolError):
    """No certificate is given: an HTTP status, a word for programs, a sentence for people."""

    def __init__(self, status: int, reason: str, problem: str, *, fix: str) -> None:
        super().__init__(problem, fix=fix, reason=reason, refused=True)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """Who wants a certificate, and for which key; that the key is theirs is proven."""

    name: str
    key: EllipticCurvePublicKey


def read(body: bytes) -> Request:
    """The request in a body of EST: base64 of DER (RFC 8951, 3.1).

    Raises:
        RefusalError: it is none, or not sound.
    """
    try:
        csr = x509.load_der_x509_csr(base64.b64decode(b"".join(body.split()), validate=True))
        key, algorithm, name = csr.public_key(), csr.signature_hash_algorithm, common_name(csr)
        proven = csr.is_signature_valid
    except (binascii.Error, ValueError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise RefusalError(
            400, "bad-request", f"no PKCS #10 request in base64 ({error})", fix="see RFC 8951"
        ) from None
    if (
        not isinstance(key, ec.EllipticCurvePublicKey)
        or not isinstance(key.curve, CURVES)
        or not isinstance(algorithm, HASHES)
    ):
        raise RefusalError(
            400, "weak-key", "the key is none that is taken", fix="ECDSA on P-256 or P-384, with SHA-256"
        )
    if not proven:
        raise RefusalError(400, "bad-request", "the request is not signed by its own key", fix="sign it")
    if not name:
        raise RefusalError(
            400, "foreign-name", "the subject is not one common name", fix="name the kit's id, nothing else"
        )
    return Request(name, key)
