"""A file put at an address by HTTP PUT, over links that break.

Invariants, beside those of `tries`:
- A try that broke off begins anew, unless the server showed before that it keeps count: by a 308, with
  `Range` if it has anything, as resumable uploads of Google Cloud Storage do. Only then it is asked how much
  is there (an empty PUT with `Content-Range: bytes */SIZE`), and given the rest. Any other server could take
  the question for an empty file, and put that in the place of the one that it has.
"""

from __future__ import annotations

import http.client
import re
from typing import TYPE_CHECKING

from agent.app.tries import AGAIN, Answer, Tries, printable

if TYPE_CHECKING:
    import ssl
    import threading
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

CHUNK = 64 * 1024
RESUME = 308  # without a Location; with one it is a redirect (RFC 9110, 15.4.9)


class Transfer(Tries):
    """One file on its way. `file` is at hand for reading and seeking, and has `size` bytes.

    `run` ends well once the server has said that it has the whole.
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
        super().__init__("upload", url, context, progress, stopping, time_s)
        self._headers = dict(headers)
        self._file = file
        self._size = size
        self._counts = False  # whether the server is known to keep count

    def _try(self) -> Answer:
        """Give it the file, or what is missing; the answer to that, or the one that says that nothing is."""
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

    def _worth_another(self, answer: Answer) -> bool:
        """Whether to try again after this answer to the file; a refusal of the rest is none of the whole."""
        if answer.status in AGAIN:
            return True
        counted, self._counts = self._counts, answer.received is not None
        return counted or self._counts

    def _put(self, start: int) -> Answer:
        headers = {**self._headers, "Content-Length": str(self._size - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{self._size - 1}/{self._size}"
        return self._exchange(headers, start)

    def _exchange(self, headers: Mapping[str, str], start: int | None) -> Answer:
        """One request, with the file from `start` on as its body, or with none."""
        connection = self._connection()
        try:
            connection.connect()
            with self._bounded(connection.sock):
                connection.putrequest("PUT", self._target, skip_accept_encoding=True)
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


def _answer(response: http.client.HTTPResponse) -> Answer:
    """What a response says; its body is nobody's business here."""
    received = None
    if response.status == RESUME and response.getheader("Location") is None:
        found = re.fullmatch(r"bytes=0-(\d{1,18})", response.getheader("Range") or "")
        received = int(found[1]) + 1 if found else 0
    return Answer(response.status, printable(response.reason), received)
