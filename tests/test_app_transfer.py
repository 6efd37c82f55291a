"""Uploads: whole, verified, over links that break, and bounded in every way."""

from __future__ import annotations

import io
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest
from broker import free_port
from uploads import Step, Uploads

from agent.app import tries
from agent.app.transfer import Transfer
from pki import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.app.tries import Failure

CONTENT = bytes(range(256)) * 4096  # a megabyte: more than sockets hold between them
SIZE = len(CONTENT)
HALF = SIZE // 2
CUT, BUSY = Step(None, read=HALF), Step(503)


def kept(count: int) -> Step:
    """A server that keeps count has so many bytes."""
    return Step(308, headers={"Range": f"bytes=0-{count - 1}"} if count else {})


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "BACKOFF_MIN_S", 0.01)


class Sent:
    """A transfer that has ended, and what the server got of it."""

    def __init__(
        self,
        server: Uploads | str,
        *,
        context: ssl.SSLContext | None = None,
        stopping: threading.Event | None = None,
        time_s: float = 60.0,
        headers: dict[str, str] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        self.shares: list[float] = []
        url = server if isinstance(server, str) else server.url
        began = time.monotonic()
        self.failure: Failure | None = Transfer(
            url,
            headers or {},
            io.BytesIO(CONTENT),
            SIZE,
            context or ssl.create_default_context(),
            progress or self.shares.append,
            stopping or threading.Event(),
            time_s,
        ).run()
        self.seconds = time.monotonic() - began
        self.code = None if self.failure is None else self.failure.code


@pytest.fixture
def serve() -> Iterator[Callable[..., Uploads]]:
    servers: list[Uploads] = []

    def make(*script: Step, **options: object) -> Uploads:
        servers.append(Uploads(*script, **options))  # type: ignore[arg-type]
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def test_a_file_arrives_whole(serve: Callable[..., Uploads]) -> None:
    """At the very address, with the headers that its signature covers, and told on the way."""
    server = serve()
    sent = Sent(server, headers={"x-amz-acl": "private", "Content-Type": "application/octet-stream"})
    (request,) = server.requests

    assert sent.failure is None
    assert CONTENT == request.body
    assert "/evidence/clip?X-Signature=a%2Fb" == request.target
    assert ("private", "application/octet-stream", str(SIZE)) == tuple(
        request.headers[name] for name in ("x-amz-acl", "content-type", "content-length")
    )
    assert {"transfer-encoding", "content-range", "accept-encoding"}.isdisjoint(request.headers)
    assert [0.25, 0.5, 0.75, 1.0] == sent.shares


def test_a_cut_connection_is_gone_on_with_where_the_server_keeps_count(
    serve: Callable[..., Uploads],
) -> None:
    """Once it has shown that it does, it is asked how much it has, and given the rest."""
    server = serve(kept(10), kept(10), CUT, kept(HALF), Step(201))
    sent = Sent(server)
    *_, question, rest = server.requests

    assert sent.failure is None
    assert CONTENT[HALF:] == rest.body
    assert (f"bytes */{SIZE}", b"") == (question.headers["content-range"], question.body)
    assert f"bytes {HALF}-{SIZE - 1}/{SIZE}" == rest.headers["content-range"]


def test_a_server_that_took_less_than_it_got_is_given_the_rest(serve: Callable[..., Uploads]) -> None:
    """308 to the file itself: it goes on, as often as that takes."""
    server = serve(Step(308, headers={"Range": "bytes=0-9"}), kept(10), kept(HALF), kept(HALF), Step(200))
    assert Sent(server).failure is None
    assert CONTENT[HALF:] == server.requests[-1].body


@pytest.mark.parametrize("first", [CUT, BUSY, Step(None)])
def test_a_server_that_is_not_known_to_keep_count_is_not_asked(
    serve: Callable[..., Uploads], first: Step
) -> None:
    """It might take the question for an empty file, and lose the whole one whose answer was cut off."""
    server = serve(first, first, Step(200))
    assert Sent(server).failure is None
    assert [str(SIZE)] * 3 == [request.headers["content-length"] for request in server.requests]
    assert not any("content-range" in request.headers for request in server.requests)
    assert CONTENT == server.requests[-1].body


@pytest.mark.parametrize("status", [200, 201])
def test_a_server_that_says_it_has_all_is_given_no_more(serve: Callable[..., Uploads], status: int) -> None:
    """The answer to the file was lost, and that to the question tells."""
    server = serve(kept(HALF), kept(HALF), Step(None), Step(status))
    assert Sent(server).failure is None
    assert 4 == len(server.requests)
    assert (f"bytes */{SIZE}", b"") == (
        server.requests[-1].headers["content-range"],
        server.requests[-1].body,
    )


@pytest.mark.parametrize("status", [501, 400, 411, 403])
def test_a_server_that_no_longer_counts_is_given_the_whole_again(
    serve: Callable[..., Uploads], status: int
) -> None:
    """It showed that it does, and does not understand the question after all."""
    server = serve(kept(HALF), Step(status), Step(200))
    assert Sent(server).failure is None
    assert 3 == len(server.requests)
    assert CONTENT == server.requests[-1].body
    assert "content-range" not in server.requests[-1].headers


def test_a_server_that_refuses_the_rest_is_given_the_whole(serve: Callable[..., Uploads]) -> None:
    """It kept count, and does not take a part after all."""
    server = serve(kept(HALF), kept(HALF), Step(501), Step(200))
    assert Sent(server).failure is None
    assert CONTENT == server.requests[-1].body


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_tried_again(serve: Callable[..., Uploads], status: int) -> None:
    """With a pause, and not for ever."""
    server = serve(Step(status), Step(200))
    assert Sent(server).failure is None
    server = serve(*[Step(status)] * 40)
    sent = Sent(server)
    assert sent.failure is not None
    assert ("gave-up", True) == (sent.code, f": {status} " in sent.failure.text)
    assert len(server.requests) < 2 * tries.TRIES


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 501])
def test_a_refusal_is_final(serve: Callable[..., Uploads], status: int) -> None:
    """An address that has run out does not get better by trying."""
    server = serve(Step(status))
    sent = Sent(server)
    assert f"http-{status}" == sent.code
    assert 1 == len(server.requests)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(serve: Callable[..., Uploads], status: int) -> None:
    """Footage goes where the signed order said, and nowhere else."""
    elsewhere = serve()
    server = serve(Step(status, headers={"Location": elsewhere.url}))
    assert f"http-{status}" == Sent(server).code
    assert [] == elsewhere.requests


