"""A file fetched from an address by HTTP GET, over links that break, no larger than it may be.

What is there already is not fetched again: a try asks for the rest (`Range`), and a server that gives the
whole instead is read from its beginning. Whether the parts belong together nobody asks here: whoever fetches
knows the hash of the whole.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from agent.app.tries import Answer, Failure, GivenUpError, Tries, printable

if TYPE_CHECKING:
    import ssl
    import threading
    from collections.abc import Callable
    from typing import BinaryIO

CHUNK = 64 * 1024


class Fetch(Tries):
    """One file to come, or the rest of it, at the end of `file`, which is at hand for reading and writing.

    At most `longest` bytes; `spare` bytes of the file's disk stay free. `run` ends well once all that the
    server has is there, and synced.
    """

    def __init__(
        self,
        url: str,
        file: BinaryIO,
        longest: int,
        spare: int,
        context: ssl.SSLContext,
        progress: Callable[[float], None],
        stopping: threading.Event,
        time_s: float,
    ) -> None:
        super().__init__("download", url, context, progress, stopping, time_s)
        self._file = file
        self._longest = longest
        self._spare = spare

    def _try(self) -> Answer:
        """Ask for what is missing, and keep it."""
        start = self._file.seek(0, os.SEEK_END)
        connection = self._connection()
        try:
            connection.connect()
            with self._bounded(connection.sock):
                connection.putrequest("GET", self._target)
                if start:
                    connection.putheader("Range", f"bytes={start}-")
                connection.endheaders()
                return self._take(connection.getresponse(), start)
        finally:
            connection.close()

    def _take(self, response: http.client.HTTPResponse, start: int) -> Answer:
        answer = Answer(response.status, printable(response.reason))
        match response.status:
            case HTTPStatus.OK:
                self._forget()
                self._keep(response, 0)
            case HTTPStatus.PARTIAL_CONTENT if _begins(response) == start:
                self._keep(response, start)
            case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE if start and _whole(response) == start:
                return Answer(HTTPStatus.OK, "nothing is missing")
            case HTTPStatus.PARTIAL_CONTENT | HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE if start:
                self._forget()
                raise ConnectionError("another part than was asked for")
            case HTTPStatus.PARTIAL_CONTENT:
                raise GivenUpError(Failure("not-the-whole", f"{self._url.hostname}: a part, unasked"))
            case status if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
                raise GivenUpError(Failure(f"http-{status}", f"{self._url.hostname}: {status}, and no file"))
        return answer

    def _keep(self, response: http.client.HTTPResponse, start: int) -> None:
        """Write what comes to the end of the file.

        Raises:
            ConnectionError: it broke off.
            GivenUpError: it is too large, or the disk has no room.
        """
        length = response.length  # None when the server does not say
        whole = None if length is None else start + length
        self._see_room(start, start if whole is None else whole)
        at = start
        while data := response.read(CHUNK):
            self._check()
            at += len(data)
            if whole is None:
                self._see_room(at, at)
            try:
                self._file.write(data)
            except OSError as error:
                raise _disk(error) from None
            if whole:
                self._tell(at / whole)
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _disk(error) from None
        if whole is not None and at != whole:
            raise ConnectionError(f"cut off at {at} of {whole} bytes")

    def _see_room(self, at: int, whole: int) -> None:
        if whole > self._longest:
            raise GivenUpError(Failure("too-large", f"{self._url.hostname}: more than {self._longest} bytes"))
        free = shutil.disk_usage(Path(self._file.name).parent).free
        if free - (whole - at) < self._spare:
            raise GivenUpError(
                Failure("no-room", f"{free // 10**6} MB free, and {self._spare // 10**6} MB are to stay")
            )

    def _forget(self) -> None:
        self._file.seek(0)
        self._file.truncate()


def _begins(response: http.client.HTTPResponse) -> int | None:
    """Where the part begins that the server gives."""
    found = re.fullmatch(
        r"bytes (\d{1,18})-\d{1,18}/(?:\d{1,18}|\*)", response.getheader("Content-Range") or ""
    )
    return int(found[1]) if found else None


def _whole(response: http.client.HTTPResponse) -> int | None:
    """How much the server has, when it refuses a part."""
    found = re.fullmatch(r"bytes \*/(\d{1,18})", response.getheader("Content-Range") or "")
    return int(found[1]) if found else None


def _disk(error: OSError) -> GivenUpError:
    return GivenUpError(Failure("disk", f"the disk refuses what comes: {error.strerror}"))
