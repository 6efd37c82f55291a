"""Answers the browser that has the page for drawing: what it is made of, the picture, and what is saved.

Python's own HTTP server does it, as for the enrolment: nothing more has to be on a kit. On the kit, and in
the technician's browser, the page is kept from others:

- a token in a cookie that scripts cannot read knows the browser that the code let in;
- another name than the loopback's in Host is refused (a foreign page that resolves its name to 127.0.0.1),
  and whatever would change something must come from this very page (Origin);
- no script or style but its own is run, nothing is stored by browsers, no page may frame it.
"""

from __future__ import annotations

import functools
import http.server
import json
import logging
import re
import socketserver
import threading
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.app import board_page, drawing, hatch, viewfinder
from agent.errors import ConfigError, StairwellError
from agent.words import LANGUAGES, say

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from agent.app.board import Board
    from agent.words import Text

HOST = "127.0.0.1"
NAMES = re.compile(r"(localhost|127\.0\.0\.1)(:[0-9]{1,5})?")
"""By which a browser may call it; the port may be another at the near end of the tunnel."""
COOKIE = "stairwell-board"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
BODY_MAX = hatch.LETTER_MAX
FORM_MAX = 256  # bytes: a code, and the field's name
LENGTH_DIGITS = 9  # of a Content-Length: int() refuses thousands of them
CONNECTIONS_MAX = 8  # one browser opens six
STEP_S = 10.0  # of each wait for the other side
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with none at all, browsers send no Origin with a form either
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer."""

_LOG = logging.getLogger(__name__)


class _Sheet(BaseModel):
    """What the page saves: a drawing, and the digest of the one that it was begun with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: str
    draft: drawing.Sketch


