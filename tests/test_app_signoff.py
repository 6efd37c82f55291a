"""Who may sign for a kit, what is kept of it, and when the city has it: over a kit's real database."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from app_parts import Hands, check, kept, query, toml
from commandline import stairwell
from kits import Kit
from pydantic import ValidationError

from agent import checkedfile
from agent.app import signoff, steps
from agent.app.archive import Archive
from agent.app.signoff import RECORD, delivered, put_down, sign, signed
from agent.app.steps import Entry, Step
from agent.backbone.fields import NAME_MAX, TEXT_MAX
from agent.doctor.check import Check, Verdict, fail, ok
from agent.errors import StairwellError, StorageError
from agent.words import verbatim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = "2026-11-27T12:00:00.000Z"
NAME = "О. Коваленко"


class Wall:
    """A kit of which all but the signature is done, and a doctor who finds `verdict`."""

    def __init__(self, state: Path) -> None:
        self.kit = Kit(state, Hands(ts=NOON))
        self.state = state
        self.verdict = ok(verbatim("well"))
        for step in Step:
            if step is not Step.SIGN:
                self.keep(step, "passed")
        self.keep(Step.REFERENCE, "waived", "people all day")
        self.config = state / "agent.toml"
        self.config.write_text(toml(self.kit.settings), encoding="utf-8")

    def keep(self, step: Step, state: steps.State, why: str | None = None) -> None:
        """Have a step stand like this."""
        entry = Entry(step, state, self.kit.clock.stamp(), "petro", {}, why)
        self.kit.journal.ask(lambda tx: steps.keep(tx, entry))

    def examination(self, *_: object) -> list[Check]:
        """The doctor's checks: one."""

        def asked() -> Verdict:
            return self.verdict

        return [Check("cam.frames", verbatim("Pictures"), asked)]

    def sign(self, by: str = NAME, despite: str | None = None) -> signoff.Signed:
        """Sign for it."""
        return sign(self.kit.settings, self.kit.clock, by, "oksana", despite)

    @property
    def held(self) -> dict[Step, Entry]:
        """The steps."""
        return Archive(self.kit.settings, self.kit.clock).read(steps.entries)

    @property
    def accepts(self) -> list[dict[str, Any]]:
        """The messages that tell of a signature, each valid."""
        return [message for message in kept(self.state) if check(message) == "Accept"]

    def command(self, *words: object) -> tuple[int, str]:
        """Exit code and all that `stairwell commission sign` says; it waits for nobody."""
        ended = stairwell("commission", *words, "--config", self.config)
        return ended.returncode, ended.stdout + ended.stderr


@pytest.fixture
def wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wall]:
    """Ready to be signed for."""
    one = Wall(tmp_path)
    monkeypatch.setattr("agent.app.acceptance.examination", one.examination)
    yield one
    one.kit.end()


def test_a_signature_is_kept_published_and_put_down(wall: Wall) -> None:
    """The step, its line of the audit and the message are one; the record lies there as it was published."""
    assert signed(wall.held) is None

    one = wall.sign()
    put_down(wall.state, one)

    assert one == signed(wall.held)
    assert (NAME, NOON, 1) == (one.by, one.ts, one.seq)
    (message,) = wall.accepts
    assert (NAME, True, 5) == (message["by"], message["passed"], len(message["steps"]))
    reference = next(step for step in message["steps"] if step["step"] == "reference")
    assert ("waived", "petro", "people all day") == (reference["state"], reference["by"], reference["why"])
    lying = checkedfile.read(wall.state / RECORD)
    assert lying is not None
    assert {key: value for key, value in message.items() if key not in {"stream", "seq"}} == json.loads(lying)
    told = query(wall.state, "SELECT by, status FROM audit WHERE cmd IN ('accept', 'commission') ORDER BY n")
    assert [(NAME, "ok"), ("oksana", "ok")] == told[-2:]


