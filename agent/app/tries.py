"""Something done over HTTP that is tried again when a link breaks: what uploads and downloads share.

Invariants:
- Nothing is followed: a redirect is a failure, for the address was given by a signed order and no other was.
- Over https the server's certificate and name are checked always.
- It ends: by success, by a refusal, after TRIES, when the time is over, soon after it was told to stop.
"""

from __future__ import annotations

import http.client
import logging
import random
import socket
import ssl
import threading
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOCKET_S = 30.0  # without a byte moved; a cell that hands over takes a few seconds
TRIES = 8
BACKOFF_MIN_S, BACKOFF_MAX_S = 1.0, 60.0
PROGRESS_S, PROGRESS_SHARE = 5.0, 0.25  # a word about it after so long, or so much
REASON_MAX = 100
AGAIN = {408, 425, 429, 500, 502, 503, 504}
"""Answers of a server that is slow, busy or in trouble: worth another try."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why it was not done: `code` for programs, `text` for people."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to one try."""

    status: int
    reason: str
    received: int | None = None
    """How many bytes the server has, if it keeps count."""

    @property
    def good(self) -> bool:
        """Whether it is done."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


class StoppedError(Exception):
    """It was told to stop, or its time is over; never seen outside."""


class GivenUpError(Exception):
    """No try will do; never seen outside."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


class Tries(ABC):
    """One thing that is tried. `what` it is goes to the journal; `time_s` is for all tries together.

    `context` is for https; `progress` is told the share that is done.
    """

    def __init__(
        self,
        what: str,
        url: str,
        context: ssl.SSLContext,
        progress: Callable[[float], None],
        stopping: threading.Event,
        time_s: float,
    ) -> None:
        self._what = what
        self._url = urlsplit(url)
        self._context = context
        self._progress = progress
        self._stopping = stopping
        self._time_s = time_s
        self._until = time.monotonic() + time_s
        self._told_at, self._told = time.monotonic(), 0.0
        self._random = random.Random()  # noqa: S311 - it spreads load, it guards nothing

    def run(self) -> Failure | None:
        """Do it; None once it is done."""
        failure = Failure("gave-up", "not tried")
        for attempt in range(TRIES):
            try:
                found = self._attempt(attempt)
            except StoppedError:
                if self._stopping.is_set():
                    return Failure("interrupted", "the agent stops")
                return Failure("gave-up", f"not done within {self._time_s:.0f} s: {failure.text}")
            except GivenUpError as error:
                return error.failure
            if found is None:
                return None
            failure = found
            _LOG.info("%s, try %d: %s", self._what, attempt + 1, failure.text)
        return Failure("gave-up", f"{failure.text}, after {TRIES} tries")

    def _attempt(self, attempt: int) -> Failure | None:
        """Try once more: None when it is done, else why not yet.

        Raises:
            GivenUpError: it is of no use to try again.
            StoppedError: see there.
        """
        try:
            if attempt:
                self._wait(attempt)
            answer = self._try()
        except ssl.SSLCertVerificationError as error:
            raise GivenUpError(
                Failure("certificate", f"{self._url.hostname}: {error.verify_message}")
            ) from None
        except (OSError, http.client.HTTPException) as error:
            return Failure("connection", f"{self._url.hostname}: {printable(repr(error))}")
        if answer.good:
            return None
        failure = Failure(f"http-{answer.status}", f"{self._url.hostname}: {answer.status} {answer.reason}")
        if not self._worth_another(answer):
            raise GivenUpError(failure)
        return failure

    @abstractmethod
    def _try(self) -> Answer:
        """Try once; the answer that it ended with.

        Raises:
            OSError, http.client.HTTPException: the link broke.
            GivenUpError, StoppedError: see there.
        """

    def _worth_another(self, answer: Answer) -> bool:
        """Whether to try again after this answer."""
        return answer.status in AGAIN

    @property
    def _target(self) -> str:
        """Of a request."""
        query = f"?{self._url.query}" if self._url.query else ""
        return f"{self._url.path or '/'}{query}"

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
        """Seconds left; StoppedError when there are none."""
        left = self._until - time.monotonic()
        if left <= 0 or self._stopping.is_set():
            raise StoppedError
        return left

    def _tell(self, share: float) -> None:
        now = time.monotonic()
        if now - self._told_at >= PROGRESS_S or abs(share - self._told) >= PROGRESS_SHARE:
            self._told_at, self._told = now, share
            self._progress(share)


def printable(text: str) -> str:
    """What a server or an error said, fit for a line."""
    return "".join(c if c.isprintable() else "?" for c in text[:REASON_MAX])
