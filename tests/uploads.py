"""An HTTP server that takes uploads, and misbehaves by a script."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Request:
    """One request as it came, as far as it came."""

    target: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Step:
    """What to do with a request: read `read` bytes of its body (all when None), then answer or hang up."""

    status: int | None = 200
    read: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    drip: float | None = None
    """Say "go on" each so many seconds, without end."""


class Uploads:
    """The server; each request is handled by the next step of `script`, by success after the last one."""

    def __init__(
        self, *script: Step, certificate: tuple[Path, Path] | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.requests: list[Request] = []
        self._script = list(script)
        self._ended = threading.Event()
        uploads = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                uploads._serve(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((host, 0), Handler)
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign] - a client that hangs up
        self.port = int(self._server.server_address[1])
        self.url = f"{scheme}://{host}:{self.port}/evidence/clip?X-Signature=a%2Fb"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        step = self._script.pop(0) if self._script else Step()
        request = Request(handler.path, {name.lower(): value for name, value in handler.headers.items()})
        self.requests.append(request)
        left = int(request.headers.get("content-length", 0))
        left = left if step.read is None else min(left, step.read)
        while left and (data := handler.rfile.read(min(left, 65536))):
            request.body += data
            left -= len(data)
        handler.close_connection = True
        if step.drip is not None:
            with suppress(OSError):
                while not self._ended.wait(step.drip):
                    handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif step.status is None:
            with suppress(OSError):
                handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            handler.send_response(step.status)
            for name, value in {"Content-Length": "0", **step.headers}.items():
                handler.send_header(name, value)
            handler.end_headers()