class BoardServer(socketserver.ThreadingTCPServer):
    """Listens from when it is made; each connection has a thread, CONNECTIONS_MAX at most."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, board: Board, port: int) -> None:
        self._room = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__((HOST, port), functools.partial(_Handler, board))

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """With a thread of its own, or not at all."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """The whole life of a connection."""
        try:
            self.finish_request(request, client_address)
        except OSError as error:
            _LOG.debug("connection of %s: %s", client_address, error)
        finally:
            self.shutdown_request(request)
            self._room.release()


class _Handler(http.server.BaseHTTPRequestHandler):
    server_version = "stairwell"
    sys_version = ""
    timeout: ClassVar[float] = STEP_S

    def __init__(self, board: Board, *arguments: object) -> None:
        self._board = board
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """The page, what it is made of, and what it asks for."""
        if not self._called_rightly():
            return
        path, _, query = self.path.partition("?")
        asset = board_page.asset(path)
        if asset is not None:
            self._send(200, *asset)
        elif path == "/":
            self._choose_language()
            self._page()
        elif not self._is_in(active=path != "/look" or query == "active"):  # the page looks by itself
            self._fail(403, say("the code has to be typed in first"))
        elif path == "/look":
            self._tell(self._look)
        elif path == "/drawn":
            self._tell(self._drawn)
        else:
            self._fail(404, say("there is no such page"))

    def do_POST(self) -> None:
        """Let in, draw, finish: only from this very page."""
        if not self._called_rightly():
            return
        # Read it first: who closes a connection over what was not read resets it, and the answer may be lost.
        body = self._body(*((FORM, FORM_MAX) if self.path == "/enter" else (JSON, BODY_MAX)))
        if body is None:
            return
        if self.headers.get("Origin") != f"http://{self.headers['Host']}":
            self._fail(403, say("this did not come from the page itself"))
        elif self.path == "/enter":
            self._enter(body)
        elif not self._is_in():
            self._fail(403, say("the code has to be typed in first"))
        elif self.path == "/save":
            self._tell(functools.partial(self._save, body))
        elif self.path == "/finish":
            self._tell(self._finish)
        else:
            self._fail(404, say("there is no such page"))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses by itself, with our headers."""
        del message, explain
        self._send(code, "text/plain", b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """To the log, without what a client made up of control characters."""
        _LOG.debug("%s", (format % args).encode("unicode_escape").decode())

    def _called_rightly(self) -> bool:
        if NAMES.fullmatch(self.headers.get("Host", "")):
            return True
        self._fail(421, say("this page is called localhost"))
        return False

    def _is_in(self, *, active: bool = True) -> bool:
        # Browsers send a host's cookies to all its ports: some, of other programs, are not well formed.
        pairs = (part.strip().partition("=") for part in self.headers.get("Cookie", "").split(";"))
        door, now = self._board.door, self._board.now()
        return any(name == COOKIE and door.admits(token, now, active=active) for name, _, token in pairs)

    def _choose_language(self) -> None:
        wanted = parse_qs(urlsplit(self.path).query).get("lang", [""])[0]
        for language in LANGUAGES:
            if wanted == language:
                self._board.language = language

    def _page(self) -> None:
        board = self._board
        if self._is_in():
            self._html(200, board_page.board(board.kit, board.language))
        else:
            self._html(200, board_page.door(board.kit, board.language, None))

    def _enter(self, body: bytes) -> None:
        board = self._board
        typed = parse_qs(body.decode("ascii", errors="replace")).get("code", [""])[0]
        try:
            token = board.door.enter(typed, board.now(), lambda: board.note("entered"))
        except (OSError, StairwellError) as error:
            _LOG.warning("nobody is let in: %s", error)
            problem = say("The agent cannot be asked now: try again in a moment.")
            self._html(503, board_page.door(board.kit, board.language, problem))
            return
        if token is None:
            problem = say("This is not the code, or it was used already; tries left: {n}", n=board.door.left)
            self._html(403, board_page.door(board.kit, board.language, problem))
            return
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Set-Cookie", f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict")
        self._end(b"")

    def _tell(self, answer: Callable[[], None]) -> None:
        """Answer, or say that the agent does not; one that begins anew is back within seconds."""
        try:
            answer()
        except StairwellError as error:
            self._fail(503, error.words[0])
        except OSError as error:
            _LOG.debug("the agent: %s", error)
            self._fail(503, say("the agent does not answer now; it may be starting anew"))

    def _look(self) -> None:
        look, language = viewfinder.look(self._board.state), self._board.language
        light, level = viewfinder.light(look.aim), viewfinder.level(look.aim)
        figures = {
            **look.aim.model_dump(mode="json"),
            "light_ok": light[0],
            "light_text": light[1].told(language),
            "level_ok": level[0],
            "level_text": level[1].told(language),
        }
        self._send(200, "image/jpeg", look.jpeg, {"X-Figures": json.dumps(figures)})

    def _drawn(self) -> None:
        found = drawing.drawn(self._board.state)
        self._json({**found.model_dump(mode="json"), "fixed": found.fixed})

    def _save(self, body: bytes) -> None:
        board = self._board
        try:
            sheet = _Sheet.model_validate_json(body)
        except ValidationError as error:
            self._fail(422, drawing.unusable(error).words[0])
            return
        known = {drawing.drawn(board.state).digest} | ({board.saved.digest} if board.saved else set())
        if sheet.base not in known:
            self._fail(409, say("the settings have changed meanwhile: load the page again, and draw anew"))
            return
        verdict = drawing.redraw(board.state, sheet.draft)
        try:
            digest = verdict.upheld()
        except ConfigError as error:
            self._json({"why": error.told(board.language)}, 422)
            return
        board.keep(digest, sheet.draft)
        self._json({"digest": digest, "changed": verdict.changed})

    def _finish(self) -> None:
        """Nothing comes any more; who saved nothing finds right what is there."""
        if self._board.saved is None:
            found = drawing.drawn(self._board.state)
            self._board.keep(found.digest, found.draft.drawn_by_somebody())
        try:
            self._json({})
        finally:  # it is finished for a browser that has gone, too
            self._board.finished.set()

    def _body(self, kind: str, longest: int) -> bytes | None:
        """What was sent, or None when it was answered with a refusal."""
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not (length.isascii() and length.isdigit()):
            self._fail(411, say("the length is missing"))
        elif len(length) > LENGTH_DIGITS or int(length) > longest:
            self._fail(413, say("this is too long"))
        else:
            body = self.rfile.read(int(length))
            if self.headers.get_content_type() == kind:
                return body
            self._fail(415, say("this is of another kind"))
        return None

    def _fail(self, status: int, why: Text) -> None:
        self._json({"why": why.told(self._board.language)}, status)

    def _json(self, value: object, status: int = 200) -> None:
        self._send(status, JSON, json.dumps(value).encode())

    def _html(self, status: int, page: str) -> None:
        self._send(status, "text/html; charset=utf-8", page.encode())

    def _send(self, status: int, kind: str, content: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self._end(content)

    def _end(self, content: bytes) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
