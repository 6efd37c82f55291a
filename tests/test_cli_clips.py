"""`stairwell clips` from the outside: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import Hands, kept, toml
from clips_footage import ffmpeg_plays
from clips_keys import CITY, RECIPIENTS, STRANGER
from kits import Kit, name
from typer.testing import CliRunner
from ukrainian import english_in

from agent.app import wear
from agent.cli import app
from agent.cli.clips import NOT_SOUND
from agent.clips import store
from agent.errors import StairwellError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result


class Desk:
    """A kit, its configuration, and the city's key file."""

    def __init__(self, directory: Path) -> None:
        state = directory / "state"
        state.mkdir()
        self.kit = Kit(state, Hands(ts="2026-05-01T10:00:00.000Z"), seal="age", recipients=RECIPIENTS)
        self.kit.housekeeping.recover()
        self.config = directory / "agent.toml"
        self.config.write_text(toml(self.kit.settings))
        self.city, self.stranger = directory / "city.key", directory / "stranger.key"
        self.city.write_text(f"# the city\n{CITY}\n")
        self.stranger.write_text(f"{STRANGER}\n")
        self.out = directory / "out"
        self.out.mkdir()

    def __call__(self, command: str, *arguments: object, code: int = 0) -> Result:
        """Run `stairwell clips COMMAND` and look at its exit code."""
        words = ["clips", command, *map(str, arguments)]
        if command != "verify":
            words += ["--config", str(self.config)]
        result = CliRunner().invoke(app, words)
        ended = result.exit_code
        if isinstance(result.exception, StairwellError):
            ended = result.exception.exit_code
        assert code == ended, (result.output, result.exception)
        return result

    def data(self, command: str, *arguments: object, code: int = 0) -> Any:  # noqa: ANN401 - any JSON
        """What it prints with --json."""
        return json.loads(self(command, *arguments, "--json", code=code).stdout)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.kit.end()


def test_list(desk: Desk) -> None:
    """A line for each clip with its marks; the same as data; held ones alone."""
    desk.kit.clip(1)
    desk.kit.clip(2)
    desk.kit.journal.ask(lambda tx: store.hold(tx, name(2), held=True))
    desk.kit.journal.ask(lambda tx: store.mark_announced(tx, [name(2)]))
    lines = desk("list").stdout.splitlines()
    assert [name(1), "?", "6.0", "0.1", "1", "unsent"] == lines[1].split()
    assert [name(2), "held"] == [lines[2].split()[0], lines[2].split()[-1]]
    assert [name(1), name(2)] == [clip["clip"] for clip in desk.data("list")]
    assert [name(2)] == [clip["clip"] for clip in desk.data("list", "--held")]
    assert [] == desk.data("list", "--event", "another")


def test_show(desk: Desk) -> None:
    """All of one clip, in lines and as data."""
    clip = desk.kit.clip(1)
    text = desk("show", name(1)).stdout
    for value in (clip.sha256, clip.manifest, clip.sig, *clip.recipients):
        assert value in text
    assert clip.sha256 == desk.data("show", name(1))[0]["file"]["sha256"]
    desk("show", "ZZZZ", code=6)


def test_export(desk: Desk) -> None:
    """Sealed for anybody to carry, opened for who has the key; neither over what is there."""
    clip = desk.kit.clip(1)
    assert "as it lies there" in desk("export", name(1), "--out", desk.out).stdout
    [opened] = desk.data("export", name(1), "-o", desk.out, "-i", desk.city)
    assert (True, str(desk.out / f"{name(1)}.mp4")) == (opened["opened"], opened["file"])
    ffmpeg_plays(desk.out / f"{name(1)}.mp4")
    desk("export", name(1), "--out", desk.out, code=6)
    desk("export", name(1), "--out", desk.out, "--force")
    desk("export", name(1), "--out", desk.out, "--force", "-i", desk.stranger, code=3)
    assert f"{clip.id}.json" in {path.name for path in desk.out.iterdir()}


