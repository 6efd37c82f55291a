"""Checks of the way to the broker: its name, its port, TLS. Each step is tried from here, whoever runs."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from agent.backbone.causes import Cause, of_error
from agent.backbone.papers import tls_context
from agent.doctor import wayout
from agent.doctor.check import Check, Verdict, fail, ok, skip
from agent.doctor.registry import ALARMS
from agent.errors import ConfigError
from agent.words import say, verbatim

if TYPE_CHECKING:
    from cryptography import x509

    from agent.config import Backbone, Settings
    from agent.words import Text

REACH_S = 4.0  # for a name, a connection, a handshake; a slow LTE link needs two
UNKNOWN = b"\x10\x0c\x00\x04MQTT\x7f\x02\x00\x00\x00\x00"
"""A CONNECT of a version of MQTT that does not exist: any broker answers it or hangs up, and no session is
touched. The kit's own CONNECT would throw a running agent off, and take its will back."""
CONNACK = b"\x20"  # MQTT 5.0, 2.1.2: the first byte of the answer
LOCAL = {"localhost", "127.0.0.1", "::1"}

BROKER = say("Check backbone.host and backbone.port, and that the city's broker runs")
"""The fix of whatever keeps the broker away and has none of its own."""

CAUSES = {
    Cause.DNS: say("its name is not found"),
    Cause.REFUSED: say("nobody listens there (connection refused)"),
    Cause.UNREACHABLE: say("there is no way to it"),
    Cause.TIMEOUT: say("it does not answer in time"),
    Cause.TLS_NOT_YET_VALID: say("its certificate is not valid yet"),
    Cause.TLS_EXPIRED: say("its certificate has expired"),
    Cause.TLS_HOSTNAME: say("its certificate is for another name"),
    Cause.TLS_UNTRUSTED: say("its certificate is of an authority that we do not know"),
    Cause.TLS_REJECTED: say("it hung up: it does not accept the kit's certificate, or speaks no TLS"),
    Cause.TLS: say("TLS fails"),
    Cause.NOT_AUTHORISED: say("it does not let the kit in"),
    Cause.BUSY: say("it is too busy"),
    Cause.TAKEN_OVER: say("somebody else poses as this kit"),
    Cause.SHUTDOWN: say("it is shutting down"),
    Cause.KEEPALIVE: say("it did not hear the kit for too long"),
    Cause.PROTOCOL: say("it complains of the protocol"),
    Cause.STALLED: say("it has stopped acknowledging"),
    Cause.LOST: say("the connection was lost"),
    Cause.CLOSED: say("the kit hung up"),
    Cause.RENEWED: say("the kit comes back with a renewed certificate"),
}
"""What keeps the kit from the broker, in words."""

WEAK = say("Check the signal and the load of the uplink")
_LOAD = say("See the broker's load, its limits and its log")

FIXES = {
    Cause.TLS_EXPIRED: say("Renew the broker's certificate at the broker, or mend the kit's clock"),
    Cause.TLS_NOT_YET_VALID: say("The kit's clock is behind: let it reach NTP (UDP 123)"),
    Cause.TLS_HOSTNAME: say("backbone.host must be the name in the broker's certificate"),
    Cause.TLS_UNTRUSTED: say("backbone.ca_file must hold the authority that signed the broker's certificate"),
    Cause.TLS_REJECTED: say(
        "See at the broker whether the kit's certificate is revoked, and which port has TLS"
    ),
    Cause.DNS: ALARMS["net.dns"].fix,
    Cause.UNREACHABLE: ALARMS["net.tcp"].fix,
    Cause.TIMEOUT: ALARMS["net.tcp"].fix,
    Cause.TLS: ALARMS["net.tls"].fix,
    Cause.NOT_AUTHORISED: ALARMS["net.mqtt"].fix,
    Cause.TAKEN_OVER: ALARMS["identity.cloned"].fix,
    Cause.BUSY: _LOAD,
    Cause.STALLED: _LOAD,
    Cause.PROTOCOL: say("The broker must speak MQTT 5: see its log"),
    Cause.LOST: WEAK,
    Cause.KEEPALIVE: WEAK,
}

_BY_CERTIFICATE = {Cause.TLS_EXPIRED, Cause.TLS_NOT_YET_VALID, Cause.TLS_HOSTNAME, Cause.TLS_UNTRUSTED}


def mended(cause: str | None) -> Text:
    """What to do where there is no link, by the link's own word for why."""
    return FIXES.get(Cause(cause), BROKER) if cause in set(Cause) else BROKER


