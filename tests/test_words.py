"""What a technician reads: lazy texts, and a catalogue that has all of them in both languages."""

from __future__ import annotations

import ast
import os
import re
import shutil
import string
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

import agent
from agent import words
from agent.doctor.registry import ALARMS
from agent.errors import StairwellError
from agent.words import DOMAIN, LOCALE, counted, environment_language, given, joined, say, verbatim

ROOT = Path(__file__).parent.parent
PO = LOCALE / "uk" / "LC_MESSAGES" / f"{DOMAIN}.po"
with PO.open("rb") as file:
    CATALOGUE = read_po(file, locale="uk", abort_invalid=True)
MESSAGES = [message for message in CATALOGUE if message.id]
SAME = {
    "--output {output}: {reason}",
    "backbone.ca_file = {path}: {reason}",
    "backbone.password_file = {path}: {reason}",
    "{host}: {cause}",
    "{host}:{port}: {cause}",
    "{name}: {reason}",
    "{path}: {reason}",
    "{place} = {problem}",
    "{place}: {problem}",
    "{tree}: {place}: {why}",
    "{url}: {problem}",
    "{value}: {why}",
    "{where}: {problems}",
}
"""All their words are in the places."""


def run(script: Path | str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VENV": sys.prefix}
    return subprocess.run([script, *arguments], env=environment, capture_output=True, text=True, check=False)


def forms(said: object) -> tuple[str, ...]:
    return said if isinstance(said, tuple) else (str(said),)


def places(template: str) -> list[tuple[str, str | None, str | None]]:
    """Names of the places with how each is written, in any order."""
    found = [(name, form, how) for _, name, form, how in string.Formatter().parse(template) if name]
    return sorted(found, key=str)


def test_the_catalogue_has_what_the_code_says() -> None:
    """No sentence is missing from it, none is left over, and none hides in an f-string."""
    done = run(ROOT / "scripts/words", "--check")
    assert (0, "") == (done.returncode, done.stderr)
    assert {} == CATALOGUE.obsolete


def test_what_is_new_or_gone_is_found(tmp_path: Path) -> None:
    """The check above can fail: of a copy whose code says one thing more."""
    shutil.copytree(ROOT / "agent" / "locale", tmp_path / "agent" / "locale")
    shutil.copytree(ROOT / "agent" / "doctor", tmp_path / "agent" / "doctor")
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(ROOT / "scripts/words", tmp_path / "scripts")
    assert [1, 0, 0] == [run(script, *mode).returncode for mode in (["--check"], [], ["--check"])]
    (tmp_path / "agent" / "new.py").write_text('say("the lamp is green")\n')
    assert [1, 0] == [run(script, *mode).returncode for mode in (["--check"], [])]
    assert b"the lamp is green" in (tmp_path / PO.relative_to(ROOT)).read_bytes()


def test_it_is_compiled() -> None:
    """The file that the agent reads is what this catalogue compiles to."""
    compiled = BytesIO()
    write_mo(compiled, CATALOGUE)
    assert compiled.getvalue() == PO.with_suffix(".mo").read_bytes()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: str(forms(m.id)[0])[:50])
def test_both_languages_are_whole(message: object) -> None:
    """Each sentence is translated in all its forms, certainly, with the same places, in its own alphabet."""
    english, ukrainian = forms(message.id), forms(message.string)  # type: ignore[attr-defined]
    assert not message.fuzzy  # type: ignore[attr-defined]
    assert (3 if len(english) == 2 else 1) == len(ukrainian)
    for text in ukrainian:
        assert places(english[-1]) == places(text)
        assert re.search("[а-яіїєґ]", text.lower()) or text in SAME or text.startswith("sudo "), text
        assert english[0].endswith(".") == text.endswith(".")
    for text in english:
        assert not re.search("[а-яіїєґ]", text.lower())
        assert places(english[0]) == places(text)


def test_nobody_speaks_past_the_catalogue() -> None:
    """Ukrainian stands in no line of the code but examples and explanations."""
    spared = {"backbone/contract/example.py", "config.py", "words.py"}
    for path in Path(agent.__file__).parent.rglob("*.py"):
        if path.relative_to(Path(agent.__file__).parent).as_posix() not in spared:
            literals = [
                node.value
                for node in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(node, ast.Constant)
            ]
            assert [] == [
                text for text in literals if isinstance(text, str) and re.search("[а-яіїєґ]", text)
            ], path