def test_verify(desk: Desk) -> None:
    """The kit's own directory, a copy, an opened copy; altered is exit code 6."""
    clip = desk.kit.clip(1)
    key = desk.kit.state / "keys" / "kit.pub"
    desk("export", name(1), "--out", desk.out, "-i", desk.city)
    text = desk("verify", desk.kit.directory, desk.out, "--public-key", key, "-i", desk.city).stdout
    assert 2 == text.count("authentic")
    desk("verify", desk.kit.directory, "--config", desk.config)

    path = desk.kit.directory / clip.path
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)
    [verdict] = desk.data("verify", path, "--public-key", key, "-i", desk.city, code=NOT_SOUND)
    assert ("altered", True) == (verdict["verdict"], verdict["full"])
    assert verdict["seconds"]
    desk("verify", desk.city, "--public-key", key, code=6)
    desk("verify", desk.out / "none", "--public-key", desk.city, code=3)


def test_hold_and_release(desk: Desk) -> None:
    """Said for each clip, and done."""
    desk.kit.clip(1)
    desk.kit.clip(2)
    assert [f"{name(n)}: on hold" for n in (1, 2)] == desk("hold", name(1), name(2)).stdout.splitlines()
    assert 2 == len(desk.data("list", "--held"))
    assert f"{name(1)}: no longer on hold\n" == desk("release", name(1)).stdout
    assert [{"clip": name(1), "held": True}] == desk.data("hold", name(1))
    assert [{"clip": name(1), "held": False}] == desk.data("release", name(1))
    assert [name(2)] == [clip["clip"] for clip in desk.data("list", "--held")]


def test_erase(desk: Desk) -> None:
    """With --yes only, where nobody can be asked; the receipt is printed, and written."""
    clip = desk.kit.clip(1)
    desk("erase", name(1), code=64)
    receipt = desk.out / "receipt.json"
    printed = desk("erase", name(1), "--yes", "--why", "court order", "--receipt", receipt).stdout
    assert printed == receipt.read_text()
    assert (clip.sha256, "court order") == (json.loads(printed)["file"]["sha256"], json.loads(printed)["why"])
    assert [] == desk.kit.files()
    assert "erased" == kept(desk.kit.state)[-1]["state"]


def test_a_receipt_that_cannot_be_written_is_printed_all_the_same(desk: Desk) -> None:
    """The clip is gone: what proves it must not be lost with the error."""
    desk.kit.clip(1)
    result = desk("erase", name(1), "-y", "--receipt", desk.out / "none" / "receipt.json", code=6)
    assert name(1) == json.loads(result.stdout)["clip"]


def test_check(desk: Desk) -> None:
    """Sound is 0, a finding is 6; the days of wear and what was compared are told."""
    clip = desk.kit.clip(1)
    desk.kit.journal.ask(lambda tx: wear._add(tx, "2026-05-01", 12_300_000))
    text = desk("check").stdout
    assert "written on 2026-05-01: 12 MB" in text
    assert "compared with what was signed" in text
    assert text.strip().endswith("sound")
    assert desk.data("check", "-i", desk.city)["decoded"]

    (desk.kit.directory / clip.path).unlink()
    assert "missing" in desk("check", code=NOT_SOUND).stdout
    assert ["missing"] == [f["code"] for f in desk.data("check", code=NOT_SOUND)["findings"]]
    desk("check", "--repair", code=64)
    assert "missing, repaired" in desk("check", "--repair", "--yes").stdout


def test_every_command_speaks_ukrainian(desk: Desk) -> None:
    """Headings, marks, counts, verdicts; what programs read stays as it is."""
    clip = desk.kit.clip(1)
    desk.kit.clip(2)
    desk.kit.journal.ask(lambda tx: wear._add(tx, "2026-05-01", 12_300_000))
    key = desk.kit.state / "keys" / "kit.pub"
    judge = ("verify", desk.kit.directory, "--public-key", key)
    expected: dict[tuple[object, ...], tuple[str, ...]] = {
        ("list",): ("кліп", "початок (UTC)", "не надіслано", "2 кліпи, 0.3 МБ"),
        ("show", name(1)): (clip.sha256, "manifest.sha256"),
        ("export", name(1), "-o", desk.out): ("0.1 МБ, таким, як лежить",),
        ("export", name(2), "-o", desk.out, "-i", desk.city): ("0.1 МБ, відкрито",),
        judge: ("висновок", "справжній", "запечатаний файл"),
        ("hold", name(1)): (f"{name(1)}: утримується",),
        ("release", name(1)): (f"{name(1)}: більше не утримується",),
        ("check",): (
            "записано 2026-05-01: 12 МБ",
            "2 кліпи (0.3 МБ) звірено з підписаним",
            "відкритого відео: усе справне",
        ),
        ("check", "-i", desk.city): ("2 кліпи (0.3 МБ) відкрито й декодовано",),
    }
    for words, told in expected.items():
        result = desk(*words, "--lang", "uk")  # type: ignore[arg-type]
        assert [] == [word for word in told if word not in result.output], result.output
        assert words[0] == "show" or [] == english_in(result.output)  # that one lists the record's own keys
    for words in (("list",), ("show", name(1)), judge, ("hold", name(1)), ("release", name(1)), ("check",)):
        assert desk.data(*words, "--lang", "en") == desk.data(*words, "--lang", "uk")  # type: ignore[arg-type]
    receipt = json.loads(desk("erase", name(2), "--yes", "--lang", "uk").stdout)
    assert (name(2), "request") == (receipt["clip"], receipt["why"])


