"""The enrolment service: EST (RFC 7030) over HTTPS, for kits that trade a claim or renew a certificate.

Python's own HTTP server, with bounds of its own: Starlette on uvicorn cannot tell the application which
certificate the client has shown, and renewal is built on that. The port stands open to the city's kits, so
everything is bounded: connections at once, requests of one address, sizes, and the time of a connection, in
which the TLS handshake is done by a thread of its own.

It gives itself its server's certificate and renews it, keeps the list of what was taken back fresh, and takes
up an intermediate that was renewed: what answers is replaced as a whole, so no request meets half of it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import http.server
import logging
import socket
import socketserver
import ssl
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from agent.city import authority, certificates, moment
from agent.city.desk import Desk
from agent.city.requests import RefusalError
from agent.device.est import WELL_KNOWN
from agent.durable import version
from agent.errors import ConfigError, StairwellError, StorageError
from agent.thread import NamedThread

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from agent.city.authority import Authority
    from agent.city.office import Office
    from agent.device.clock import Clock

NAME = "enrol"
"""Of the service's own certificate."""
BODY_MAX = 8 * 1024  # bytes; a request of P-384 has 700
CONNECTIONS_MAX = 64  # threads; one takes some 2 ms of CPU, most of its time is the network's
CONNECTION_S = 30.0  # of a connection as a whole; an LTE link that wakes up takes ten
STEP_S = 10.0  # of each wait for the other side
# A kit asks twice. A depot flashes tens of cards at once behind one address; who guesses claims of 128 bits
# gets nowhere with five a second.
BURST, PER_S = 100.0, 5.0
ADDRESSES_MAX = 10_000  # that are counted; memory must not grow with who comes by
RETRY_S = "10"
STOP_S = 0.1  # between two looks whether it is to stop
# Between two looks at the service's own certificate, the list and the authority's: whoever has renewed an
# intermediate that had ended sees kits enrol while still at the machine.
TEND_S = 60.0

_LOG = logging.getLogger(__name__)


