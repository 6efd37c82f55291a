"""An HTTP server that gives a file, with or without parts of it, and breaks off by a script."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Downloads:
    """The server of `content`; `parts`: whether it knows `Range`, `sized`: whether it says how long it is.

    `script` has for each request after how many bytes it hangs up (None: never); `statuses` are said first,
    with these headers and no content. After that all goes well.
    """

    def __init__(
        self,
        content: bytes,
        *script: int | None,
        statuses: dict[int, dict[str, str]] | None = None,
        parts: bool = True,
        sized: bool = True,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.content = content
        self.asked: list[str | None] = []
        """The range that each request asked for."""
        self._script = list(script)
        self._statuses = dict(statuses or {})
        self._parts = parts
        self._sized = sized
        downloads = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                downloads._serve(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign] - a client that hangs up
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}/releases/next?sig=a%2Fb"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        handler.close_connection = True
        found = re.fullmatch(r"bytes=(\d+)-", wanted or "") if self._parts else None
        start = int(found[1]) if found else 0
        status, headers = (206, {"Content-Range": self._range(start)}) if found else (200, {})
        body = self.content[start:]
        if found and start >= len(self.content):
            status, headers, body = 416, {"Content-Range": f"bytes */{len(self.content)}"}, b""
        if self._statuses:
            status = next(iter(self._statuses))
            headers, body = self._statuses.pop(status), b""
        cut = self._script.pop(0) if self._script else None
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if self._sized:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        with suppress(OSError):
            handler.wfile.write(body[:cut])
            if cut is not None:
                handler.connection.shutdown(socket.SHUT_RDWR)

    def _range(self, start: int) -> str:
        return f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