def test_what_is_wrong_is_told_in_ukrainian(desk: Desk) -> None:
    """By the check and by verify; for programs in English, as ever."""
    clip, gone = desk.kit.clip(1), desk.kit.clip(2)
    path = desk.kit.directory / clip.path
    path.write_bytes(path.read_bytes()[:-7])
    (desk.kit.directory / gone.path).unlink()

    text = desk("check", "--lang", "uk", code=NOT_SOUND).stdout
    assert f"зник  {gone.path}" in text
    assert "обрізаний; є" in text
    assert "Що робити: збережіть його для розслідування" in text
    assert text.strip().endswith(": 2 знахідки")
    assert [] == english_in(text)
    found = desk.data("check", "--lang", "uk", code=NOT_SOUND)["findings"]
    assert {"missing": "its file has gone"}.items() <= {f["code"]: f["text"] for f in found}.items()
    assert "`--repair` takes it out of the index, and tells the city" in [f["fix"] for f in found]

    judge = ("verify", path, "--config", desk.config)
    assert f"є {clip.bytes - 7} з {clip.bytes} байтів" in desk(*judge, "--lang", "uk", code=NOT_SOUND).stdout
    [verdict] = desk.data(*judge, "--lang", "uk", code=NOT_SOUND)
    assert ("truncated", f"{clip.bytes - 7} of {clip.bytes} bytes are there") == (
        verdict["verdict"],
        verdict["detail"],
    )
    mended = desk("check", "--repair", "--yes", "--lang", "uk", code=NOT_SOUND).stdout
    assert f"зник, виправлено  {gone.path}" in mended


def test_help_teaches(desk: Desk) -> None:
    """Each command says what it is for; those that judge tell their exit codes."""
    for command in ("list", "show", "export", "verify", "hold", "release", "erase", "check"):
        text = CliRunner().invoke(app, ["clips", command, "--help"]).stdout
        assert len(text) > 300
        if command in {"verify", "check"}:
            assert "Exit code 0" in " ".join(text.replace("│", " ").split())
    assert desk.kit.directory.exists()


def test_somebody_at_a_terminal_is_asked_and_sees_bars(desk: Desk) -> None:
    """`erase` waits for a yes; `check` shows how far it is."""
    desk.kit.clip(1)

    def at_terminal(*words: str, answer: str = "") -> tuple[int, str]:
        master, slave = pty.openpty()
        command = [sys.executable, "-m", "agent", "clips", *words, "--config", str(desk.config)]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
        with subprocess.Popen(
            command, stdin=slave, stdout=subprocess.PIPE, stderr=slave, env=environment
        ) as run:
            os.close(slave)
            os.write(master, answer.encode())
            assert run.stdout is not None
            run.stdout.read()
            shown = b""
            while True:
                try:
                    shown += os.read(master, 65_536)
                except OSError:
                    break
        os.close(master)
        return run.returncode, shown.decode()

    code, shown = at_terminal("check")
    assert 0 == code
    assert "checking clips" in shown
    assert "checking open footage" in shown
    assert "перевірка кліпів" in at_terminal("check", "--lang", "uk")[1]
    code, shown = at_terminal("check", "--repair", "--lang", "uk", answer="\n")
    assert 1 == code
    assert "Чи під'єднано їхній диск?" in shown
    code, shown = at_terminal("erase", name(1), answer="n\n")
    assert 1 == code
    assert "Erase 1 clip for good?" in shown
    assert [name(1)] == [clip["clip"] for clip in desk.data("list")]
    code, shown = at_terminal("erase", name(1), "--lang", "uk", answer="т\n")
    assert 0 == code
    assert "Вилучити назавжди 1 кліп?" in shown
    assert [] == desk.data("list")
