"""A client of EST (RFC 7030, with RFC 8951): asks the city for certificates over TLS.

The server is checked by the city's root alone, never by the system's authorities. The first time the kit is
known by its claim (HTTP Basic), afterwards by its certificate (mutual TLS). Redirections are not followed.
Proof that a request is of this very connection (RFC 7030, 3.5) is not given: TLS 1.3 has no tls-unique.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import re
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from agent.errors import ConfigError, EnrolError
from agent.reasons import reason
from agent.words import Text, say, verbatim

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.x509 import Certificate, CertificateSigningRequest

WELL_KNOWN = "/.well-known/est"
TIMEOUT_S = 20.0  # of each step on the network; an LTE link that wakes up takes ten
ANSWER_MAX = 256 * 1024  # bytes; a chain of certificates has a few thousand
TEXT_MAX = 300  # characters of what a server says about a refusal
RETRY_MAX_S = 3600.0  # however long a server wants to be left alone

# X509_V_ERR_… of openssl/x509_vfy.h
_CERTIFICATE = {
    9: (
        "clock",
        say("its certificate is not valid yet: the clock is behind"),
        say("let the kit reach NTP"),
    ),
    10: (
        "clock",
        say("its certificate has ended, or the clock is ahead"),
        say("look at `timedatectl` first"),
    ),
}
_CLOSED = (
    "busy",
    say("it hung up: too many ask at once, or it does not take our certificate"),
    say("it is tried again"),
)
# The first that fits: all are OSErrors.
_ERRORS: tuple[tuple[type[Exception], tuple[str, Text, Text]], ...] = (
    (ssl.SSLEOFError, _CLOSED),
    (ssl.SSLZeroReturnError, _CLOSED),
    (ssl.SSLError, ("tls", say("TLS failed"), say("see the log of the enrolment service"))),
    (
        socket.gaierror,
        ("dns", say("the name is not known"), say("let the kit reach a name server that knows it")),
    ),
    (
        ConnectionRefusedError,
        ("refused", say("nobody answers there"), say("start the enrolment service; see its port")),
    ),
    (ConnectionError, _CLOSED),
    (
        TimeoutError,
        ("timeout", say("no answer in time"), say("see that the network lets the kit through to it")),
    ),
    (http.client.RemoteDisconnected, _CLOSED),
)
_NO_EST = say("see that an EST server answers there (RFC 7030)")
_OK = 200
_LATER = {202, 408, 425, 429, 500, 502, 503, 504}
"""Answers after which the same question may be asked again."""
_UNKNOWN = 401


class EstClient:
    """One server, spoken to as one kit. `roots` are the city's, in PEM; `papers` certificate and key.

    Raises:
        ConfigError: a certificate or key cannot be used.
    """

    def __init__(self, url: str, roots: str, papers: tuple[Path, Path] | None = None) -> None:
        parts = urlsplit(url)
        self._url, self._path = url, parts.path.rstrip("/") + WELL_KNOWN
        self._host, self._port = parts.hostname or "", parts.port or 443
        try:
            self._context = ssl.create_default_context(cadata=roots)
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._context.verify_flags |= ssl.VERIFY_X509_STRICT
            if papers is not None:
                self._context.load_cert_chain(*papers)
        except OSError as error:
            raise ConfigError(
                say("{url}: certificate or key cannot be used ({reason})", url=url, reason=error),
                fix=say("enrol the kit anew with a new claim"),
            ) from None

    def cacerts(self) -> list[Certificate]:
        """The authorities of the city: its roots and its intermediates, in no order.

        Raises:
            EnrolError: the server cannot be asked, or gives none.
        """
        return self._certificates(self._ask("GET", "/cacerts"))

    def enroll(self, csr: CertificateSigningRequest, user: str, password: str) -> list[Certificate]:
        """Trade name and one-time password for a certificate; what comes with it may be of its chain.

        Raises:
            EnrolError: the server cannot be asked, or refuses.
        """
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        return self._certificates(
            self._ask("POST", "/simpleenroll", csr, {"Authorization": f"Basic {basic}"})
        )

    def reenroll(self, csr: CertificateSigningRequest) -> list[Certificate]:
        """Ask for the next certificate, by the one that we show.

        Raises:
            EnrolError: the server cannot be asked, or refuses.
        """
        return self._certificates(self._ask("POST", "/simplereenroll", csr))

    def _ask(
        self,
        method: str,
        operation: str,
        csr: CertificateSigningRequest | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        body = None
        said = {"Accept": "application/pkcs7-mime", **(headers or {})}
        if csr is not None:
            body = base64.b64encode(csr.public_bytes(Encoding.DER))
            said |= {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=TIMEOUT_S, context=self._context
        )
        try:
            connection.request(method, self._path + operation, body, said)
            answer = connection.getresponse()
            content = answer.read(ANSWER_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreached(error) from None
        finally:
            connection.close()
        if answer.status != _OK:
            raise self._refused(answer, content)
        if len(content) > ANSWER_MAX:
            raise self._nonsense(say("more than {n} bytes", n=ANSWER_MAX))
        return content

    def _certificates(self, content: bytes) -> list[Certificate]:
        try:
            found = pkcs7.load_der_pkcs7_certificates(
                base64.b64decode(b"".join(content.split()), validate=True)
            )
        except (binascii.Error, ValueError) as error:
            raise self._nonsense(verbatim(str(error))) from None
        if not found:
            raise self._nonsense(say("no certificate in it"))
        return found

    def _nonsense(self, what: Text) -> EnrolError:
        return EnrolError(
            say("{url}: the answer is none of EST ({what})", url=self._url, what=what),
            fix=_NO_EST,
            reason="protocol",
        )

    def _refused(self, answer: http.client.HTTPResponse, content: bytes) -> EnrolError:
        text = content[:TEXT_MAX].decode("utf-8", "replace").strip().splitlines()
        said = text[0] if text and answer.headers.get_content_type() == "text/plain" else answer.reason
        word = re.match(r"([a-z]+(?:-[a-z]+)*): ", said)
        reason = word[1] if word else "claim-unknown" if answer.status == _UNKNOWN else "refused"
        if answer.status in _LATER:
            return EnrolError(
                say("{url}: not now ({status}: {said})", url=self._url, status=answer.status, said=said),
                fix=say("it is tried again"),
                reason="busy",
                retry_after_s=_seconds(answer.headers.get("Retry-After")),
            )
        return EnrolError(
            say("{url}: refused ({status}: {said})", url=self._url, status=answer.status, said=said),
            fix=say("ask the depot for a new card, or for a new claim"),
            reason=reason,
            refused=True,
        )

    def _unreached(self, error: Exception) -> EnrolError:
        word, problem, fix = _why(error)
        return EnrolError(say("{url}: {problem}", url=self._url, problem=problem), fix=fix, reason=word)


def _why(error: Exception) -> tuple[str, Text, Text]:
    """A word, what is wrong, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE.get(
            error.verify_code,
            (
                "tls",
                say("not the city's server ({why})", why=error.verify_message),
                say("see that `url` and `ca` are right"),
            ),
        )
    for kind, known in _ERRORS:
        if isinstance(error, kind):
            return known
    if isinstance(error, OSError):
        problem = say("cannot be reached ({reason})", reason=reason(error))
        return "unreachable", problem, say("see cable, modem and route")
    return "protocol", say("no HTTP ({error!r})", error=error), _NO_EST


def _seconds(text: str | None) -> float | None:
    """Of Retry-After; a date is not looked at, the kit's clock may be wrong."""
    return min(float(text), RETRY_MAX_S) if text and text.isascii() and text.isdigit() else None
