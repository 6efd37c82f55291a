"""What the kit's database tells of the past: events, messages, orders; beside a running agent or without one.

Only what is still kept can be told. A message goes once the platform has it, or after `outbox.keep_h`; of an
event whose messages went, its clips still know.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from agent.app import hatch
from agent.app.lifeboat import STATE
from agent.app.onlooker import look
from agent.app.reporter import topics
from agent.app.schemas import DATABASE
from agent.backbone.drafts import HEADER, Priority
from agent.backbone.outbox import Numbers, Outbox
from agent.backbone.stored import checksum
from agent.clips import store
from agent.device.clock import Stamp, labelled
from agent.errors import StorageError
from agent.ulid import minted_ms
from agent.words import say

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from agent.config import Settings
    from agent.device.clock import Clock

LEVELS = 6  # of a topic, up to and with the kit


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of them: the newest `count` between two times (seconds since the epoch).

    What has no time, because the clock was never set in its boot, lies in no span.
    """

    count: int | None = None
    since: float | None = None
    until: float | None = None

    def has(self, when: Stamp) -> bool:
        """Whether this moment is wanted."""
        if self.since is None and self.until is None:
            return True
        if when.ts is None:
            return False
        at = datetime.fromisoformat(when.ts).timestamp()
        return (self.since is None or at >= self.since) and (self.until is None or at <= self.until)


