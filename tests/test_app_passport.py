"""The camera's passport: what it says, that it fits on one sheet, and that nobody is on its picture."""

from __future__ import annotations

import re
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from app_parts import LAMPS, PEOPLE, Hands, analysis, frame, picture, query, settings, toml
from broker import wait_for
from clips_keys import RECIPIENTS
from kits import Kit
from typer.testing import CliRunner

from agent.agekey import key_id
from agent.app.acceptance import Acceptance
from agent.app.live import Agent
from agent.app.lookout import Lookout
from agent.app.passport import passport
from agent.app.passport_page import html, pdf
from agent.app.typeface import Typeface
from agent.cli import app
from agent.device.clock import Stamp, SystemClock
from agent.device.identity import Identity
from agent.types import Box, Track

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from agent.config import Settings

LEFT = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
PAPERS = {
    "controller": "Департамент муніципальної безпеки",
    "contact": "вул. Косовська, 2Д",
    "purpose": "безпека мешканців <під'їзду>",
    "basis": "рішення № 17 від 01.10.2026",
}
CENTIMETRE = 39  # pixels at 100 dots per inch


def chosen(directory: Path, **sections: dict[str, Any]) -> Settings:
    values: dict[str, dict[str, Any]] = {
        "passport": PAPERS,
        "privacy": {"masks": [{"name": "flat-12", "polygon": LEFT}]},
        "clips": {"seal": "age", "recipients": RECIPIENTS},
        **sections,
    }
    return settings(directory, **values)


def shown(data: bytes, directory: Path) -> NDArray[np.uint8]:
    """The only sheet, rendered by another's program; grey."""
    (directory / "page.pdf").write_bytes(data)
    info = subprocess.run(["pdfinfo", directory / "page.pdf"], capture_output=True, text=True, check=True)
    assert re.search(r"^Pages: +1$", info.stdout, re.MULTILINE)
    assert "A4" in info.stdout
    subprocess.run(["pdftoppm", "-r", "100", "-png", directory / "page.pdf", directory / "page"], check=True)
    [path] = directory.glob("page*.png")
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)


def read(data: bytes, directory: Path) -> str:
    """Its text, as it can be searched and copied."""
    (directory / "page.pdf").write_bytes(data)
    told = subprocess.run(
        ["pdftotext", "-layout", directory / "page.pdf", "-"], capture_output=True, text=True, check=True
    )
    return " ".join(told.stdout.split())


def test_what_it_says(tmp_path: Path) -> None:
    """Where, why, who, how long, what is masked, which model and key: in Ukrainian, on paper and as HTML."""
    identity = Identity.open(tmp_path / "keys")
    made = passport(chosen(tmp_path), Hands(ts="2026-11-27T12:00:00.000Z"))
    page, paper = html(made, "uk"), read(pdf(made, "uk"), tmp_path)
    for word in (
        "Паспорт камери k7f3k2qx4m",
        "2026-11-27 12:00 UTC",
        "будинок b-17",
        PAPERS["controller"],
        PAPERS["contact"],
        PAPERS["basis"],
        "через 72 год",
        key_id(RECIPIENTS[0]),
        "1 ділянка, якої ніхто не бачить",
        "flat-12",
        "ssdlite, Apache-2.0",
        identity.public.fingerprint,
        "НЕ зашифровано",
    ):
        assert word in page, word
        assert word in paper, word
    assert "безпека мешканців &lt;під&#x27;їзду&gt;" in page
    assert "Masks: 1 area" in read(pdf(made, "en"), tmp_path).replace("Masks 1", "Masks: 1")


def test_what_nobody_wrote_down_is_marked(tmp_path: Path) -> None:
    """With the key that it is missing from; nothing is made up."""
    made = passport(settings(tmp_path), Hands())
    lacking = {row.label.en: row.text.en for row in made.rows if row.lacking}
    assert "not stated (key passport.purpose)" == lacking["Purpose"]
    assert {
        "Basis",
        "Answers for it",
        "Contact",
        "Records",
        "Messages",
        "Key of its signatures",
        "Accepted",
    } <= set(lacking)
    assert "clock was not set" in html(made, "en")


def test_the_sheet(tmp_path: Path) -> None:
    """Nothing leaves the paper, and the mask is black on the drawing."""
    sheet = shown(pdf(passport(chosen(tmp_path), Hands()), "uk"), tmp_path)
    assert sheet.min() < 60
    for edge in (sheet[:CENTIMETRE], sheet[-CENTIMETRE:], sheet[:, :CENTIMETRE], sheet[:, -CENTIMETRE:]):
        assert edge.min() == 255
    drawing = sheet[150:350]
    assert np.median(drawing[:, 90:300]) < 80
    assert 200 < np.median(drawing[:, 400:600]) < 250


def test_the_longest_still_fits(tmp_path: Path) -> None:
    """Each text as long as it may be, each list as full: one sheet, smaller letters, no word lost."""
    long = "слово " * 33
    masks = [{"name": f"flat-number-{n:02}", "polygon": LEFT} for n in range(16)]
    full = chosen(
        tmp_path,
        passport={**{key: f"{long}{n}" for n, key in enumerate(PAPERS)}},
        privacy={"masks": masks},
        clips={"seal": "age", "recipients": [RECIPIENTS[0]] * 8},
        after_hours={"closed": ["mon-fri 22:00-06:00", "sat-sun 00:00-24:00"]},
    )
    sheet = shown(pdf(passport(full, Hands()), "uk"), tmp_path)
    assert sheet[-CENTIMETRE:].min() == 255
    assert 132 == read((tmp_path / "page.pdf").read_bytes(), tmp_path).count("слово")


