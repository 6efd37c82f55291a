"""The commissioning of a kit on its wall: which steps were taken, what each found, when, and by whom.

    aim        the camera hangs straight, and sees enough
    view       masks and zones are drawn, or none are needed
    reference  what the empty view looks like: what shows later that the camera was turned or covered
    walk       somebody walked through, and the city acknowledged it
    power      the plug was pulled; the kit came back by itself, and nothing was lost

    sign       somebody signs for all of it, and the city acknowledged that

Invariants:
- A step is in the agent's database, together with its line of the audit: it outlives the power cut that is
  part of all this, and whoever goes on later finds it as it was left.
- A reference is of the aim and the masks of its time: a new one of either drops it. While other masks are in
  force it is not passed; it is again once its own are back.
- A signature is for the aim, the masks and the reference of its time: a new one of these drops it, too.
- A step that is taken again replaces what it was before; what was signed for stays in the audit.

Functions on a connection are part of a unit of work, and commit nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, get_args

from agent.backbone import docket
from agent.device.clock import Stamp
from agent.words import say

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from agent.words import Text

SCHEMA = """
CREATE TABLE IF NOT EXISTS commissioning (
    step TEXT PRIMARY KEY,
    boot TEXT NOT NULL,
    mono REAL NOT NULL,
    ts TEXT,
    clk TEXT NOT NULL,
    by TEXT NOT NULL,
    state TEXT NOT NULL,
    found TEXT NOT NULL,   -- what it found, JSON; its keys are the step's own
    why TEXT               -- it was waived
) STRICT;
"""

AUDITED = "commission"
"""The command in the audit's lines; the step is in their text."""

State = Literal["begun", "passed", "failed", "waived"]


class Step(StrEnum):
    """The steps, in the order in which they are taken."""

    AIM = "aim"
    VIEW = "view"
    REFERENCE = "reference"
    WALK = "walk"
    POWER = "power"
    SIGN = "sign"

    @property
    def heading(self) -> Text:
        """What it is called."""
        return _TITLES[self]


_TITLES = {
    Step.AIM: say("Aim the camera"),
    Step.VIEW: say("Masks and zones"),
    Step.REFERENCE: say("Reference picture"),
    Step.WALK: say("Walk test"),
    Step.POWER: say("Power-cut test"),
    Step.SIGN: say("Signature"),
}


_BASED_ON = {
    Step.AIM: (Step.REFERENCE, Step.SIGN),
    Step.VIEW: (Step.REFERENCE, Step.SIGN),
    Step.REFERENCE: (Step.SIGN,),
}
"""What a step that is taken anew drops."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How a step stands. `found` holds JSON types; `why` is the reason of a waiver."""

    step: Step
    state: State
    at: Stamp
    by: str
    found: dict[str, Any] = field(default_factory=dict)
    why: str | None = None

    @property
    def settled(self) -> bool:
        """Whether nothing of it is missing any more."""
        return self.state in {"passed", "waived"}

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def entries(tx: sqlite3.Connection) -> dict[Step, Entry]:
    """Those that were taken, in their order. A step of a newer version is passed over."""
    rows = tx.execute("SELECT step, state, boot, mono, ts, clk, by, found, why FROM commissioning").fetchall()
    held = {
        row[0]: Entry(Step(row[0]), row[1], Stamp(*row[2:6]), row[6], json.loads(row[7]), row[8])
        for row in rows
        if row[0] in set(Step) and row[1] in get_args(State)
    }
    return {step: held[step] for step in Step if step in held}


def keep(tx: sqlite3.Connection, entry: Entry) -> None:
    """Put it in place of what was kept of its step; the audit gets its line."""
    at = entry.at
    found = json.dumps(entry.found, ensure_ascii=False)
    tx.execute(
        "INSERT OR REPLACE INTO commissioning (step, boot, mono, ts, clk, by, state, found, why) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (entry.step, at.boot, at.mono, at.ts, at.clk, entry.by, entry.state, found, entry.why),
    )
    if entry.state == "passed":
        for step in _BASED_ON.get(entry.step, ()):
            tx.execute("DELETE FROM commissioning WHERE step = ?", (step,))
    _audit(tx, entry, entry.by, at)


def turn(tx: sqlite3.Connection, entry: Entry, now: Stamp) -> None:
    """Have a step stand as `entry` by itself: who took it stays, and so does what is based on it."""
    tx.execute("UPDATE commissioning SET state = ? WHERE step = ?", (entry.state, entry.step))
    _audit(tx, entry, None, now)


def _audit(tx: sqlite3.Connection, entry: Entry, by: str | None, at: Stamp) -> None:
    status = "failed" if entry.state == "failed" else "ok"
    text = f"{entry.step} {entry.state}" + (f": {entry.why}" if entry.why else "")
    docket.audit(tx, docket.AuditLine(AUDITED, None, by, None, status, None, text), at)


def missing(held: Mapping[Step, Entry]) -> list[Step]:
    """The steps that have to be taken yet, in order."""
    return [step for step in Step if step not in held or not held[step].settled]