@dataclass(frozen=True, slots=True)
class Happening:
    """An event, as its last message told it; of one that only clips know, little is left."""

    id: str
    began: Stamp
    kind: str | None = None
    phase: str | None = None
    seconds: float | None = None
    """None while it lasts, or when nobody knows any more."""
    persons: int | None = None
    score: float | None = None
    zones: tuple[str, ...] = ()
    direction: str | None = None
    delivered: bool = True
    """Whether all that was said of it was delivered."""
    clips: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in the outbox."""

    seq: int
    kind: str
    """What stands in its topic behind the kit: `evt/person`, `alm/camera.lost`, `stat` …"""
    said: Stamp
    bytes: int
    urgent: bool
    delivered: bool
    sound: bool
    """Whether its checksum holds; one that does not will be dropped."""
    message: dict[str, Any] | None
    """None when it is not sound. Of a picture its header alone."""

    @property
    def step(self) -> str:
        """The phase of an event, the state of an alarm or a clip; empty for the rest."""
        told = self.message or {}
        return str(told.get("phase") or told.get("state") or "")

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Account:
    """A line of the audit."""

    n: int
    at: Stamp
    cmd: str | None
    req: str | None
    by: str | None
    key: str | None
    status: str
    code: str | None
    text: str | None
    passed_over: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


class Chronicle:
    """The past of the kit that `settings` describe. Lists come oldest first.

    `after` of each takes only rows with a higher number: who follows asks again from the last one.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._database = database_of(settings)
        self._outbox = Outbox(settings.outbox, topics(settings))
        self._clock = clock

    def events(self, wanted: Wanted, kind: str | None = None) -> list[Happening]:
        """The newest events, each once.

        Raises:
            StorageError: as `onlooker.look`.
        """

        def question(tx: sqlite3.Connection) -> list[Happening]:
            clips = _clips_of_events(tx)
            told = list(self._told(tx, clips))
            known = {event.id for event in told}
            # A message goes before its clip does: what only clips know is older than what messages tell.
            newest = told + [_left(event, clips[event]) for event in reversed(clips) if event not in known]
            fitting = (e for e in newest if kind in {None, e.kind} and wanted.has(e.began))
            return list(islice(fitting, wanted.count))[::-1]

        return look(self._database, question)

    def letters(
        self, wanted: Wanted, kind: str | None = None, *, delivered: bool = False, after: int = 0
    ) -> list[Letter]:
        """The newest messages that wait; with `delivered` those too that are kept for a resend.

        `kind` is the first part of theirs (`evt`), or all of it (`evt/person`).

        Raises:
            StorageError: as `onlooker.look`.
        """

        def question(tx: sqlite3.Connection) -> list[Letter]:
            fitting = (
                letter
                for letter in self._rows(tx, after)
                if (delivered or not letter.delivered)
                and (kind is None or letter.kind == kind or letter.kind.startswith(f"{kind}/"))
                and wanted.has(letter.said)
            )
            return list(islice(fitting, wanted.count))[::-1]

        return look(self._database, question)

    def letter(self, seq: int) -> Letter:
        """The message with this number.

        Raises:
            StorageError: it is not there, or as `onlooker.look`.
        """
        found = look(self._database, lambda tx: next(self._rows(tx, seq - 1, seq), None))
        if found is None:
            raise StorageError(
                say("message {seq}: not in the outbox", seq=seq),
                fix=say("`stairwell outbox --all` names those there are; what the platform has is forgotten"),
            )
        return found

    def numbers(self) -> Numbers | None:
        """The state of the outbox; None when it was never opened.

        Raises:
            StorageError: as `onlooker.look`.
        """

        def question(tx: sqlite3.Connection) -> Numbers | None:
            opened = tx.execute("SELECT count(*) FROM outbox_state").fetchone()[0]
            return self._outbox.numbers(tx, self._clock.stamp()) if opened else None

        return look(self._database, question)

    def audit(
        self, wanted: Wanted, cmd: str | None = None, by: str | None = None, *, after: int = 0
    ) -> list[Account]:
        """The newest lines of the audit; `cmd` and `by` as the order named them.

        Raises:
            StorageError: as `onlooker.look`.
        """

        def question(tx: sqlite3.Connection) -> list[Account]:
            rows = tx.execute(
                "SELECT boot, mono, ts, clk, n, cmd, req, by, key, status, code, text, passed_over "
                "FROM audit WHERE n > ? AND (? IS NULL OR cmd = ?) AND (? IS NULL OR by = ?) ORDER BY n DESC",
                (after, cmd, cmd, by, by),
            )
            lines = (Account(row[4], self._when(*row[:4]), *row[5:]) for row in rows)
            return list(islice((line for line in lines if wanted.has(line.at)), wanted.count))[::-1]

        return look(self._database, question)

    def _told(self, tx: sqlite3.Connection, clips: dict[str, tuple[str, ...]]) -> Iterator[Happening]:
        """Each event that messages tell of, by its highest revision; the newest first."""
        last: dict[str, Letter] = {}
        waiting = set()
        for letter in self._rows(tx, like="%/evt/%"):
            if letter.kind.startswith("evt/") and letter.message is not None:
                event = letter.message["id"]
                last.setdefault(event, letter)
                if not letter.delivered:
                    waiting.add(event)
        for event, letter in last.items():
            told = letter.message or {}
            yield Happening(
                event,
                self._when(told["boot"], told["mono0"], told["t0"], told["clk"]),
                told["type"],
                told["phase"],
                told.get("dur"),
                told.get("count"),
                told.get("top"),
                tuple(told.get("zones", ())),
                told.get("dir"),
                event not in waiting,
                clips.get(event, ()),
            )

    def _rows(
        self, tx: sqlite3.Connection, after: int = 0, upto: int | None = None, like: str = "%"
    ) -> Iterator[Letter]:
        """The messages, newest first. `like` spares reading what cannot be wanted: pictures are large."""
        rows = tx.execute(
            "SELECT seq, priority, boot, mono, done_boot IS NOT NULL, crc, head, payload FROM outbox "
            "WHERE seq > ? AND (? IS NULL OR seq <= ?) AND CAST(head AS TEXT) LIKE ? ORDER BY seq DESC",
            (after, upto, upto, like),
        )
        for seq, priority, boot, mono, delivered, crc, head, payload in rows:
            sound = checksum(head, payload) == crc
            fields = json.loads(head) if sound else {}
            header = dict(fields.get("user", ())).get(HEADER)
            told = json.loads(payload if header is None else header) if sound else None
            kind = "/".join(fields.get("topic", "").split("/")[LEVELS:]) or "?"
            ts, clk = (told["ts"], told["clk"]) if told else (None, "none")
            urgent = priority == Priority.URGENT
            when = self._when(boot, mono, ts, clk)
            yield Letter(seq, kind, when, len(payload), urgent, bool(delivered), sound, told)

    def _when(self, boot: str, mono: float, ts: str | None, clk: Any) -> Stamp:  # noqa: ANN401 - a ClockState
        """The moment; of this very boot it is known by now, if the clock was set meanwhile."""
        if ts is None and boot == self._clock.boot:
            return self._clock.stamp(mono)
        return Stamp(boot, mono, ts, clk)


def database_of(settings: Settings) -> Path:
    """The database that is written: on the card, or in memory while the card takes no writes."""
    with contextlib.suppress(OSError):  # who may not look there may not look on the card either
        if (boat := hatch.SERVICE / STATE / DATABASE).exists():
            return boat
    return settings.state.dir / DATABASE


def _clips_of_events(tx: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    """The clips of each event, in the order of recording."""
    found: dict[str, tuple[str, ...]] = {}
    for clip in store.clips(tx):
        for event in clip.record.events:
            found[event] = (*found.get(event, ()), clip.record.id)
    return found


def _left(event: str, clips: tuple[str, ...]) -> Happening:
    """An event that only its clips know; its identity tells when it began."""
    return Happening(event, Stamp("", 0.0, labelled(minted_ms(event) / 1000), "none"), clips=clips)