def checks(settings: Settings) -> list[Check]:
    """The checks of this module."""
    host, port = settings.backbone.host, settings.backbone.port
    dns = Check(
        "net.dns",
        say("The broker's name"),
        lambda: _resolve(host, port),
        () if host in LOCAL else (wayout.ROUTE, wayout.SERVERS),
        box_s=REACH_S,
        online=True,
        late=_silent(host),  # glibc asks each server for five seconds, and then again
    )
    tcp = Check(
        "net.tcp",
        say("The broker's port"),
        lambda: _connect(settings.backbone),
        (dns.code,),
        box_s=REACH_S + 1,
        online=True,
        late=_failed(settings.backbone, Cause.TIMEOUT),
    )
    tls = Check(
        "net.tls",
        say("TLS with the broker"),
        lambda: _handshake(settings),
        (tcp.code, "time.set", "id.files", "id.key_matches"),
        box_s=3 * REACH_S + 1,
        online=True,
        late=_failed(settings.backbone, Cause.TIMEOUT),
    )
    return [dns, tcp, tls]


def _resolve(host: str, port: int) -> Verdict:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            return _silent(host)
        return fail(say("{host}: no such name", host=host), FIXES[Cause.DNS])
    return ok(verbatim(", ".join(sorted({str(item[4][0]) for item in found}))))


def _silent(host: str) -> Verdict:
    return fail(say("{host}: no name server answers", host=host), FIXES[Cause.DNS])


def _failed(backbone: Backbone, cause: Cause) -> Verdict:
    told = say("{host}:{port}: {cause}", host=backbone.host, port=backbone.port, cause=CAUSES[cause])
    return fail(told, mended(cause))


def _reach(backbone: Backbone) -> socket.socket:
    """A connection. Its addresses share the time: one that drops packets must not use up the check's box."""
    where = backbone.host, backbone.port
    addresses = socket.getaddrinfo(*where, type=socket.SOCK_STREAM)
    connection = socket.create_connection(where, REACH_S / len(addresses))
    connection.settimeout(REACH_S)
    return connection


def _connect(backbone: Backbone) -> Verdict:
    try:
        _reach(backbone).close()
    except OSError as error:
        return _failed(backbone, of_error(error))
    return ok(verbatim(f"{backbone.host}:{backbone.port}"))


def _handshake(settings: Settings) -> Verdict:
    backbone = settings.backbone
    if not backbone.tls:
        return skip(say("TLS is off"))
    try:
        context = tls_context(backbone)
    except ConfigError as error:
        return fail(*error.words)
    try:
        with (
            _reach(backbone) as plain,
            context.wrap_socket(plain, server_hostname=backbone.host) as secure,
        ):
            return _answered(backbone, secure)
    except OSError as error:
        return _refused(backbone, of_error(error))


def _answered(backbone: Backbone, secure: ssl.SSLSocket) -> Verdict:
    """What the broker says after the handshake: in TLS 1.3 it looks at the kit's certificate only then."""
    try:
        secure.sendall(UNKNOWN)
        answer = secure.recv(1)
    except ssl.SSLError:
        return _failed(backbone, Cause.TLS_REJECTED)
    if answer not in {b"", CONNACK}:
        return fail(
            say("{host}:{port}: there is TLS, but no MQTT", host=backbone.host, port=backbone.port),
            say("backbone.port must be the broker's port for MQTT over TLS"),
        )
    return ok(verbatim(secure.version() or "TLS"))


def _refused(backbone: Backbone, cause: Cause) -> Verdict:
    """What is wrong with the handshake: in the broker's own certificate, if it is that."""
    certificate = _shown(backbone) if cause in _BY_CERTIFICATE else None
    reason, fix = CAUSES[cause], mended(cause)
    if certificate is not None:
        since, until = (
            when.date().isoformat()
            for when in (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        )
        names = _names(certificate)
        match cause:
            case Cause.TLS_EXPIRED:
                reason = say("its certificate has expired on {date}", date=until)
            case Cause.TLS_NOT_YET_VALID:
                reason = say("its certificate is valid only from {date}", date=since)
            case Cause.TLS_HOSTNAME if names:
                reason = say("its certificate is for {names}", names=", ".join(names))
                fix = say(
                    "If that is the city's broker, set backbone.host to that name: {name}", name=names[0]
                )
            case Cause.TLS_UNTRUSTED:
                issuer = certificate.issuer.rfc4514_string()
                reason = say("its certificate is signed by {issuer}, whom we do not know", issuer=issuer)
    return fail(say("{host}:{port}: {cause}", host=backbone.host, port=backbone.port, cause=reason), fix)


def _shown(backbone: Backbone) -> x509.Certificate | None:
    """The certificate that the broker shows, unchecked: it is only talked about. None of ours is shown."""
    from cryptography import x509  # noqa: PLC0415 - `status` needs this module's words, and no certificate

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            _reach(backbone) as plain,
            context.wrap_socket(plain, server_hostname=backbone.host) as secure,
        ):
            return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")
    except (OSError, ValueError):
        return None


def _names(certificate: x509.Certificate) -> list[str]:
    """The hosts that it is for."""
    from cryptography import x509  # noqa: PLC0415 - as above

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [
        *found.get_values_for_type(x509.DNSName),
        *(str(address) for address in found.get_values_for_type(x509.IPAddress)),
    ]
