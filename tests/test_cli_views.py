"""`stairwell events`, `outbox` and `audit` as a technician runs them, on a database that the agent holds."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import Hands, change, settings, toml
from kits import EVENT, Kit, name
from rich.console import Console
from typer.testing import CliRunner
from ukrainian import english_in

from agent.app import chronicle, hatch
from agent.app.chronicle import Chronicle, Wanted
from agent.app.onlooker import look
from agent.backbone.docket import AuditLine
from agent.cli import app, audit, events, outbox, span
from agent.device.clock import Stamp
from agent.errors import StairwellError, StorageError
from agent.types import Phase
from agent.ulid import ulid
from agent.words import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

    from agent.words import Language

NOBODY = 65534
NOON = "2026-11-27T12:00:00.000Z"
NOON_MS = 1_795_780_800_000
FIRST, SECOND = ulid(NOON_MS, bytes(10)), ulid(NOON_MS + 1000, bytes(10))


class Past:
    """A kit with some past, and its configuration."""

    def __init__(self, directory: Path) -> None:
        self.clock = Hands(ts=NOON)
        self.kit = Kit(directory, self.clock)
        self.config = directory / "agent.toml"
        self.config.write_text(toml(settings(directory)), encoding="utf-8")

    def tell(self, phase: Phase, event: str = FIRST, rev: int = 1) -> None:
        """A step of an event's life, on disk."""
        step = change(phase, rev)
        self.kit.journal.event(event, step, self.kit.reporter.event(event, step))
        self.kit.database.submit(lambda _: None).result()

    def deliver(self) -> None:
        """The broker took everything."""
        now = self.clock.stamp()
        seqs = range(
            1, self.kit.database.submit(lambda tx: self.kit.outbox.numbers(tx, now)).result().seq_next
        )
        self.kit.database.submit(lambda tx: self.kit.outbox.delivered(tx, seqs, now)).result()

    def forget(self) -> None:
        """The platform has everything."""
        self.kit.database.submit(
            lambda tx: self.kit.outbox.watermark(
                tx,
                self.kit.outbox.numbers(tx, self.clock.stamp()).stream,
                self.kit.outbox.numbers(tx, self.clock.stamp()).seq_next - 1,
            )
        ).result()

    def note(self, *lines: AuditLine) -> None:
        """Lines of the audit, on disk."""
        for line in lines:
            self.kit.journal.audit(line)
        self.kit.database.submit(lambda _: None).result()

    def run(self, *arguments: object) -> Result:
        """The command's end: done, an error for people, or a wrong command line."""
        words = [*map(str, arguments), "-c", str(self.config)]
        result = CliRunner().invoke(app, words)
        assert result.exception is None or isinstance(result.exception, SystemExit | StairwellError)
        return result

    def data(self, *arguments: object) -> Any:  # noqa: ANN401 - any JSON
        """What it says as JSON."""
        return json.loads(self.run(*arguments, "--json").stdout)


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    found = Past(tmp_path)
    yield found
    found.kit.end()


def test_events(past: Past) -> None:
    """Each event once, by its last step, oldest first, within 80 columns."""
    past.tell(Phase.NEW)
    past.tell(Phase.END, rev=2)
    past.deliver()
    past.tell(Phase.NEW, SECOND)
    past.kit.clip(1)
    first, second = past.data("events")[-2:]
    assert (FIRST, "person", "end", 1.0, 2, True) == tuple(
        first[key] for key in ("id", "kind", "phase", "seconds", "persons", "delivered")
    )
    assert (SECOND, "new", None, False) == tuple(
        second[key] for key in ("id", "phase", "seconds", "delivered")
    )
    lines = past.run("events").stdout.splitlines()
    assert lines[-1].rstrip().endswith("now")
    assert f"{FIRST} 2026-11-27 12:00:00 person" in lines[-2]


def test_an_event_that_only_clips_know(past: Past) -> None:
    """Once the platform has its messages, its identity tells when it began and its clips are there."""
    past.kit.clip(1)
    past.tell(Phase.NEW)
    past.forget()
    [event] = past.data("events")
    assert (EVENT, None, [name(1)]) == tuple(event[key] for key in ("id", "kind", "clips"))
    assert event["began"]["ts"] is None  # it says a year before there were kits: its clock was not set
    assert NOON == chronicle._left(FIRST, ()).began.ts


