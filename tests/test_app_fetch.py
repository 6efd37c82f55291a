"""Downloads: whole, of a server that is known, over links that break, and bounded in every way."""

from __future__ import annotations

import shutil
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
from downloads import Downloads

from agent.app import tries
from agent.app.fetch import Fetch
from pki import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONTENT = bytes(range(256)) * 2048
SIZE = len(CONTENT)
HALF = SIZE // 2


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "BACKOFF_MIN_S", 0.01)


@pytest.fixture
def serve() -> Iterator[Callable[..., Downloads]]:
    servers: list[Downloads] = []

    def make(*script: int | None, **options: object) -> Downloads:
        servers.append(Downloads(CONTENT, *script, **options))  # type: ignore[arg-type]
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def fetch(
    path: Path,
    url: str,
    *,
    longest: int = SIZE,
    spare: int = 0,
    context: ssl.SSLContext | None = None,
    stopping: threading.Event | None = None,
) -> str | None:
    """Fetch it, or the rest; the code of the failure."""
    with path.open("a+b") as file:
        failure = Fetch(
            url,
            file,
            longest,
            spare,
            context or ssl.create_default_context(),
            lambda _: None,
            stopping or threading.Event(),
            60.0,
        ).run()
    return None if failure is None else failure.code


def test_a_file(serve: Callable[..., Downloads], tmp_path: Path) -> None:
    """As it is there."""
    assert fetch(tmp_path / "part", serve().url) is None
    assert CONTENT == (tmp_path / "part").read_bytes()


def test_a_link_that_breaks(serve: Callable[..., Downloads], tmp_path: Path) -> None:
    """What came is not fetched again, in this process or the next; a whole file is asked for once more."""
    server = serve(HALF, 1000)
    assert fetch(tmp_path / "part", server.url) is None
    assert [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"] == server.asked
    assert CONTENT == (tmp_path / "part").read_bytes()
    assert fetch(tmp_path / "part", server.url) is None
    assert f"bytes={SIZE}-" == server.asked[-1]
    assert CONTENT == (tmp_path / "part").read_bytes()


def test_a_server_without_parts(serve: Callable[..., Downloads], tmp_path: Path) -> None:
    """It gives the whole each time, and that is what is kept."""
    server = serve(HALF, parts=False)
    assert fetch(tmp_path / "part", server.url) is None
    assert 2 == len(server.asked)
    assert CONTENT == (tmp_path / "part").read_bytes()


def test_a_part_of_something_longer(serve: Callable[..., Downloads], tmp_path: Path) -> None:
    """What is more than the server has is none of it: begun anew."""
    (tmp_path / "part").write_bytes(CONTENT + b"more")
    assert fetch(tmp_path / "part", serve().url) is None
    assert CONTENT == (tmp_path / "part").read_bytes()


@pytest.mark.parametrize("sized", [True, False])
def test_a_file_that_is_too_large(serve: Callable[..., Downloads], tmp_path: Path, *, sized: bool) -> None:
    """Refused before a byte of it is kept, if the server says its size; else at the limit."""
    server = serve(sized=sized)
    assert "too-large" == fetch(tmp_path / "part", server.url, longest=SIZE - 1)
    assert 1 == len(server.asked)
    assert (tmp_path / "part").stat().st_size < SIZE


def test_no_room(serve: Callable[..., Downloads], tmp_path: Path) -> None:
    """What is to stay free stays free."""
    spare = shutil.disk_usage(tmp_path).free + (1 << 40)
    assert "no-room" == fetch(tmp_path / "part", serve().url, spare=spare)
    assert 0 == (tmp_path / "part").stat().st_size


@pytest.mark.parametrize(
    ("status", "headers", "code"),
    [
        (302, {"Location": "http://127.0.0.1:1/"}, "http-302"),
        (404, {}, "http-404"),
        (204, {}, "http-204"),
        (206, {"Content-Range": f"bytes 5-{SIZE - 1}/{SIZE}"}, "not-the-whole"),
        (503, {}, None),
    ],
)
def test_other_answers(
    serve: Callable[..., Downloads], tmp_path: Path, status: int, headers: dict[str, str], code: str | None
) -> None:
    """A redirect is not followed, a refusal is told, a server that is busy is asked again."""
    assert code == fetch(tmp_path / "part", serve(statuses={status: headers}).url)


def test_a_stop_ends_it(serve: Callable[..., Downloads], tmp_path: Path) -> None:
    """And what came stays for another time."""
    stopping = threading.Event()
    stopping.set()
    server = serve()
    assert "interrupted" == fetch(tmp_path / "part", server.url, stopping=stopping)
    assert [] == server.asked


def test_the_servers_certificate_is_checked(serve: Callable[..., Downloads], tmp_path: Path) -> None:
    """Of an authority that is known, and for this very host."""
    authority, other = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    right = serve(certificate=authority.issue("store", "127.0.0.1"))
    stranger = serve(certificate=other.issue("stranger", "127.0.0.1"))
    context = ssl.create_default_context(cafile=authority.ca)
    assert "certificate" == fetch(tmp_path / "part", stranger.url, context=context)
    assert fetch(tmp_path / "part", right.url, context=context) is None