def test_an_early_refusal_is_heard(serve: Callable[..., Uploads]) -> None:
    """A server that answers and hangs up before it read all has said why."""
    assert "http-403" == Sent(serve(Step(403, read=10))).code


def test_nobody_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """After some tries, with the host and why; the rest of the address is a secret."""
    monkeypatch.setattr(tries, "TRIES", 3)
    sent = Sent(f"http://127.0.0.1:{free_port()}/c?X-Signature=secret")
    assert sent.failure is not None
    assert ("gave-up", True, False) == (
        sent.code,
        "127.0.0.1: ConnectionRefusedError" in sent.failure.text,
        "secret" in sent.failure.text,
    )


def test_a_stop_ends_it_soon(serve: Callable[..., Uploads], monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of the file, and while it waits for another try."""
    stopping = threading.Event()
    assert "interrupted" == Sent(serve(), stopping=stopping, progress=lambda _: stopping.set()).code
    monkeypatch.setattr(tries, "BACKOFF_MIN_S", 60.0)
    later = threading.Event()
    threading.Timer(0.3, later.set).start()
    sent = Sent(serve(BUSY), stopping=later)
    assert ("interrupted", True) == (sent.code, sent.seconds < 30)


def test_its_time_is_bounded(serve: Callable[..., Uploads], monkeypatch: pytest.MonkeyPatch) -> None:
    """With a server that always has something to say, and one that is never well."""
    monkeypatch.setattr(tries, "TRIES", 99)
    for script in ([Step(drip=0.1)] * 9, [BUSY] * 999):
        sent = Sent(serve(*script), time_s=1.5)
        assert "gave-up" == sent.code
        assert sent.seconds < 20


def test_the_servers_certificate_is_checked(serve: Callable[..., Uploads], tmp_path: Path) -> None:
    """One that we know and that is of this name; else nothing is sent."""
    authority, other = Authority(tmp_path / "ca"), Authority(tmp_path / "other")
    right = serve(certificate=authority.issue("store", "127.0.0.1"))
    named = serve(certificate=authority.issue("elsewhere", "elsewhere.example"))
    stranger = serve(certificate=other.issue("stranger", "127.0.0.1"))
    context = ssl.create_default_context(cafile=authority.ca)

    assert Sent(right, context=context).failure is None
    assert CONTENT == right.requests[0].body
    for wrong in (named, stranger):
        assert "certificate" == Sent(wrong, context=context).code
        assert [] == wrong.requests
