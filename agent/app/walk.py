"""The walk test: somebody walks through, and the city says that it knows.

What is awaited, one after the other; where it stops is the cause:

    empty          nobody is in the picture: who stands there already is no walk
    motion         something moved in the picture
    person         a person's event began
    acknowledged   who `backbone.delivery` names has that event's first message: the platform, or the broker

The agent tells of motion and of its link; the database tells of the event, whose row is there as long as it
is open, and of its message, whose row goes when it counts as delivered.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from agent.app.onlooker import look
from agent.app.symptoms import no_link
from agent.app.uplink import mended
from agent.words import say

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agent.app.status import Status
    from agent.config_fields import Receipt
    from agent.device.clock import Clock
    from agent.words import Text

WALK_S = 60.0  # to go from the kit to where it looks, and through
LIMIT_S = 10.0  # from the person's first moment in the event to its acknowledgement
LOOK_S = 0.25  # between two looks; what is measured is no finer

Stage = Literal["empty", "motion", "person", "acknowledged"]
Fault = Literal["camera", "occupied", "motion", "person", "link", "platform", "late"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. `left_s` is what is left of the time for the stage that is awaited."""

    awaited: Stage
    left_s: float
    connected: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended. `seconds`: from the event's beginning to the acknowledgement."""

    event: str | None = None
    seconds: float | None = None
    fault: Fault | None = None
    detail: Text | None = None
    fix: Text | None = None

    @property
    def passed(self) -> bool:
        """Whether all of it came, in time."""
        return self.fault is None

    def as_dict(self) -> dict[str, Any]:
        """What is kept of it, as JSON types."""
        found = {"event": self.event, "seconds": self.seconds, "fault": self.fault}
        return {key: value for key, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class _Event:
    """An open person event. `waits`: its first message is not delivered yet."""

    id: str
    began: float
    waits: bool


@dataclass(slots=True)
class Walk:
    """One test. `ask` gives the agent's status, `database` is the one that it writes.

    `receipt` is whose acknowledgement that database waits for.
    """

    database: Path
    clock: Clock
    ask: Callable[[], Status]
    wait: Callable[[float], None]
    receipt: Receipt
    walk_s: float = WALK_S
    limit_s: float = LIMIT_S
    outcome: Outcome | None = None
    """Set when `run` has ended."""

    def run(self) -> Iterator[Progress]:
        """Look until it is known how it ended; each look is told.

        Raises:
            StairwellError: no agent answers, or its database cannot be read.
        """
        asked = self.clock.mono()
        while self._open():
            left_s = asked + self.walk_s - self.clock.mono()
            if left_s <= 0:
                self.outcome = _OCCUPIED
                return
            yield Progress("empty", left_s, self.ask().link.connected)
            self.wait(LOOK_S)
        began, moved = self.clock.mono(), False
        while not (events := self._open()):
            status, now = self.ask(), self.clock.mono()
            if now - began > self.walk_s:
                self.outcome = _unseen(status, moved=moved)
                return
            moved = moved or (status.camera.motion is not None and now - status.camera.motion > began)
            yield Progress("person" if moved else "motion", began + self.walk_s - now, status.link.connected)
            self.wait(LOOK_S)
        yield from self._acknowledged(events[0])

    def _acknowledged(self, event: _Event) -> Iterator[Progress]:
        seen = self.clock.mono()
        while event.waits:
            now = self.clock.mono()
            status = self.ask()
            if now - seen > self.limit_s:
                self.outcome = _undelivered(event.id, status, self.receipt)
                return
            yield Progress("acknowledged", seen + self.limit_s - now, status.link.connected)
            self.wait(LOOK_S)
            event = replace(event, waits=look(self.database, partial(_waits, event=event.id)))
        seconds = round(self.clock.mono() - event.began, 2)
        if seconds > self.limit_s:
            self.outcome = Outcome(
                event.id,
                seconds,
                "late",
                _late(seconds, self.receipt),
                say("Look at the uplink and the load: stairwell doctor --only 'net.*' --only cam.speed"),
            )
        else:
            self.outcome = Outcome(event.id, seconds)

    def _open(self) -> list[_Event]:
        """The open events of persons, of this boot: what an earlier one left will be ended by the agent."""

        def question(tx: sqlite3.Connection) -> list[_Event]:
            rows = [
                (event, json.loads(last), json.loads(change))
                for event, last, change in tx.execute(
                    "SELECT id, last, change FROM open_events ORDER BY rowid"
                )
            ]
            return [
                _Event(event, change["started"], _waits(tx, event))
                for event, last, change in rows
                if change["kind"] == "person" and last["boot"] == self.clock.boot
            ]

        return look(self.database, question)


_OCCUPIED = Outcome(
    fault="occupied",
    detail=say("somebody stays in the picture"),
    fix=say("Have everybody step out of the picture, and begin again"),
)


def _waits(tx: sqlite3.Connection, event: str) -> bool:
    """Whether the first message of this event waits still: the lowest number of its own."""
    rows = tx.execute(
        "SELECT payload FROM outbox WHERE subject = ? AND done_boot IS NULL ORDER BY seq", (event,)
    )
    return any(_is_first(payload) for (payload,) in rows)


def _is_first(payload: bytes) -> bool:
    try:
        return bool(json.loads(payload).get("phase") == "new")
    except ValueError:  # a picture, under the same subject
        return False


def _unseen(status: Status, *, moved: bool) -> Outcome:
    if status.camera.down is not None or status.camera.age is None:
        return Outcome(
            fault="camera",
            detail=say("the camera gives no pictures"),
            fix=say("`stairwell doctor --only 'cam.*'` tells why"),
        )
    if not moved:
        return Outcome(
            fault="motion",
            detail=say("no motion was seen"),
            fix=say(
                "Look where the camera points: sudo stairwell look. Walk through the middle of its picture"
            ),
        )
    return Outcome(
        fault="person",
        detail=say("motion was seen, but no person"),
        fix=say(
            "Walk more slowly, with the whole body in the picture; give more light; tilt the camera so that "
            "a person is at least a fifth of its height. Is the place masked? Does the detector work: "
            "stairwell doctor --only 'ai.*'"
        ),
    )


def _late(seconds: float, receipt: Receipt) -> Text:
    if receipt == "puback":
        return say("the broker took it after {seconds:.1f} s: too late", seconds=seconds)
    return say("the city acknowledged it after {seconds:.1f} s: too late", seconds=seconds)


def _undelivered(event: str, status: Status, receipt: Receipt) -> Outcome:
    if not status.link.connected:
        cause = status.link.cause
        fix = mended(cause)
        detail = say(
            "a person was seen, but there is no link to the broker ({why})", why=no_link(status.link.cause)
        )
        return Outcome(event, None, "link", detail, fix)
    if receipt == "puback":
        return Outcome(
            event,
            None,
            "platform",
            say("a person was seen and published, but the broker did not take it for anybody"),
            say(
                "Call the platform: is it subscribed to this kit's topics? May the kit publish on them (acl)?"
            ),
        )
    return Outcome(
        event,
        None,
        "platform",
        say("a person was seen and published, but the platform did not acknowledge it"),
        say("Call the platform: does it hear this kit's topics, and does it publish on its `ack`?"),
    )
