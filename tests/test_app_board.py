"""The page's server and its door: who gets in, who does not, and what every answer says to a browser."""

from __future__ import annotations

import functools
import http.client
import json
import socket
import threading
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import Hands, settings
from broker import wait_for
from scripted import Scripted

from agent import viewpoint
from agent.app import board as boards
from agent.app import board_page, board_server
from agent.app.board import Board, Saved
from agent.app.board_server import CONNECTIONS_MAX, FORM, JSON
from agent.app.doorkeeper import CODE_S, IDLE_S, LIFE_S, TRIES, Doorkeeper
from agent.app.drawing import Draft
from agent.config_layers import Origin
from agent.errors import ConfigError
from agent.words import LANGUAGES, say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Scripted]:
    served = Scripted(tmp_path)
    yield served
    served.hatch.close(5)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def board(kit: Scripted, tmp_path: Path, clock: Hands) -> Iterator[Board]:
    del kit
    served = Board(settings(tmp_path), clock, "en", 0)
    served.start()
    yield served
    served.close("test")


def ask(
    board: Board, method: str, path: str, body: bytes | None = None, **headers: str
) -> http.client.HTTPResponse:
    """One request as a browser makes it; `headers` over its own, `_` for `-`, an empty one leaves it out."""
    sent = {"Host": f"localhost:{board.port}", "Origin": f"http://localhost:{board.port}"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(http.client.HTTPConnection("127.0.0.1", board.port, timeout=20)) as connection:
        connection.putrequest(method, path, skip_host=True)
        for name, value in sent.items():
            if value:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.text = answer.read().decode("utf-8", errors="replace")  # type: ignore[attr-defined]
        return answer


def enter(board: Board, code: str) -> http.client.HTTPResponse:
    return ask(board, "POST", "/enter", f"code={code}".encode(), Content_Type=FORM)


def let_in(board: Board) -> str:
    """The cookie of who is in."""
    answer = enter(board, board.door.code)
    assert (303, "/") == (answer.status, answer.headers["Location"])
    cookie, *flags = answer.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} == set(flags)
    return str(cookie)


def save(board: Board, cookie: str, value: Any, **headers: str) -> http.client.HTTPResponse:  # noqa: ANN401
    body = json.dumps(value).encode()
    return ask(board, "POST", "/save", body, **({"Content_Type": JSON, "Cookie": cookie} | headers))


def test_nothing_without_the_code(board: Board, kit: Scripted) -> None:
    """Neither picture nor drawing, nor the page; only the door, with its style and script."""
    assert "One-time code" in ask(board, "GET", "/").text  # type: ignore[attr-defined]
    for path in ("/look", "/drawn", "/etc/passwd", "/../board.py", "/board.html"):
        assert 403 == ask(board, "GET", path).status
        assert 403 == ask(board, "GET", path, Cookie=f"{board_server.COOKIE}=guess").status
        assert 403 == ask(board, "GET", path, Cookie='"; =\x01').status
    assert 403 == save(board, "", {}).status
    assert 403 == ask(board, "POST", "/finish", b"{}", Content_Type=JSON).status
    assert 200 == ask(board, "GET", "/board.js").status
    assert ["opened"] == kit.told


