r"""The hatch: a local socket at which the running agent answers its technician. It listens on no network.

Who may open it: root, the agent's user and its group (the file's mode says so, and the kernel holds to it).
A question is one line, an answer is one JSON document or one picture, and the connection ends. A few
questions are letters: more follows the line, up to LETTER_MAX bytes.

    status\n    what the agent knows of itself, as JSON
    still\n     what the camera sees now, masked, with all that the agent saw drawn on it, as JPEG; empty when
                there is none. Each is noted in the audit, with who asked.
    bundle\n    notes in the audit that somebody takes a support bundle, and gives it its id.
    state\n     the state directory of this agent, for `reach`.
    aim\n       what the camera sees now, masked, nothing drawn on it, and its figures: a line of JSON, then
                the JPEG. Noted as well, once a minute for as long as somebody goes on looking.
    aimed\n     an aim was kept as passed: forget the view that was before, learn this one; whether, as JSON
    drawn\n     the masks and zones in force, and which layer of the settings each is from, as JSON
    redraw\n…   masks and zones to put in their place, as JSON; the answer says what came of it
    board\n…    notes in the audit what became of a page for drawing: opened, entered, locked, closed

A client that has not asked, or not read, after PATIENCE_S is left; one is served at a time.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import StairwellError, StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NAME = "agent.sock"
HOME = "state"
"""The question whose state directory an agent's is."""
SERVICE = Path("/run/stairwell")
"""Where systemd's RuntimeDirectory= puts it."""
MODE = 0o660  # root, the agent, and the technicians that are put into its group
QUESTION_MAX = 64
LETTER_MAX = 64 * 1024  # bytes: 32 polygons of 64 corners have 60 kB
PATIENCE_S = 5.0
WAITING = 4  # a technician's terminal, a timer's doctor, and one more that was forgotten

log = logging.getLogger(__name__)


class Hatch:
    """Serves `answers`: each is called in this thread when its question comes, with the user id of who asks.

    `path` is the socket's file. Those of `letters` are called with what follows the question, too.
    """

    def __init__(
        self,
        path: Path,
        answers: Mapping[str, Callable[[int], bytes]],
        letters: Mapping[str, Callable[[int, bytes], bytes]] | None = None,
    ) -> None:
        self._path = path
        self._answers = dict(answers)
        self._letters = dict(letters or {})
        self._closed = threading.Event()
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None
        """What ended the thread; the process is then to end."""

    def start(self) -> None:
        """Open the socket and serve. A file that a killed agent left there is replaced.

        Raises:
            StorageError: the socket cannot be made.
        """
        server = self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            with suppress(FileNotFoundError):
                self._path.unlink()
            before = os.umask(0o177)  # nobody gets in before the mode is set
            try:
                with _short(self._path) as address:
                    server.bind(address)
            finally:
                os.umask(before)
            self._path.chmod(MODE)
            server.listen(WAITING)
        except OSError as error:
            server.close()
            raise StorageError(
                say(
                    "{path}: the agent's socket cannot be made ({reason})",
                    path=self._path,
                    reason=reason(error),
                ),
                fix=say("see that the directory belongs to the agent's user and is not read-only"),
                errno=error.errno,
            ) from None
        self._thread = threading.Thread(target=self._run, args=(server,), name="hatch", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Stop serving and take the file away; nothing if it was not started."""
        self._closed.set()
        if self._socket is None or self._thread is None:
            return
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._thread.join(timeout_s)
        self._socket.close()
        with suppress(OSError):
            self._path.unlink()

    def _run(self, server: socket.socket) -> None:
        try:
            while not self._closed.is_set():
                self._serve(server)
        except Exception as error:
            log.exception("the hatch died")
            self.failure = error

    def _read(self, question: str, letter: bytes, user: int) -> bytes:
        return self._letters[question](user, letter)

    def _serve(self, server: socket.socket) -> None:
        try:
            client, _ = server.accept()
        except OSError:
            if self._closed.is_set():
                return
            raise
        with client, suppress(OSError):  # the client went, or said nothing
            until = time.monotonic() + PATIENCE_S
            question, rest = _line(client, until)
            answer = self._answers.get(question)
            if question in self._letters:
                letter = _letter(client, rest, until)
                answer = partial(self._read, question, letter)
            if answer is None:
                log.warning("the hatch was asked %.64r, which nobody answers", question)
                return
            try:
                told = answer(_user(client))
                client.settimeout(PATIENCE_S)  # for all of it
                client.sendall(told)
            except StairwellError as error:  # what is asked for cannot be had now; the connection ends empty
                log.warning("the hatch cannot answer %s: %s", question, error)


def home(state: Path) -> bytes:
    """The answer to it."""
    return os.fsencode(state.resolve())


def ask(path: Path, question: str, timeout_s: float = PATIENCE_S, letter: bytes = b"") -> bytes:
    """The running agent's answer; `letter` follows the question.

    Raises:
        FileNotFoundError, ConnectionRefusedError: no agent runs there.
        PermissionError: only root and the agent's group may ask.
        OSError: it does not answer (TimeoutError), or the connection broke.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as client:
        client.settimeout(timeout_s)
        with _short(path) as address:
            client.connect(address)
        client.sendall(f"{question}\n".encode() + letter)
        client.shutdown(socket.SHUT_WR)
        parts = []
        while part := client.recv(65536):
            parts.append(part)
        return b"".join(parts)


def reach(state: Path, question: str, timeout_s: float = PATIENCE_S, letter: bytes = b"") -> bytes:
    """As `ask`, wherever the agent of this state directory has its socket: with or without systemd.

    The service's agent answers only for a state directory that is its own: who names another configuration
    does not ask about this kit. One of an earlier version does not tell its own, and is believed.
    """
    try:
        whose = ask(SERVICE / NAME, HOME, timeout_s)
    except FileNotFoundError:
        return ask(state / NAME, question, timeout_s, letter)
    place = SERVICE if whose in {b"", home(state)} else state
    return ask(place / NAME, question, timeout_s, letter)


def denied() -> StairwellError:
    """What is told to who may not ask."""
    return StairwellError(
        say("the agent's socket: permission denied"),
        fix=say("use sudo, or join the group: sudo usermod -aG stairwell $USER, and log in again"),
    )


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """An address for the file that is never too long: unix(7) allows 107 bytes, paths have more."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def _user(client: socket.socket) -> int:
    """Who asks, as the kernel knows it (unix(7), SO_PEERCRED: pid, uid and gid)."""
    _, user, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(user)


def _line(client: socket.socket, until: float) -> tuple[str, bytes]:
    """What the client asks: up to the line's end, no more than a question is long; and what came after it."""
    text = b""
    while b"\n" not in text and len(text) <= QUESTION_MAX:
        part = _part(client, QUESTION_MAX, until)
        if not part:
            break
        text += part
    question, _, rest = text.partition(b"\n")
    return question.decode("ascii", errors="replace"), rest


def _letter(client: socket.socket, begun: bytes, until: float) -> bytes:
    """All that follows the question; of one that is too long a part, which whoever reads it refuses."""
    parts, size = [begun], len(begun)
    while size <= LETTER_MAX and (part := _part(client, 65536, until)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _part(client: socket.socket, most: int, until: float) -> bytes:
    """What comes next, before `until` on the monotonic clock: byte by byte nobody keeps the others waiting.

    Raises:
        TimeoutError: nothing came in time.
    """
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    client.settimeout(left)
    return client.recv(most)
