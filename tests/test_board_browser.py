"""The page for aiming and drawing, in a real browser, on an agent that begins anew with what was drawn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from app_parts import PEOPLE, query, settings, toml
from broker import wait_for
from chromium import chromium
from scripted import Scripted

from agent.app import drawing, hatch, viewfinder
from agent.app.board import Board
from agent.app.doorkeeper import IDLE_S
from agent.app.service import serve
from agent.config import load
from agent.config_layers import Origin
from agent.device.clock import SystemClock
from agent.errors import StairwellError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chromium import Page

AREA = {"name": "door", "polygon": [[0.2, 0.2], [0.4, 0.2], [0.4, 0.4], [0.2, 0.4]]}
PICTURES = os.environ.get("BOARD_PICTURES")
"""A directory for screenshots, to look at by hand."""


class Later(SystemClock):
    """It can be put on."""

    ahead = 0.0

    def mono(self) -> float:
        """Seconds, so many more."""
        return super().mono() + self.ahead


@pytest.fixture(scope="module")
def browser() -> Iterator[Callable[..., Page]]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Path]:
    """The settings of an agent that runs on the sample, again and again."""
    capture = {"source": str(PEOPLE), "loop": True}
    file, stop = tmp_path / "agent.toml", threading.Event()
    chosen = settings(tmp_path / "state", capture=capture, clips={"enabled": False})
    chosen.state.dir.mkdir()
    file.write_text(toml(chosen), encoding="utf-8")

    def live() -> None:
        while serve(file, SystemClock(), stop):
            pass

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    wait_for(lambda: answers(chosen.state.dir), 60)
    yield file
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


@pytest.fixture
def clock() -> Later:
    return Later()


@pytest.fixture
def board(kit: Path, clock: Later) -> Iterator[Board]:
    served = Board(load(kit), clock, "uk", 0)
    served.start()
    yield served
    served.close("test")


def answers(state: Path, digest: str | None = None) -> bool:
    """Whether the agent gives pictures, with the drawing of this digest if one is named."""
    try:
        return digest in {None, drawing.drawn(state).digest} and bool(hatch.ask(state / hatch.NAME, "aim"))
    except OSError:
        return False


def entered(page: Page, board: Board, language: str = "uk") -> None:
    page.open(f"http://localhost:{board.port}/?lang={language}")
    page.ask("document.getElementById('code').focus()")
    page.type(board.door.code.lower())
    page.click("button.primary")
    page.wait("document.querySelector('#still')?.naturalWidth && document.querySelector('.figures .good')")
    page.wait("document.getElementById('state').className === 'good'")


@contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[None]:
    """It outlives no test that fails."""
    try:
        yield
    finally:
        process.kill()


def seen(page: Page, name: str) -> None:
    if PICTURES:
        page.picture(Path(PICTURES) / f"{name}.png")


def test_a_mask_and_a_zone_with_the_mouse(browser: Callable[..., Page], board: Board, kit: Path) -> None:
    """Drawn, corrected, taken back, named, saved, in force; the picture is black there; nothing complains."""
    state = load(kit).state.dir
    page = browser(1280, 800)
    page.open(f"http://localhost:{board.port}/?lang=en")
    page.ask("document.getElementById('code').focus()")
    page.type("00000-00000")
    page.click("button.primary")
    page.wait("document.querySelector('#problem').textContent.includes('tries left: 4')")
    seen(page, "door-desktop-en")
    entered(page, board, "en")

    page.click("#add-mask")
    page.drag(page.place("#ink", 0.1, 0.2), page.place("#ink", 0.4, 0.9))
    page.click("#add-zone")
    page.drag(page.place("#ink", 0.5, 0.5), page.place("#ink", 0.9, 0.8))
    page.drag(page.place("#ink", 0.7, 0.65), page.place("#ink", 0.75, 0.7))
    page.drag(page.place('[data-corner="0"]'), page.place("#ink", 0.5, 0.6))
    page.click("#remove")
    assert 1 == page.ask("areas.length")
    page.click("#undo")
    assert 2 == page.ask("areas.length")
    page.ask(
        "document.querySelector('li.zone input').select(); document.querySelector('li.zone input').focus()"
    )
    page.type("Upper Landing")
    page.ask(
        "(() => { const s = document.querySelector('li.zone select'); s.value = 'include';"
        "s.dispatchEvent(new Event('change')); })()"
    )
    page.ask("document.activeElement.blur()")
    seen(page, "drawing-desktop-en")
    page.click("#save")
    page.wait("document.getElementById('state').textContent.startsWith('Saved, not in force')")
    page.wait("document.getElementById('state').className === 'good'")

    found = load(kit)
    (mask,), (zone,) = found.privacy.masks, found.view.zones
    assert ("mask-1", "upper-landing", "include") == (mask.name, zone.name, zone.persons)
    assert mask.polygon == pytest.approx(np.array([(0.1, 0.2), (0.4, 0.2), (0.4, 0.9), (0.1, 0.9)]), abs=0.01)
    corners = np.array([(0.5, 0.6), (0.95, 0.55), (0.95, 0.85), (0.55, 0.85)])
    assert zone.polygon == pytest.approx(corners, abs=0.01)
    assert drawing.drawn(state).draft.masks == found.privacy.masks
    image = cv2.imdecode(np.frombuffer(viewfinder.look(state).jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    assert np.max(np.asarray(image)[110:420, 80:240]) < 12
    page.wait("document.getElementById('still').naturalWidth")
    seen(page, "saved-desktop-en")

    page.click("#finish")
    wait_for(board.finished.is_set, 30)
    assert [] == page.complaints
    noted = [row[0] for row in query(state, "SELECT text FROM audit WHERE cmd = 'board' ORDER BY n")]
    assert ["opened", "entered"] == noted
    assert [("ok",)] == query(state, "SELECT status FROM audit WHERE cmd = 'redraw'")


def test_a_telephone(browser: Callable[..., Page], board: Board, kit: Path) -> None:
    """Held upright, by touch, in Ukrainian: all fits its width, and fingers draw, tap and pull corners."""
    page = browser(390, 844, touch=True)
    entered(page, board)
    assert "uk" == page.ask("document.documentElement.lang")
    assert page.ask("document.documentElement.scrollWidth") <= 390
    small = page.ask(
        "[...document.querySelectorAll('button')].filter(b => b.getBoundingClientRect().height < 40).length"
    )
    assert 0 == small
    page.ask("document.getElementById('add-mask').click()")
    page.swipe(page.place("#ink", 0.5, 0.2), page.place("#ink", 0.8, 0.9))
    page.ask("document.getElementById('add-zone').click()")
    page.swipe(page.place("#ink", 0.3, 0.5), page.place("#ink", 0.3, 0.5))  # a tap
    assert 2 == page.ask("areas.length")
    page.swipe(page.place('[data-corner="2"]'), page.place("#ink", 0.45, 0.9))
    polygon = page.ask("areas[1].polygon")
    corners = np.array([(0.2, 0.4), (0.4, 0.4), (0.45, 0.9), (0.2, 0.6)])
    assert np.array(polygon) == pytest.approx(corners, abs=0.02)
    seen(page, "drawing-phone-uk")
    page.ask("scrollTo(0, 9999)")
    seen(page, "list-phone-uk")
    assert [] == page.complaints
    assert () == load(kit).privacy.masks  # nothing was saved


def test_the_keyboard(browser: Callable[..., Page], board: Board, kit: Path) -> None:
    """Whoever cannot point moves areas and corners by arrows, and removes them by a key."""
    digest = drawing.redraw(load(kit).state.dir, drawing.Draft.model_validate({"masks": [AREA]})).digest
    wait_for(lambda: answers(load(kit).state.dir, digest), 60)
    page = browser(1024, 768)
    entered(page, board)
    page.wait("areas.length === 1")
    page.ask("document.querySelector('polygon').focus()")
    for name in ("ArrowRight", "ArrowDown"):
        page.call("Input.dispatchKeyEvent", type="keyDown", key=name)
        page.call("Input.dispatchKeyEvent", type="keyUp", key=name)
    assert [0.21, 0.21] == page.ask("areas[0].polygon[0]")
    page.ask("document.querySelector('[data-corner=\"2\"].grip').focus()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft")
    assert [[0.41, 0.21], [0.4, 0.41]] == page.ask("areas[0].polygon.slice(1, 3)")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Delete")
    assert 3 == page.ask("areas[0].polygon.length")
    assert [] == page.complaints


def test_a_forgotten_page(browser: Callable[..., Page], board: Board, clock: Later) -> None:
    """It goes on by itself, but nothing of the stairwell is left on it once it is over."""
    page = browser(800, 600)
    entered(page, board)
    before = page.ask("document.getElementById('still').src")
    page.wait(f"document.getElementById('still').src !== {json.dumps(before)}")
    ended = threading.Thread(target=lambda: board.close(board.wait()))  # as the command does
    ended.start()
    clock.ahead += IDLE_S
    ended.join(60)
    assert not ended.is_alive()
    page.wait("document.getElementById('blank').textContent.startsWith('Сторінка')")
    shown = "document.getElementById('still').hidden, document.getElementById('still').getAttribute('src')"
    assert [True, None] == page.ask(f"[{shown}]")
    assert page.ask("[...document.querySelectorAll('button')].every(button => button.disabled)")


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[tuple[Board, Scripted]]:
    """A page, and what is at the other side of it."""
    agent = Scripted(tmp_path)
    agent.jpeg = bytes(cv2.imencode(".jpg", np.full((48, 64), 90, np.uint8))[1])
    served = Board(settings(tmp_path), SystemClock(), "en", 0)
    served.start()
    yield served, agent
    served.close("test")
    agent.hatch.close(10)


def test_what_the_city_has_set(browser: Callable[..., Page], scripted: tuple[Board, Scripted]) -> None:
    """Its masks are shown and named as its own; neither mouse nor keys change them, and zones go on."""
    board, agent = scripted
    agent.masks_from = Origin.REMOTE
    agent.drawn = drawing.Draft.model_validate({"masks": [AREA]})
    page = browser(1024, 768)
    entered(page, board, "en")
    assert "Masks are set by the city" in page.ask("document.getElementById('problem').textContent")
    page.drag(page.place("#ink", 0.3, 0.3), page.place("#ink", 0.6, 0.6))
    page.ask("document.querySelector('polygon').focus()")
    for name in ("ArrowRight", "Delete"):
        page.call("Input.dispatchKeyEvent", type="keyDown", key=name)
    page.click("#remove")
    page.click("#add-mask")
    page.drag(page.place("#ink", 0.5, 0.5), page.place("#ink", 0.9, 0.8))
    assert [{"kind": "mask", **AREA}] == page.ask("areas")
    assert page.ask("[...document.querySelectorAll('li.mask input')].every(input => input.disabled)")
    page.click("#add-zone")
    page.drag(page.place("#ink", 0.5, 0.5), page.place("#ink", 0.9, 0.8))
    assert ["mask", "zone"] == page.ask("areas.map(area => area.kind)")


def test_what_is_not_taken(browser: Callable[..., Page], scripted: tuple[Board, Scripted]) -> None:
    """A wrong name and a refusal are told, and stay unsaved; Finish asks before it leaves that behind."""
    board, agent = scripted
    page = browser(1024, 768)
    entered(page, board, "en")
    for left in (0.1, 0.5):
        page.click("#add-mask")
        page.drag(page.place("#ink", left, 0.2), page.place("#ink", left + 0.3, 0.8))
    assert 2 == page.ask("areas.length")
    rename = "(() => {{ const i = document.querySelector('li.mask input'); i.value = {}; {} }})()"
    change = "i.dispatchEvent(new Event('change'))"
    for name in ("Двері", "mask-2", ""):
        page.ask(rename.format(json.dumps(name), change))
        page.click("#save")
        assert "small Latin letters" in page.ask("document.getElementById('problem').textContent")
    assert drawing.Draft() == agent.drawn
    page.ask(rename.format(json.dumps("Door_1"), change))

    agent.refusal = StairwellError("the disk is full", fix="free some of it")
    page.click("#save")
    page.wait("document.getElementById('problem').textContent === 'the disk is full. Fix: free some of it'")
    assert "Not saved yet" in page.ask("document.getElementById('state').textContent")

    for leave in (False, True):
        assert not board.finished.is_set()
        page.ask("setTimeout(() => document.getElementById('finish').click()) && null")
        assert "There is something that is not saved. Finish all the same?" == page.answer(accept=leave)
    wait_for(board.finished.is_set, 60)
    page.wait("document.getElementById('blank').textContent.startsWith('Finished')")
    assert drawing.Draft() == agent.drawn


def test_the_command(browser: Callable[..., Page], kit: Path) -> None:
    """It prints the line for ssh, the address and the code; Finish keeps the step, with what is in force."""
    told = kit.parent / "told"
    words = ("commission", "view", "--config", kit, "--port", 0, "--json", "--lang", "en")
    command = [sys.executable, "-m", "agent", *map(str, words)]
    with (
        told.open("w") as err,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True) as process,
        ending(process),
    ):
        wait_for(lambda: "Ctrl-C" in told.read_text(), 60)
        _, tunnel, _, address, _, code, *_ = (line.strip() for line in told.read_text().splitlines())
        port = int(address.rstrip("/").rpartition(":")[2])
        assert tunnel.startswith(f"ssh -L {port}:127.0.0.1:{port} ")
        page = browser(800, 600)
        page.open(address)
        page.ask("document.getElementById('code').focus()")
        page.type(code)
        page.click("button.primary")
        page.wait("document.getElementById('state').className === 'good'")
        page.click("#finish")
        found = json.loads(process.communicate(timeout=60)[0])
    assert 0 == process.returncode
    assert (True, 0, 0) == (found["passed"], found["masks"], found["zones"])
    state = load(kit).state.dir
    assert [("view", "passed")] == query(state, "SELECT step, state FROM commissioning")
    noted = [row[0] for row in query(state, "SELECT text FROM audit WHERE cmd = 'board' ORDER BY n")]
    assert ["opened", "entered", "closed: finished"] == noted


def test_scripts_from_elsewhere_are_not_run(browser: Callable[..., Page], board: Board) -> None:
    """What somebody manages to write into the page does nothing, and shows nothing to others."""
    page = browser(800, 600)
    entered(page, board)
    page.ask(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.stolen=1\">');"
        "const s = document.createElement('script'); s.textContent = 'window.stolen=2';"
        "document.body.append(s); fetch('http://127.0.0.1:9/x').catch(() => {})"
    )
    page.wait("true")
    assert page.ask("window.stolen") is None
    assert page.ask("document.cookie") == ""
    assert any("Content Security Policy" in told for told in page.complaints), json.dumps(page.complaints)
