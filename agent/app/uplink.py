"""Checks of the way to the broker: its name, its port, TLS. Each step is tried from here, whoever runs."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from agent.backbone.causes import Cause, of_error
from agent.backbone.papers import tls_context
from agent.doctor import wayout
from agent.doctor.check import Check, Verdict, fail, ok, skip
from agent.errors import ConfigError
from agent.words import say, verbatim

if TYPE_CHECKING:
    from agent.config import Settings

REACH_S = 4.0  # for a name, a connection, a handshake; a slow LTE link needs two
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

FIXES = {
    Cause.TLS_EXPIRED: say("Renew the broker's certificate at the broker, or mend the kit's clock"),
    Cause.TLS_NOT_YET_VALID: say("The kit's clock is behind: let it reach NTP (UDP 123)"),
    Cause.TLS_HOSTNAME: say("backbone.host must be the name in the broker's certificate"),
    Cause.TLS_UNTRUSTED: say("backbone.ca_file must hold the authority that signed the broker's certificate"),
    Cause.TLS_REJECTED: say(
        "See at the broker whether the kit's certificate is revoked, and which port has TLS"
    ),
}


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
    )
    tcp = Check(
        "net.tcp",
        say("The broker's port"),
        lambda: _connect(host, port),
        (dns.code,),
        box_s=REACH_S + 1,
        online=True,
    )
    tls = Check(
        "net.tls",
        say("TLS with the broker"),
        lambda: _handshake(settings),
        (tcp.code, "id.files", "id.key_matches"),
        box_s=REACH_S + 1,
        online=True,
    )
    return [dns, tcp, tls]


def _resolve(host: str, port: int) -> Verdict:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return fail(
            say("{host}: no such name ({reason})", host=host, reason=error.strerror),
            say("Check backbone.host and the name servers (resolvectl status)"),
        )
    return ok(verbatim(", ".join(sorted({str(item[4][0]) for item in found}))))


def _connect(host: str, port: int) -> Verdict:
    try:
        socket.create_connection((host, port), REACH_S).close()
    except OSError as error:
        return fail(
            say("{host}:{port}: {cause}", host=host, port=port, cause=CAUSES[of_error(error)]), BROKER
        )
    return ok(verbatim(f"{host}:{port}"))


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
            socket.create_connection((backbone.host, backbone.port), REACH_S) as plain,
            context.wrap_socket(plain, server_hostname=backbone.host) as secure,
        ):
            version = secure.version() or "TLS"
    except OSError as error:
        cause = of_error(error)
        told = say("{host}:{port}: {cause}", host=backbone.host, port=backbone.port, cause=CAUSES[cause])
        return fail(told, FIXES.get(cause, BROKER))
    return ok(verbatim(version))