@pytest.mark.parametrize("language", LANGUAGES)
def test_eighty_columns(past: Past, language: Language) -> None:
    """Nothing that is needed is cut off in a small terminal."""
    past.tell(Phase.NEW)
    past.note(
        AuditLine("clip/release", FIRST, "the-officer-on-duty", "key", "rejected", "too-late", "an hour")
    )
    wanted, past_of = Wanted(), Chronicle(past.kit.settings, past.clock)
    console = Console(width=80, file=io.StringIO())
    console.print(events._table(past_of.events(wanted), language))
    console.print(outbox._table(past_of.letters(wanted), language))
    console.print(audit._table(past_of.audit(wanted), language, heading=True))
    output = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line) <= 80 for line in output.splitlines())
    for word in (FIRST, "2026-11-27 12:00:00", events.NOW.told(language), "clip/release", "too-late"):
        assert word in output
    assert "…" not in output


def test_which_events(past: Past) -> None:
    """By type, time and number."""
    past.tell(Phase.NEW)
    past.tell(Phase.NEW, SECOND)
    assert [SECOND] == [event["id"] for event in past.data("events", "--count", 1)]
    assert [] == past.data("events", "--type", "tamper")
    assert [] == past.data("events", "--since", "2026-11-27T12:00:01")
    assert 2 == len(past.data("events", "--since", "2026-11-27T12:00", "--until", "2026-11-28"))
    assert past.run("events", "--type", "cat").exit_code == 64
    assert past.run("events", "--since", "yesterday").exit_code == 64


def test_outbox(past: Past) -> None:
    """What waits, what was delivered, what the card altered; and one message whole."""
    past.tell(Phase.NEW)
    past.deliver()
    past.kit.announcer.alarm("camera.lost", active=True)
    past.tell(Phase.END, rev=2)
    past.kit.database.submit(lambda tx: tx.execute("UPDATE outbox SET crc = 0 WHERE seq = 3")).result()
    told = past.data("outbox")
    assert (2, 4) == (told["numbers"]["waiting"], told["numbers"]["seq_next"])
    assert [(2, "alm/camera.lost"), (3, "?")] == [(m["seq"], m["kind"]) for m in told["messages"]]
    output = past.run("outbox", "--all")
    for word in ("evt/person", "sent", "raised", "first", "DAMAGED"):
        assert word in output.stdout
    assert "2 wait" in output.stderr
    assert ["alm/camera.lost"] == [m["kind"] for m in past.data("outbox", "--kind", "alm")["messages"]]
    assert FIRST == json.loads(past.run("outbox", 1).stdout)["message"]["id"]
    assert "not in the outbox" in str(past.run("outbox", 99).exception)


def test_audit(past: Past) -> None:
    """Who, what, and how it ended."""
    past.note(
        AuditLine("clip/upload", FIRST, "duty[1]", "key", "ok", None, None),
        AuditLine("reboot", SECOND, "stranger", None, "rejected", "unsigned", "no key", passed_over=7),
    )
    words = " ".join(past.run("audit").stdout.split())
    assert "clip/upload duty[1] (signed) ok" in words
    assert "rejected unsigned; no key; 7 rejected before it" in words
    assert ["reboot"] == [line["cmd"] for line in past.data("audit", "--by", "stranger")]
    assert ["clip/upload"] == [line["cmd"] for line in past.data("audit", "--cmd", "clip/upload")]


def test_the_views_speak_ukrainian(past: Past) -> None:
    """Headings, marks, counts and empty answers; what programs read stays as it is."""
    past.tell(Phase.NEW)
    past.deliver()
    past.kit.announcer.alarm("camera.lost", active=True)
    past.tell(Phase.NEW, SECOND)
    past.kit.database.submit(lambda tx: tx.execute("UPDATE outbox SET crc = 0 WHERE seq = 3")).result()
    past.note(
        AuditLine("clip/upload", FIRST, "duty", "key", "ok", None, None),
        AuditLine("reboot", SECOND, "stranger", None, "rejected", "unsigned", None, passed_over=7),
    )
    expected = {
        ("events",): ("подія", "початок (UTC)", "людей", "триває", "1 подія"),
        ("events", "--type", "tamper"): ("подія", "0 подій"),
        ("outbox", "--all"): ("номер", "крок", "КіБ", "доставлено", "поза чергою", "ПОШКОДЖЕНО", "у черзі 2"),
        ("audit",): ("команда", "duty (підписано)", "гаразд", "відхилено", "показаних: 7", "2 рядки"),
        ("audit", "--by", "nobody"): ("час (UTC)", "0 рядків"),
    }
    for words, told in expected.items():
        result = past.run(*words, "--lang", "uk")
        assert [] == [word for word in told if word not in result.output]
        assert [] == english_in(result.output)
    for view in ("events", "audit"):
        assert past.data(view) == past.data(view, "--lang", "uk")