@pytest.mark.parametrize("code", sorted(ALARMS))
def test_alarms_speak_both(code: str) -> None:
    """Text and fix of each differ by language, so that the city's message has both."""
    kind = ALARMS[code]
    assert kind.text.uk != kind.text.en
    assert kind.fix.uk != kind.fix.en


@pytest.mark.parametrize(("n", "expected"), [(1, "1 ключ"), (3, "3 ключі"), (5, "5 ключів"), (21, "21 ключ")])
def test_numbers(n: int, expected: str) -> None:
    """Ukrainian has three forms, and the catalogue's rule chooses."""
    assert expected == counted("{n} key", "{n} keys", n).uk


def test_english_has_its_two_forms() -> None:
    """One and many."""
    assert ["1 key", "0 keys"] == [counted("{n} key", "{n} keys", n).en for n in (1, 0)]


def test_a_value_that_is_a_text_is_told_in_the_same_language() -> None:
    """Texts nest, and join."""
    inner = say("no")
    assert ("none: no", "немає: ні") == (say("none: {why}", why=inner).en, say("none: {why}", why=inner).uk)
    assert "no; {no}" == joined("; ", (inner, verbatim("{no}"))).en


def test_what_is_verbatim_has_no_places() -> None:
    """A path may hold braces and stays itself, in every language; so do values."""
    assert {"/a/{b}"} == {verbatim("/a/{b}").uk, verbatim("/a/{b}").en}
    assert "none: {x}" == say("none: {why}", why="{x}").en


def test_what_came_in_both_languages() -> None:
    """It is told as it came, in English where that is all."""
    text = given("no {such} device", "{такого} пристрою немає")
    assert ("no {such} device", "{такого} пристрою немає") == (text.en, text.uk)
    assert "no device" == given("no device", None).uk


def test_a_lost_catalogue_costs_the_translation_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kit with a damaged installation is examined all the same, in English."""
    monkeypatch.setattr(words, "LOCALE", tmp_path)
    words._catalogue.cache_clear()
    assert "no" == say("no").uk
    words._catalogue.cache_clear()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "uk"),
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "C.UTF-8"}, "uk"),
        ({"LANG": "en_GB.UTF-8", "LANGUAGE": "uk:en"}, "uk"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "uk_UA.UTF-8"}, "uk"),
        ({"LANG": "uk_UA.UTF-8", "LC_MESSAGES": "en_US"}, "en"),
    ],
)
def test_the_terminals_language(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As gettext(3) reads it; who names no language is Ukrainian."""
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert expected == environment_language()


def test_errors_speak_both_where_they_can() -> None:
    """One that is translated is told whole; one that is not stays English whole."""
    error = StairwellError(say("no agent runs here"), fix=say("correct the card"))
    assert "no agent runs here. Fix: correct the card" == str(error) == error.told("en")
    assert "агент тут не працює. Що робити: виправте картку моделі" == error.told("uk")
    assert "a. Fix: b" == StairwellError("a", fix="b").told("uk")
    assert "а. Що робити: б" == StairwellError(given("a", "а"), fix=given("b", "б")).told("uk")


DEPOT = {
    "app/city_acceptance.py",
    "app/city_desired.py",
    "app/configured.py",
    "card",
    "city",
    "cli/ca.py",
    "cli/card.py",
    "cli/city_options.py",
    "cli/fleet.py",
    "cli/release.py",
}
"""Where errors speak English only: the city's own desk, and what goes into cfg/rep."""
SPOKEN = {
    "BrokerError",
    "ConfigError",
    "EnrolError",
    "ModelError",
    "OccupiedError",
    "SourceError",
    "SourceLostError",
    "StairwellError",
    "StallError",
    "StorageError",
    "UpdateError",
}
BARE = (ast.Constant, ast.JoinedStr, ast.BinOp)


def bare(source: str) -> list[str]:
    """Problems and fixes of a kit's errors that are plain strings, and so have no Ukrainian."""
    calls = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SPOKEN
    ]
    said = [
        part
        for call in calls
        for part in (*call.args[:1], *(k.value for k in call.keywords if k.arg == "fix"))
    ]
    return [ast.unparse(part) for part in said if isinstance(part, BARE)]


def test_a_kits_errors_have_both_languages() -> None:
    """Whatever a technician meets on a kit is a Text, of whichever branch of the tree."""
    assert ["f'{path}: full'", "'free space'"] == bare("StorageError(f'{path}: full', fix='free space')")
    room = Path(agent.__file__).parent
    for path in room.rglob("*.py"):
        name = path.relative_to(room).as_posix()
        if name not in DEPOT and name.split("/")[0] not in DEPOT:
            assert [] == bare(path.read_text("utf-8")), path