def test_letters() -> None:
    """Every letter of both languages has a glyph of its own; an unknown one is a question mark."""
    face = Typeface.shipped("DejaVuSans")
    letters = "абвгґдеєжзиіїйклмнопрстуфхцчшщьюяАБВГҐДЕЄЖЗИІЇЙКЛМНОПРСТУФХЦЧШЩЬЮЯabcXYZ№«»—…’'°"
    assert len(letters) == len({face.glyph(letter) for letter in letters})
    assert face.glyph("?") == face.glyph("漢")
    assert face.width("ґ", 10) > 0


def test_lines() -> None:
    """No line is wider than it may be; what has no space is cut; nothing is lost."""
    face = Typeface.shipped("DejaVuSans-Bold")
    text = "Аа бб " + "ключ" * 30 + " кінець"
    lines = face.lines(text, 9, 100)
    assert all(face.width(line, 9) <= 100 for line in lines)
    assert text.replace(" ", "") == "".join(lines).replace(" ", "")


@pytest.mark.slow
def test_the_picture_of_a_running_agent(tmp_path: Path) -> None:
    """Its own, masked, taken while nobody was in it; and the audit knows who took it."""
    live = chosen(tmp_path, capture={"source": str(LAMPS), "loop": True, "reencode": True})
    agent, stop = Agent(live, SystemClock()), threading.Event()
    thread = threading.Thread(target=agent.run, args=(stop,), daemon=True)
    thread.start()
    try:
        wait_for(lambda: agent._analysis.latest, 30)
        made = passport(live, SystemClock())
    finally:
        stop.set()
        thread.join(40)
    assert not made.drawn
    image = cv2.imdecode(np.frombuffer(made.picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.median(image[20:-20, 10 : made.size[0] // 2 - 10]) < 20
    assert [("ok",)] == query(tmp_path, "SELECT status FROM audit WHERE cmd = 'view'")


def test_nobody_gets_into_it(tmp_path: Path) -> None:
    """While somebody may be in view there is no picture: a drawing stands for it."""
    kit = Kit(tmp_path)
    track = Track(1, Box(0.1, 0.1, 0.2, 0.5), 0.4, person=False, seen=True)
    seen = [analysis(frame(1, kit.clock.mono(), picture()), tracks=(track,))]
    lookout = Lookout(kit.settings, kit.clock, kit.journal, lambda: seen[0])
    assert b"" == lookout.view(0)
    seen[0] = analysis(frame(1, kit.clock.mono(), picture()))
    assert lookout.view(0).startswith(b"\xff\xd8")
    kit.end()
    assert ["failed", "ok"] == [row[0] for row in query(tmp_path, "SELECT status FROM audit ORDER BY n")]


@pytest.mark.slow
def test_acceptance(tmp_path: Path) -> None:
    """The doctor's whole examination under a name; the passport has the last one, and says how it ended."""
    kit = Kit(tmp_path)
    kit.end()
    (tmp_path / "agent.toml").write_text(
        toml(settings(tmp_path, passport=PAPERS, capture={"source": str(PEOPLE)})), encoding="utf-8"
    )
    words = ["passport", "-c", str(tmp_path / "agent.toml"), "-o", str(tmp_path), "--accept", "О. Коваленко"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.exception
    assert {"passport-k7f3k2qx4m.html", "passport-k7f3k2qx4m.pdf"} == {
        path.rsplit("/", 1)[1] for path in result.stdout.split()
    }
    page = (tmp_path / "passport-k7f3k2qx4m.html").read_text(encoding="utf-8")
    assert "О. Коваленко: НЕ пройдено" in page  # no agent runs there
    assert re.search(
        r"[1-9]\d* поми\w+, \d+ попередж\w+, гаразд \d+, не перевірено [1-9]\d*: \w+\.\w+ ", page
    )


def test_what_an_acceptance_found_is_in_words() -> None:
    """The audit has it in codes; a line that is of another form is shown as it is."""
    at = Stamp("0123abcd", 1.0, None, "none")
    made = Acceptance(at, "O. K.", False, "35 ok, 1 warn, 2 fail, 40 skip: priv.seal sec.ssh cpu.pressure")
    assert "2 failures, 1 warning, 35 well, 40 not asked: priv.seal sec.ssh cpu.pressure" == made.told.en
    assert "2 помилки, 1 попередження, гаразд 35, не перевірено 40: priv.seal" in made.told.uk
    assert "all {well}" == Acceptance(at, "O. K.", True, "all {well}").told.uk


def test_one_file(tmp_path: Path) -> None:
    """By its name; other kinds are refused with those that there are."""
    (tmp_path / "agent.toml").write_text(toml(settings(tmp_path)), encoding="utf-8")
    words = ["passport", "-c", str(tmp_path / "agent.toml"), "--output"]
    assert 0 == CliRunner().invoke(app, [*words, str(tmp_path / "a.pdf")]).exit_code
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")
    assert 64 == CliRunner().invoke(app, [*words, str(tmp_path / "a.docx")]).exit_code
    missing = CliRunner().invoke(app, [*words, str(tmp_path / "missing" / "a.pdf")])
    assert "cannot be written" in str(missing.exception)


@pytest.mark.parametrize("words", [["--output", "nowhere"], ["--accept", " "]])
def test_wrong_words(words: list[str], tmp_path: Path) -> None:
    """What would be written nowhere, or noted under nobody's name, is refused."""
    (tmp_path / "agent.toml").write_text(toml(chosen(tmp_path)), encoding="utf-8")
    result = CliRunner().invoke(app, ["passport", "-c", str(tmp_path / "agent.toml"), *words])
    assert result.exit_code == 64