def test_a_disk_that_refuses_the_step(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then there is no message and no line of the audit: the city knows of no signature that the kit lost."""

    def refuses(*_: object) -> None:
        raise StorageError("agent.db: the disk fails", fix="replace the card")

    audited = "SELECT count(*) FROM audit"
    before = query(wall.state, audited)
    monkeypatch.setattr(steps, "keep", refuses)
    with pytest.raises(StorageError, match="the disk fails"):
        wall.sign()
    assert ([], None, before) == (wall.accepts, signed(wall.held), query(wall.state, audited))


@pytest.mark.parametrize("state", ["failed", "begun"])
def test_nobody_signs_for_what_is_not_done(wall: Wall, state: steps.State) -> None:
    """The steps are named, with the way to each; nothing is kept."""
    wall.keep(Step.POWER, state)

    with pytest.raises(StairwellError, match="not signed: Power-cut test") as refused:
        wall.sign()

    assert "commission waive power --why REASON" in refused.value.words[1].en
    assert ([], None) == (wall.accepts, signed(wall.held))


def test_a_check_that_fails_wants_a_reason(wall: Wall) -> None:
    """It is named; the reason is part of the record, and only where it was needed."""
    wall.verdict = fail(verbatim("no pictures"), verbatim("look at the cable"))

    with pytest.raises(StairwellError, match=r"not signed: 1 failure.*cam\.frames"):
        wall.sign()
    assert [] == wall.accepts
    wall.sign(despite="the cable comes tomorrow")
    wall.verdict = ok(verbatim("well"))
    wall.sign(despite="none is needed")

    assert [(False, "the cable comes tomorrow"), (True, None)] == [
        (message["passed"], message.get("why")) for message in wall.accepts
    ]


@pytest.mark.parametrize(("by", "despite"), [("я" * (NAME_MAX + 1), "so"), (NAME, "я" * (TEXT_MAX + 1))])
def test_what_breaks_the_contract_is_not_signed(wall: Wall, by: str, despite: str) -> None:
    """Nothing is half done."""
    wall.verdict = fail(verbatim("no pictures"), verbatim("look at the cable"))

    with pytest.raises(ValidationError):
        wall.sign(by, despite)

    assert ([], None) == (wall.accepts, signed(wall.held))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sign", "--by", " "), "whose name?"),
        (("sign", "--by", "я" * (NAME_MAX + 1)), "at most 200 characters, please"),
        (("sign", "--by", NAME, "--despite", ""), "what reason?"),
        (("sign", "--by", NAME, "--despite", "я" * (TEXT_MAX + 1)), "at most 1000 characters, please"),
        (("waive", "walk", "--why", " "), "what reason?"),
        (("waive", "walk", "--why", "я" * (TEXT_MAX + 1)), "at most 1000 characters, please"),
    ],
)
def test_what_the_record_cannot_take_is_a_wrong_command_line(
    wall: Wall, words: tuple[str, ...], told: str
) -> None:
    """Said in a sentence; nothing is signed, and no step is waived."""
    code, said = wall.command(*words)

    assert (64, True) == (code, told in said)
    assert (None, "passed") == (signed(wall.held), wall.held[Step.WALK].state)


@pytest.mark.parametrize("damage", ["gone", "damaged", "other"])
def test_whoever_looks_again_puts_the_record_down(wall: Wall, damage: str) -> None:
    """The power went between the transaction and the file: the same command mends it, and signs nothing."""
    one, path = wall.sign(), wall.state / RECORD
    if damage == "damaged":
        path.write_bytes(b"half of i")
    elif damage == "other":
        put_down(wall.state, replace(one, record='{"v":1}'))

    code, said = wall.command("sign", "--by", "somebody else", "--seconds", 0)

    assert (2, True) == (code, f"Signed by {NAME}, 2026-11-27 12:00 UTC." in said)
    assert one.record.encode() == checkedfile.read(path)
    assert 1 == len(wall.accepts)


def test_a_disk_that_takes_no_record(wall: Wall) -> None:
    """It stands signed all the same, and the error is the disk's."""
    one = wall.sign()
    (wall.state / RECORD).mkdir()

    with pytest.raises(StorageError, match=RECORD):
        put_down(wall.state, one)

    assert one == signed(wall.held)


def test_the_city_has_it_once_its_row_is_gone_or_marked(wall: Wall) -> None:
    """By its watermark, or the broker's receipt where there is none."""
    first, second = wall.sign(), wall.sign()
    kit, database = wall.kit, wall.state / "agent.db"
    assert [False, False] == [delivered(database, one.seq) for one in (first, second)]

    stream = kit.journal.ask(kit.outbox.open_stream)
    kit.journal.ask(lambda tx: kit.outbox.watermark(tx, stream, first.seq))
    assert [True, False] == [delivered(database, one.seq) for one in (first, second)]
    kit.journal.ask(lambda tx: kit.outbox.delivered(tx, [second.seq], kit.clock.stamp()))
    assert delivered(database, second.seq)
    assert (0, True) == (
        (ended := wall.command("sign", "--by", NAME, "--lang", "uk"))[0],
        "Брокер прийняв" in ended[1],
    )