def test_it_is_on_no_network(board: Board) -> None:
    """Nobody reaches it but over the kit's own loopback, of whose addresses it has one."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", board.port), 20)
    assert 200 == ask(board, "GET", "/").status


def test_every_answer_is_strict(board: Board) -> None:
    """No foreign script, no frame, nothing stored, no guessing of types: the refused ones, too."""
    cookie = let_in(board)
    for method, path in (
        ("GET", "/"),
        ("GET", "/look"),
        ("GET", "/none"),
        ("PUT", "/"),
        ("GET", "/board.css"),
    ):
        answer = ask(board, method, path, Cookie=cookie)
        assert (404 if path == "/none" else 501 if method == "PUT" else 200) == answer.status
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert ("no-store", "nosniff") == (
            answer.headers["Cache-Control"],
            answer.headers["X-Content-Type-Options"],
        )
        assert "Python" not in str(answer.headers)


def test_the_code_lets_in_once(board: Board, kit: Scripted) -> None:
    """The first browser, and noted; the second one is refused with the same code."""
    cookie = let_in(board)
    look = ask(board, "GET", "/look", Cookie=cookie)
    assert (200, "image/jpeg") == (look.status, look.headers["Content-Type"])
    figures = json.loads(look.headers["X-Figures"])
    assert (90, True, "good") == (figures["light"], figures["light_ok"], figures["light_text"])
    assert 403 == enter(board, board.door.code).status
    assert 200 == ask(board, "GET", "/look", Cookie=cookie).status
    assert ["opened", "entered"] == kit.told


@pytest.mark.parametrize("others", ['theme="{dark}"; {}', "{}; a b=c d", "bad@name=1;{};=", "x=\x01é; {}"])
def test_cookies_of_other_ports(others: str, board: Board) -> None:
    """What else is on the laptop's localhost does not shut out who is in."""
    cookie = let_in(board)
    assert 200 == ask(board, "GET", "/look", Cookie=others.replace("{}", cookie)).status


def test_a_length_without_end(board: Board) -> None:
    """It is too long, however many digits it has."""
    cookie = let_in(board)
    for digits in (10, 5000):
        answer = ask(board, "POST", "/save", Content_Type=JSON, Content_Length="9" * digits, Cookie=cookie)
        assert 413 == answer.status


def test_finishing_from_a_browser_that_goes(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is over, though nobody hears the answer."""
    cookie = let_in(board)

    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(board_server._Handler, "_json", gone)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(board, "POST", "/finish", b"{}", Content_Type=JSON, Cookie=cookie)
    assert board.finished.wait(10)


def test_a_page_that_nobody_touches_ends(board: Board, clock: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks by itself, once a second; only what a person does there keeps it."""
    cookie = let_in(board)
    clock.t += IDLE_S - 1
    assert 200 == ask(board, "GET", "/look", Cookie=cookie).status
    clock.t += 2
    assert 403 == ask(board, "GET", "/look?active", Cookie=cookie).status
    monkeypatch.setattr(boards, "TELL_S", 0)  # test_board_browser has the page that is told
    assert "idle" == board.wait()


def test_nobody_gets_in_unnoted(board: Board, kit: Scripted) -> None:
    """While the agent cannot note it the code lets nobody in, and stays good."""
    kit.deaf = True
    assert 503 == enter(board, board.door.code).status
    kit.deaf = False
    let_in(board)


def test_wrong_codes_close_the_door(board: Board) -> None:
    """After five the right one is of no use either, and the page is over."""
    for left in range(TRIES - 1, -1, -1):
        answer = enter(board, "00000-0000G")
        assert 403 == answer.status
        assert f"tries left: {left}" in answer.text  # type: ignore[attr-defined]
    assert 403 == enter(board, board.door.code).status
    assert "locked" == board.wait()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost.evil.example:80"}, 421),
        ({"Host": ""}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Transfer_Encoding": "chunked"}, 411),
    ],
)
def test_a_foreign_page_cannot_act(headers: dict[str, str], status: int, board: Board, kit: Scripted) -> None:
    """Not with the technician's own cookie: by another name, from another origin, as a plain form."""
    cookie = let_in(board)
    mask = {"name": "a", "polygon": [[0, 0], [1, 0], [1, 1]]}
    value = {"base": Draft().digest, "draft": {"masks": [mask], "zones": []}}
    assert status == save(board, cookie, value, **headers).status
    assert Draft() == kit.drawn


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:80", "localhost:80@evil.example", ""]
)
def test_a_foreign_name_sees_nothing(host: str, board: Board) -> None:
    """A page that has its own name resolved to the loopback gets neither picture nor page, cookie or not."""
    cookie = let_in(board)
    for path in ("/", "/look", "/drawn", "/board.js"):
        assert 421 == ask(board, "GET", path, Host=host, Cookie=cookie).status


def test_another_port_at_the_near_end(board: Board) -> None:
    """A tunnel may begin at any port; both names of the loopback are good."""
    for host in ("localhost:9000", "127.0.0.1:8470", "localhost"):
        assert 200 == ask(board, "GET", "/", Host=host, Origin="").status