def test_a_kit_that_never_spoke(past: Past) -> None:
    """An empty outbox is told in the technician's language; so is a moment before the clock was set."""
    assert "повідомлень ще не було" in outbox._summary(None, past.kit.settings).uk
    assert ("b00t +12 с", "?") == (
        span.shown(Stamp("b00t", 12.0, None, "none"), "uk"),
        span.shown(Stamp("", 0.0, None, "none"), "uk"),
    )


def test_following_speaks_ukrainian(past: Past) -> None:
    """Each step as it is shown with --follow."""
    past.tell(Phase.NEW)
    past.tell(Phase.END, rev=2)
    [*_, last] = Chronicle(past.kit.settings, past.clock).letters(Wanted())
    assert "1 с" in events._step(last, "uk")


def test_a_database_of_nobody(tmp_path: Path) -> None:
    """One that the agent never opened has nothing in it; one that is not there is said."""
    (tmp_path / "agent.toml").write_text(toml(settings(tmp_path)), encoding="utf-8")
    result = CliRunner().invoke(app, ["events", "-c", str(tmp_path / "agent.toml")])
    assert "there is no such database" in str(result.exception)


@pytest.mark.slow
def test_following(past: Past) -> None:
    """What comes is shown as it comes; the agent is not kept from writing."""
    command = [sys.executable, "-m", "agent", "events", "--follow", "--json", "-c", str(past.config)]
    past.tell(Phase.NEW)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert FIRST in process.stdout.readline()
        past.tell(Phase.END, rev=2)
        assert "end" == json.loads(process.stdout.readline())["message"]["phase"]
        process.send_signal(signal.SIGINT)
        assert 130 == process.wait(30)


def test_reading_disturbs_nobody(past: Past) -> None:
    """While somebody reads, the agent writes; who reads sees one moment."""
    past.tell(Phase.NEW)

    def question(tx: Any) -> tuple[int, int]:  # noqa: ANN401 - a connection
        before = tx.execute("SELECT count(*) FROM outbox").fetchone()[0]
        past.tell(Phase.END, rev=2)
        with pytest.raises(Exception, match="readonly"):
            tx.execute("DELETE FROM outbox")
        return before, tx.execute("SELECT count(*) FROM outbox").fetchone()[0]

    assert (1, 1) == look(past.kit.state / "agent.db", question)


def test_the_state_in_memory(past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kit whose card takes no writes keeps its database elsewhere: that is the one that is read."""
    monkeypatch.setattr(hatch, "SERVICE", tmp_path / "run")
    assert chronicle.database_of(past.kit.settings) == past.kit.state / "agent.db"
    boat = tmp_path / "run" / "state" / "agent.db"
    boat.parent.mkdir(parents=True)
    boat.touch()
    assert chronicle.database_of(past.kit.settings) == boat


def test_who_may_not_read() -> None:
    """Others than the agent are told what to do; where only writing is forbidden, a stopped one's is read."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory)
        past = Past(state)
        past.note(AuditLine("look", None, "root", None, "ok", None, None))
        past.kit.end()
        state.chmod(0o755)
        (state / "agent.db").chmod(0o644)
        os.seteuid(NOBODY)
        try:
            assert 1 == look(state / "agent.db", lambda tx: len(tx.execute("SELECT * FROM audit").fetchall()))
        finally:
            os.seteuid(0)
        state.chmod(0o700)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(StorageError, match="run it with sudo"):
                look(state / "agent.db", lambda _: None)
        finally:
            os.seteuid(0)


def test_a_damaged_database(tmp_path: Path) -> None:
    """No traceback."""
    (tmp_path / "agent.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StorageError, match="not a database"):
        look(tmp_path / "agent.db", lambda tx: tx.execute("SELECT * FROM audit"))
