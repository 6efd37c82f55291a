"""The end of a commissioning: somebody signs for the kit by name, and the record is delivered to the city.

Invariants:
- Nobody signs for what was not done: each step passed, or was waived for a reason that the record keeps; and
  none of the doctor's checks fails, or there is a reason for that too.
- The line of the audit, the step with the record and the message are one transaction; the message is never
  dropped. The same record lies in the state directory, for whoever has no way to the platform: it is put
  there after the transaction, and again by whoever looks after the signature and does not find it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import agent
from agent import checkedfile
from agent.app import acceptance, steps
from agent.app.archive import Archive
from agent.app.onlooker import look
from agent.app.reporter import topics
from agent.app.steps import Step
from agent.backbone import docket, drafts, messages
from agent.backbone.envelope import encode
from agent.device.identity import KEYS, PUBLIC_NAME, PublicKey
from agent.errors import StairwellError
from agent.words import joined, say

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from pathlib import Path

    from agent.app.steps import Entry
    from agent.config import Settings
    from agent.device.clock import Clock

RECORD = "acceptance.json"
"""In the state directory: the record that was signed last, as it was published."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature; `seq` is the number of its message, `record` what was signed, as JSON."""

    by: str
    ts: str | None
    seq: int
    record: str


def unsigned(held: Mapping[Step, Entry]) -> list[Step]:
    """The steps that are missing before anybody may sign."""
    return [step for step in steps.missing(held) if step is not Step.SIGN]


def sign(settings: Settings, clock: Clock, by: str, login: str, despite: str | None = None) -> Signed:
    """Sign for the kit as `by`, logged in as `login`; `despite` what the doctor found, for this reason.

    Raises:
        StairwellError: steps are missing, or a check of the doctor failed; nothing is signed.
        StorageError: the disk refuses; nothing is signed.
        ValidationError: a name or a reason is longer than the contract has it; nothing is signed.
    """
    archive = Archive(settings, clock)
    held = archive.read(steps.entries)
    if missing := unsigned(held):
        raise StairwellError(
            say("not signed: {steps}", steps=joined(", ", (step.heading for step in missing))),
            fix=say(
                "`sudo stairwell commission` goes on with them; or waive one: "
                "stairwell commission waive {step} --why REASON",
                step=missing[0].value,
            ),
        )
    key = PublicKey.read(settings.state.dir / KEYS / PUBLIC_NAME)
    examined = acceptance.examined(settings, clock)
    if not examined.passed and despite is None:
        raise StairwellError(
            say("not signed: {found}", found=acceptance.told(examined.found)),
            fix=say("`sudo stairwell doctor` tells what to mend; or sign with --despite REASON"),
        )
    now = clock.stamp()
    body = messages.AcceptBody(
        **messages.origin(settings.kit.id, now),
        by=by,
        site=messages.SiteAddress.of(settings.site),
        sw=agent.__version__,
        key=key.text,
        checks=examined.found,
        passed=examined.passed,
        why=None if examined.passed else despite,
        steps=[
            messages.AcceptedStep(
                step=step, state="waived" if entry.state == "waived" else "passed", ts=entry.at.ts,
                by=entry.by, why=entry.why,
            )
            for step, entry in held.items()
            if step is not Step.SIGN
        ],
    )  # fmt: skip
    draft, record = drafts.draft(topics(settings), body), encode(body).decode("utf-8")

    def work(tx: sqlite3.Connection) -> int:
        docket.audit(tx, acceptance.line(by, examined), now)
        seq = archive.append(tx, draft)
        found = {"by": by, "seq": seq, "record": record}
        steps.keep(tx, steps.Entry(Step.SIGN, "passed", now, login, found))
        return seq

    return Signed(by, now.ts, archive.ask(work), record)


def signed(held: Mapping[Step, Entry]) -> Signed | None:
    """The signature that was given; None when there is none."""
    entry = held.get(Step.SIGN)
    if entry is None or entry.state != "passed":
        return None
    return Signed(entry.found["by"], entry.at.ts, entry.found["seq"], entry.found["record"])


def put_down(state: Path, signed: Signed) -> None:
    """Have the record lie in the state directory, unless it does.

    Raises:
        StorageError: the disk refuses; it stands signed all the same.
    """
    path, record = state / RECORD, signed.record.encode()
    if checkedfile.read(path) != record:
        checkedfile.write(path, record)


def delivered(database: Path, seq: int) -> bool:
    """Whether the message with this number counts as delivered: its row is gone, or marked.

    Raises:
        StorageError: the database cannot be read.
    """

    def question(tx: sqlite3.Connection) -> bool:
        row = tx.execute("SELECT done_boot FROM outbox WHERE seq = ?", (seq,)).fetchone()
        return row is None or row[0] is not None

    return look(database, question)