class Service:
    """The service at an address, from `start` to `close`.

    Raises:
        ConfigError: the authority cannot sign, or nothing can listen there.
    """

    def __init__(self, office: Office, host: str, port: int, clock: Clock) -> None:
        self.office = office
        self.clock = clock
        self.rates = _Rates(clock)
        self._stopped = threading.Event()
        self._own = office.directory / f"{NAME}.pem"
        self._certify()
        self._seen = self._see()
        self.front = _Front.of(office, self._own)
        self._listed: datetime | None = None
        self._list()
        try:
            self._server = _Server((host, port), self)
        except OSError as error:
            raise ConfigError(
                f"--listen {host}:{port}: {error.strerror or error}", fix="name an address of this machine"
            ) from None
        self._threads = (
            NamedThread("enrolment", functools.partial(self._server.serve_forever, STOP_S)),
            NamedThread("enrolment-tend", self._keep_tended),
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Answer from now on."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Answer no more; what is under way is finished or cut off within CONNECTION_S."""
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join()

    def authorities(self) -> bytes:
        """The answer to /cacerts."""
        signing = self.front.signing
        return _certs_only([signing.root, *signing.chain])

    def now(self) -> datetime:
        """The moment."""
        return moment.now(self.clock)

    def _keep_tended(self) -> None:
        said = ""
        while not self._stopped.wait(TEND_S):
            try:
                self._list()
                self._certify()
                self._take_up()
                said = ""
            except StairwellError as error:  # what there is still counts; it is tried again, and told once
                if str(error) != said:
                    said = str(error)
                    _LOG.error("%s", error)

    def _list(self) -> None:
        """The list of what was taken back, anew once a day."""
        now = self.now()
        if self._listed is None or now.date() != self._listed.date():
            self.office.write_crl(NAME, now, self.front.signing)
            self._listed = now

    def _certify(self) -> None:
        """A certificate for ourselves when half of the last one's life is over, or it is of no use."""
        now = self.now()
        host = urlsplit(self.office.settings.url).hostname or ""
        if not _good(self._own, host, now):
            self.office.issue(NAME, [host], self.office.directory, NAME, now)

    def _take_up(self) -> None:
        """What lies in the directory answers from now on, where it is not what answers already."""
        seen = self._see()
        if seen != self._seen:
            self.front = _Front.of(self.office, self._own)
            self._seen = seen
            _LOG.info("certificates were renewed, and are taken up")

    def _see(self) -> tuple[object, ...]:
        return version(self.office.directory / authority.INTERMEDIATE), version(self._own)


@dataclass(frozen=True, slots=True)
class _Front:
    """What answers the requests; another one takes its place as a whole."""

    signing: Authority
    desk: Desk
    context: ssl.SSLContext

    @classmethod
    def of(cls, office: Office, own: Path) -> Self:
        """As the files are now; `own` is the service's certificate."""
        signing = office.authority()
        return cls(signing, Desk(office, signing), _context(office, own))


class _Rates:
    """How often each address may ask: BURST at once, PER_S in the long run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> bool:
        """Whether it may ask now."""
        now = self._clock.mono()
        with self._lock:
            left, at = self._left.pop(address, (BURST, now))
            left = min(BURST, left + (now - at) * PER_S)
            self._left[address] = (max(0.0, left - 1), now)
            while len(self._left) > ADDRESSES_MAX:
                self._left.popitem(last=False)
        return left >= 1


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], service: Service) -> None:
        self._service = service
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._room = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__(address, functools.partial(_Handler, service))

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """With a thread of its own, or not at all."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """The whole life of a connection."""
        try:
            request.settimeout(STEP_S)
            context = self._service.front.context
            with context.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as tls:
                deadline = threading.Timer(CONNECTION_S, _cut, [tls])
                deadline.daemon = True
                deadline.start()
                try:
                    tls.do_handshake()
                    self.finish_request(tls, client_address)
                finally:
                    deadline.cancel()
        except OSError as error:
            _LOG.debug("connection of %s: %s", client_address, error)
        finally:
            self._room.release()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "stairwell"
    sys_version = ""
    timeout: ClassVar[float] = STEP_S

    def __init__(self, service: Service, *arguments: object) -> None:
        self._service = service
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Give the authorities; anybody may know them."""
        if self.path == f"{WELL_KNOWN}/cacerts":
            if self._may_ask():
                self._certificates(self._service.authorities())
        else:
            self._text(404, "not-found: /cacerts, /simpleenroll and /simplereenroll are here")

    def do_POST(self) -> None:
        """Give a certificate, if the desk does."""
        if not self._may_ask():
            return
        body = self._body()
        if body is None:
            return
        service, peer = self._service, self.client_address[0]
        try:
            if self.path == f"{WELL_KNOWN}/simpleenroll":
                kit, claim = self._basic()
                given = service.front.desk.enrol(kit, claim, body, peer, service.now())
            elif self.path == f"{WELL_KNOWN}/simplereenroll":
                given = service.front.desk.reenrol(self._shown(), body, peer, service.now())
            else:
                self._text(404, "not-found: /cacerts, /simpleenroll and /simplereenroll are here")
                return
        except RefusalError as refusal:
            self._text(refusal.status, f"{refusal.reason}: {refusal}")
        except (StorageError, ConfigError) as error:
            _LOG.error("%s", error)
            self._text(503, "busy: the register cannot be used now")
        else:
            self._certificates(_certs_only([given.certificate]))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """To the log, without what a client made up of control characters."""
        _LOG.info("%s: %s", self.client_address[0], (format % args).encode("unicode_escape").decode())

    def _may_ask(self) -> bool:
        if self._service.rates.take(self.client_address[0]):
            return True
        self._text(429, "busy: too many requests from this address")
        return False

    def _body(self) -> bytes | None:
        """What was sent, or None when it was answered with a refusal."""
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not (length.isascii() and length.isdigit()):
            self._text(411, "bad-request: Content-Length is needed")
        elif int(length) > BODY_MAX:
            self._text(413, f"bad-request: more than {BODY_MAX} bytes")
        elif self.headers.get_content_type() != "application/pkcs10":
            self._text(415, "bad-request: application/pkcs10 is needed")
        else:
            return self.rfile.read(int(length))
        return None

    def _basic(self) -> tuple[str, str]:
        """User and password; empty when there are none that could be read."""
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(value, validate=True).decode("ascii").partition(":")
        except (binascii.Error, ValueError):
            return "", ""
        return (user, password) if scheme.lower() == "basic" else ("", "")

    def _shown(self) -> x509.Certificate | None:
        """The certificate that the client has shown, and TLS has checked."""
        shown = self.connection.getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(shown) if shown else None

    def _certificates(self, content: bytes) -> None:
        self._send(200, "application/pkcs7-mime; smime-type=certs-only", base64.b64encode(content))

    def _text(self, status: int, text: str) -> None:
        self.close_connection = True  # what was not read of the request is not looked at
        self._send(status, "text/plain; charset=utf-8", f"{text}\n".encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if kind.startswith("application/"):
            self.send_header("Content-Transfer-Encoding", "base64")
        if status == 401:  # noqa: PLR2004 - RFC 9110, 15.5.2: with it goes the challenge
            self.send_header("WWW-Authenticate", 'Basic realm="estrealm"')
        if status in {429, 503}:
            self.send_header("Retry-After", RETRY_S)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)


def _good(own: Path, host: str, now: datetime) -> bool:
    """Whether the certificate is there with its key, for this host, and in the first half of its life."""
    try:
        found = authority.certificate(own)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(own, own.with_suffix(".key"))
    except (ConfigError, OSError):
        return False
    return certificates.is_for(found, host) and not certificates.half_over(found, now)


def _context(office: Office, own: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer; a client may show a certificate, and one that it shows must be the city's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=office.root_pem())
    context.load_cert_chain(own, own.with_suffix(".key"))
    context.options |= ssl.OP_NO_TICKET  # each connection shows its certificate anew
    context.num_tickets = 0
    return context


def _certs_only(certificates: list[x509.Certificate]) -> bytes:
    return pkcs7.serialize_certificates(certificates, Encoding.DER)


def _cut(connection: ssl.SSLSocket) -> None:
    """End it from outside; TLS must not be taken away from the thread that may be writing."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