def test_saving(board: Board, kit: Scripted) -> None:
    """A drawing goes to the agent whole; what is none, or was begun with an older one, is told."""
    cookie, kit.masks_from = let_in(board), Origin.REMOTE
    found = json.loads(ask(board, "GET", "/drawn", Cookie=cookie).text)  # type: ignore[attr-defined]
    assert (["masks"], Draft().digest) == (found["fixed"], found["digest"])
    mask = {"name": "a", "polygon": [[0, 0], [1, 0], [1, 1]]}
    value = {"base": found["digest"], "draft": {"masks": [mask], "zones": []}}
    assert 422 == save(board, cookie, {"base": found["digest"], "draft": {"masks": [{}]}}).status
    assert 409 == save(board, cookie, value | {"base": "older"}).status
    assert board.saved is None
    assert 200 == save(board, cookie, value).status
    assert Saved(kit.drawn.digest, 1, 0) == board.saved
    assert 413 == save(board, cookie, {"base": "x" * board_server.BODY_MAX}).status

    assert 200 == ask(board, "POST", "/finish", b"{}", Content_Type=JSON, Cookie=cookie).status
    assert "finished" == board.wait()


def test_what_the_agent_refuses(board: Board, kit: Scripted) -> None:
    """It is told in the page's language, with what to do, and nothing counts as saved."""
    cookie = let_in(board)
    kit.refusal = ConfigError(say("the agent's socket: permission denied"), fix=say("correct what is named"))
    value = {"base": Draft().digest, "draft": {"masks": [], "zones": []}}
    for language in LANGUAGES:
        assert 200 == ask(board, "GET", f"/?lang={language}", Cookie=cookie).status
        answer = save(board, cookie, value)
        why = json.loads(answer.text)["why"]  # type: ignore[attr-defined]
        assert (422, kit.refusal.told(language)) == (answer.status, why)
    assert board.saved is None


def test_a_camera_without_a_picture(board: Board, kit: Scripted) -> None:
    """The page is told so, not that the agent starts anew."""
    cookie, kit.jpeg = let_in(board), b""
    answer = ask(board, "GET", "/look", Cookie=cookie)
    assert 503 == answer.status
    assert "no picture" in json.loads(answer.text)["why"]  # type: ignore[attr-defined]


def test_what_was_sent_is_read(board: Board) -> None:
    """No answer is lost to a connection that is reset: of who is in, and of who is not."""
    cookie = let_in(board)
    for path, name, status in (("/finish", "", 403), ("/none", cookie, 404), ("/finish", cookie, 200)):
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nCookie: {name}\r\n"
        body = f"Content-Type: {JSON}\r\nContent-Length: 2\r\n\r\n{{}}"
        with socket.create_connection((board_server.HOST, board.port), 20) as connection:
            connection.sendall((head + body).encode())
            answer = b""
            while part := connection.recv(4096):  # a reset would raise
                answer += part
        assert f" {status} ".encode() in answer.partition(b"\r\n")[0]


def test_more_connections_than_a_browser_opens(board: Board) -> None:
    """They are closed at once; those that are there are served, and leave their room behind."""
    with ExitStack() as stack:
        held = [
            stack.enter_context(socket.create_connection((board_server.HOST, board.port), 20))
            for _ in range(CONNECTIONS_MAX)
        ]
        with socket.create_connection((board_server.HOST, board.port), 20) as another:
            assert b"" == another.recv(1)
        held[0].sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert held[0].recv(4096).startswith(b"HTTP/1.0 200 ")
    wait_for(lambda: room(board), 20)


def room(board: Board) -> bool:
    """Whether a request is answered."""
    try:
        return ask(board, "GET", "/board.css").status == 200
    except OSError:
        return False


