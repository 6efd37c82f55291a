"""A file put at an address by HTTP PUT, over links that break.

Invariants:
- Nothing is followed: a redirect is a failure, for this address was given by a signed order and no other was.
- Over https the server's certificate and name are checked always.
- A try that broke off begins anew, unless the server showed before that it keeps count: by a 308, with
  `Range` if it has anything, as resumable uploads of Google Cloud Storage do. Only then it is asked how much
  is there (an empty PUT with `Content-Range: bytes */SIZE`), and given the rest. Any other server could take
  the question for an empty file, and put that in the place of the one that it has.
- It ends: by success, by a refusal, after TRIES, when the time is over, soon after it was told to stop.
"""

from __future__ import annotations

import http.client
import logging
import random
import re
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

SOCKET_S = 30.0  # without a byte moved; a cell that hands over takes a few seconds
CHUNK = 64 * 1024
TRIES = 8
BACKOFF_MIN_S, BACKOFF_MAX_S = 1.0, 60.0
PROGRESS_S, PROGRESS_SHARE = 5.0, 0.25  # a word about it after so long, or so much
REASON_MAX = 100
RESUME = 308  # without a Location; with one it is a redirect (RFC 9110, 15.4.9)
AGAIN = {408, 425, 429, 500, 502, 503, 504}
"""Answers of a server that is slow, busy or in trouble: worth another try."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a file was not put there: `code` for programs, `text` for people."""

    code: str
    text: str


class _StoppedError(Exception):
    """It was told to stop, or its time is over; never seen outside this module."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    reason: str
    received: int | None
    """How many bytes the server has, if it keeps count."""

    @property
    def good(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


class Transfer:
    """One file on its way. `file` is at hand for reading and seeking, and has `size` bytes.

    `context` is for https; `progress` is told the share that was sent; `time_s` is for all tries together.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        file: BinaryIO,
        size: int,
        context: ssl.SSLContext,
        progress: Callable[[float], None],
        stopping: threading.Event,
        time_s: float,
    ) -> None:
        self._url = urlsplit(url)
        self._headers = dict(headers)
        self._file = file
        self._size = size
        self._context = context
        self._progress = progress
        self._stopping = stopping
        self._time_s = time_s
        self._until = time.monotonic() + time_s
        self._told_at, self._told = time.monotonic(), 0.0
        self._counts = False  # whether the server is known to keep count
        self._random = random.Random()  # noqa: S311 - it spreads load, it guards nothing

    def run(self) -> Failure | None:
        """Put it there; None once the server has said that it has the whole."""
        failure = Failure("gave-up", "not tried")
        for attempt in range(TRIES):
            try:
                answer = self._try(attempt)
            except _StoppedError:
                if self._stopping.is_set():
                    return Failure("interrupted", "the agent stops")
                return Failure("gave-up", f"not done within {self._time_s:.0f} s: {failure.text}")
            except ssl.SSLCertVerificationError as error:
                return Failure("certificate", f"{self._url.hostname}: {error.verify_message}")
            except (OSError, http.client.HTTPException) as error:
                failure = Failure("connection", f"{self._url.hostname}: {_printable(repr(error))}")
            else:
                if answer.good:
                    return None
                failure = Failure(
                    f"http-{answer.status}", f"{self._url.hostname}: {answer.status} {answer.reason}"
                )
                if not self._worth_another(answer):
                    return failure
            _LOG.info("upload, try %d: %s", attempt + 1, failure.text)
        return Failure("gave-up", f"{failure.text}, after {TRIES} tries")

    def _try(self, attempt: int) -> _Answer:
        """Give it the file, or what is missing; the answer to that, or the one that says that nothing is."""
        if attempt:
            self._wait(attempt)
        start = 0
        if self._counts:
            question = {"Content-Length": "0", "Content-Range": f"bytes */{self._size}"}
            answer = self._exchange(question, None)
            if answer.good:
                return answer
            if answer.received is not None and answer.received < self._size:
                start = answer.received
            else:
                self._counts = answer.status in AGAIN
        return self._put(start)

    def _worth_another(self, answer: _Answer) -> bool:
        """Whether to try again after this answer to the file; a refusal of the rest is none of the whole."""
        if answer.status in AGAIN:
            return True
        counted, self._counts = self._counts, answer.received is not None
        return counted or self._counts

    def _put(self, start: int) -> _Answer:
        headers = {**self._headers, "Content-Length": str(self._size - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{self._size - 1}/{self._size}"
        return self._exchange(headers, start)

    def _exchange(self, headers: Mapping[str, str], start: int | None) -> _Answer:
        """One request, with the file from `start` on as its body, or with none."""
        connection = self._connection()
        try:
            connection.connect()
            with self._bounded(connection.sock):
                query = f"?{self._url.query}" if self._url.query else ""
                connection.putrequest("PUT", f"{self._url.path or '/'}{query}", skip_accept_encoding=True)
                for name, value in headers.items():
                    connection.putheader(name, value)
                connection.endheaders()
                broken = None if start is None else self._send(connection, start)
                try:
                    response = connection.getresponse()
                except (OSError, http.client.HTTPException):
                    raise broken or ConnectionError("no answer") from None
                return _answer(response)
        finally:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection, start: int) -> OSError | None:
        """Send the file; what broke the connection meanwhile: the server may have answered before it did.

        Raises:
            TimeoutError: nothing moves; then no answer comes either.
        """
        self._file.seek(start)
        at = start
        try:
            while at < self._size:
                self._check()
                data = self._file.read(min(CHUNK, self._size - at))
                if not data:
                    raise ConnectionError("the file is shorter than it was")
                connection.send(data)
                at += len(data)
                self._tell(at / self._size)
        except TimeoutError:
            raise
        except OSError as error:
            return error
        return None

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        left = self._check()
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=min(SOCKET_S, left), context=self._context)
        return http.client.HTTPConnection(host, port, timeout=min(SOCKET_S, left))

    @contextmanager
    def _bounded(self, sock: socket.socket) -> Iterator[None]:
        """End the connection when the time is over: a server may send an answer byte by byte for ever."""

        def cut() -> None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self._check(), cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _wait(self, attempt: int) -> None:
        longest = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** (attempt - 1))
        self._stopping.wait(min(self._check(), self._random.uniform(longest / 2, longest)))

    def _check(self) -> float:
        """Seconds left; _StoppedError when there are none."""
        left = self._until - time.monotonic()
        if left <= 0 or self._stopping.is_set():
            raise _StoppedError
        return left

    def _tell(self, share: float) -> None:
        now = time.monotonic()
        if now - self._told_at >= PROGRESS_S or abs(share - self._told) >= PROGRESS_SHARE:
            self._told_at, self._told = now, share
            self._progress(share)


def _answer(response: http.client.HTTPResponse) -> _Answer:
    """What a response says; its body is nobody's business here."""
    received = None
    if response.status == RESUME and response.getheader("Location") is None:
        found = re.fullmatch(r"bytes=0-(\d{1,18})", response.getheader("Range") or "")
        received = int(found[1]) + 1 if found else 0
    return _Answer(response.status, _printable(response.reason), received)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:REASON_MAX])
