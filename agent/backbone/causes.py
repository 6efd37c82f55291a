"""Why there is no connection, in words that an alarm, a check and a technician can share."""

from __future__ import annotations

import errno
import socket
import ssl
from enum import StrEnum


class Cause(StrEnum):
    """One word for each thing that keeps the kit from the broker."""

    DNS = "dns"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TLS_NOT_YET_VALID = "tls-not-yet-valid"
    TLS_EXPIRED = "tls-expired"
    TLS_HOSTNAME = "tls-hostname"
    TLS_UNTRUSTED = "tls-untrusted"
    TLS_REJECTED = "tls-rejected"
    """The broker hung up before it answered: it doesn't accept our certificate, or is none with TLS."""
    TLS = "tls"
    NOT_AUTHORISED = "not-authorised"
    BUSY = "busy"
    TAKEN_OVER = "taken-over"
    """Another client uses our name: a copied card, or two agents on one kit."""
    SHUTDOWN = "shutdown"
    KEEPALIVE = "keepalive"
    PROTOCOL = "protocol"
    STALLED = "stalled"
    """The broker stopped acknowledging."""
    LOST = "lost"
    CLOSED = "closed"
    """We hung up."""
    RENEWED = "renewed"
    """We hung up, to come back with a renewed certificate."""


# X509_V_ERR_… of openssl/x509_vfy.h
_CERTIFICATE = {
    9: Cause.TLS_NOT_YET_VALID,
    10: Cause.TLS_EXPIRED,
    62: Cause.TLS_HOSTNAME,
    64: Cause.TLS_HOSTNAME,  # an IP address instead of a name
}

_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL}

# MQTT 5.0, section 2.4: reason codes of CONNACK and DISCONNECT
_REASONS = {
    0x81: Cause.PROTOCOL,
    0x82: Cause.PROTOCOL,
    0x84: Cause.PROTOCOL,
    0x85: Cause.NOT_AUTHORISED,  # client identifier not valid
    0x86: Cause.NOT_AUTHORISED,
    0x87: Cause.NOT_AUTHORISED,
    0x88: Cause.BUSY,
    0x89: Cause.BUSY,
    0x8A: Cause.NOT_AUTHORISED,  # banned
    0x8B: Cause.SHUTDOWN,
    0x8C: Cause.NOT_AUTHORISED,  # bad authentication method
    0x8D: Cause.KEEPALIVE,
    0x8E: Cause.TAKEN_OVER,
    0x93: Cause.PROTOCOL,  # receive maximum exceeded
    0x95: Cause.PROTOCOL,  # packet too large
    0x97: Cause.BUSY,  # quota exceeded
    0x98: Cause.SHUTDOWN,  # administrative action
    0x9F: Cause.BUSY,  # connection rate exceeded
}


# The first that fits: certificate errors are TLS errors, and all of them are OSErrors.
_ERRORS: tuple[tuple[type[OSError], Cause], ...] = (
    (ssl.SSLEOFError, Cause.TLS_REJECTED),
    (ssl.SSLZeroReturnError, Cause.TLS_REJECTED),
    (ConnectionResetError, Cause.TLS_REJECTED),
    (BrokenPipeError, Cause.TLS_REJECTED),
    (ssl.SSLError, Cause.TLS),
    (socket.gaierror, Cause.DNS),
    (ConnectionRefusedError, Cause.REFUSED),
    (TimeoutError, Cause.TIMEOUT),
)


def of_error(error: OSError) -> Cause:
    """The cause behind an error of connecting or of the TLS handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE.get(error.verify_code, Cause.TLS_UNTRUSTED)
    for kind, cause in _ERRORS:
        if isinstance(error, kind):
            return cause
    return Cause.UNREACHABLE if error.errno in _UNREACHABLE else Cause.LOST


def of_attempt(error: OSError, *, way_out: bool) -> tuple[Cause, str]:
    """The cause and detail of a try to connect that failed, where there is a `way_out` of the machine or not.

    Without one no name can be resolved, and the name server is not to blame.
    """
    cause = of_error(error)
    if cause is Cause.DNS and not way_out:
        return Cause.UNREACHABLE, "no default route"
    return cause, str(error)


def of_reason(code: int) -> Cause:
    """The cause behind a reason code with which the broker refused or ended the connection."""
    return _REASONS.get(code, Cause.LOST)