def test_finishing_without_a_change(board: Board, kit: Scripted) -> None:
    """Finds right what is in force, and needs the agent for it."""
    cookie = let_in(board)
    finish = functools.partial(ask, board, "POST", "/finish", b"{}", Content_Type=JSON, Cookie=cookie)
    kit.drawn = Draft.model_validate({"masks": [{"name": "a", "polygon": [[0, 0], [1, 0], [1, 1]]}]})
    assert 200 == finish().status
    assert Saved(kit.drawn.digest, 1, 0) == board.saved
    assert "finished" == board.wait()


def test_finishing_over_a_lost_drawing(board: Board, kit: Scripted) -> None:
    """Nobody finds right what only stands in for it."""
    cookie = let_in(board)
    kit.drawn = Draft.model_validate(viewpoint.LOST["privacy"])
    answer = ask(board, "POST", "/finish", b"{}", Content_Type=JSON, Cookie=cookie)
    assert 503 == answer.status
    assert "what was drawn is damaged" in json.loads(answer.text)["why"]  # type: ignore[attr-defined]
    assert (None, False) == (board.saved, board.finished.is_set())


def test_an_agent_that_begins_anew(board: Board, kit: Scripted) -> None:
    """The page is told that it does not answer, and stays."""
    cookie = let_in(board)
    kit.hatch.close(5)
    answer = ask(board, "GET", "/look", Cookie=cookie)
    assert 503 == answer.status
    assert "starting anew" in json.loads(answer.text)["why"]  # type: ignore[attr-defined]


def test_without_an_agent(tmp_path: Path, clock: Hands) -> None:
    """Nothing is served, and the port is given back."""
    served = Board(settings(tmp_path), clock, "en", 0)
    with pytest.raises(FileNotFoundError):
        served.start()
    assert -1 == served._server.fileno()


def test_a_port_that_is_taken(tmp_path: Path, clock: Hands) -> None:
    """It is named."""
    with socket.create_server((board_server.HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"--port {port}: "):
            Board(settings(tmp_path), clock, "en", port)


def test_serve_tells_where_and_ends(kit: Scripted, tmp_path: Path, clock: Hands) -> None:
    """What was saved is returned; how it ended is noted."""

    def finish(opened: Board) -> None:
        threading.Timer(0.01, opened.finished.set).start()

    assert boards.serve(settings(tmp_path), clock, "uk", 0, finish) is None
    assert ["opened", "closed: finished"] == kit.told


def test_the_door_opens_for_a_while() -> None:
    """Ten minutes for the code; then as long as something is done, two hours at most."""
    door = Doorkeeper(0.0)
    assert (None, "expired") == (door.end(CODE_S - 1), door.end(CODE_S))
    assert door.enter(door.code, CODE_S, pytest.fail) is None

    door = Doorkeeper(0.0)
    token = door.enter(door.code, 1.0, lambda: None)
    assert token is not None
    assert not door.admits(token + "x", 2.0)
    assert not door.admits("", 2.0)
    assert door.admits(token, IDLE_S)
    assert (None, "idle") == (door.end(2 * IDLE_S - 1), door.end(2 * IDLE_S))
    now = IDLE_S
    assert door.admits(token, IDLE_S + 9, active=False)  # a page that looks by itself
    assert "idle" == door.end(2 * IDLE_S)
    while now < LIFE_S:
        assert door.admits(token, now)
        now += IDLE_S / 2
    assert not door.admits(token, LIFE_S + 1)
    assert "over" == door.end(LIFE_S + 1)


def test_a_code_is_typed_by_people() -> None:
    """Small letters, no dash, O for 0 and l for 1; each is another one, of 50 bits."""
    door = Doorkeeper(0.0)
    typed = door.code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert door.enter(typed, 0.0, lambda: None) is not None
    codes = {Doorkeeper(0.0).code for _ in range(200)}
    assert 200 == len(codes)
    assert {11} == {len(code) for code in codes}


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_in_both_languages(language: Any) -> None:  # noqa: ANN401
    """Nothing is left to fill, and nothing from elsewhere is taken for HTML."""
    for page in (board_page.board("<b>&", language), board_page.door("<b>&", language, None)):
        assert "<b>" not in page
        assert f'lang="{language}"' in page
        assert "onclick" not in page
        assert "style=" not in page
    assert ("Маска" in board_page.board("k", language)) == (language == "uk")
