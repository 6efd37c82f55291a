"""Kills kits, broker and platform while events are said, again and again, and counts what is lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from agent.app.schemas import DATABASE
from chaos_parts import NOTE_BYTES, Plan
from city import City
from light_kit import kit_id
from pki import Authority
from reference import PLATFORM, ReferenceBroker

PARTS = Path(__file__).with_name("chaos_parts.py")
EVENTS_PER_KILL = {"kit": 150, "broker": 600, "platform": 900}
"""Accepted messages from one kill to the next, on average."""
DOWN_S = {"kit": (0.0, 0.5), "broker": (0.3, 2.0), "platform": (0.2, 1.0)}
DRAIN_S = 240.0  # what is not there so long after the last event will not come
QUIET_S = 10.0  # of a platform that hears nothing more, when no watermark tells the end
LOOK_S = 0.1


class Delivery(StrEnum):
    """When a kit forgets a message."""

    WATERMARK = "watermark"
    PUBACK = "puback"


@dataclass
class Result:
    """What the bench came to."""

    delivery: str
    accepted: int = 0
    lost: int = 0
    unaccounted: int = 0
    duplicates: int = 0
    kit_kills: int = 0
    broker_kills: int = 0
    platform_kills: int = 0
    seconds: float = 0.0


@dataclass
class _Down:
    """What is not running, and when it is to begin anew."""

    kits: dict[int, float] = field(default_factory=dict)
    broker: float | None = None
    platform: float | None = None


def main(
    events: Annotated[int, typer.Option(min=100, help="How many are said, by all kits together.")] = 6000,
    kits: Annotated[int, typer.Option(min=1, max=50, help="How many kits.")] = 5,
    rate: Annotated[float, typer.Option(min=0.1, help="Events per second of each kit.")] = 20.0,
    delivery: Annotated[Delivery, typer.Option(help="When a kit forgets a message.")] = Delivery.WATERMARK,
    seed: Annotated[int, typer.Option(help="Of the moments of the kills.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """SIGKILL at random moments to kits, Mosquitto and platform; then every message is looked for.

    The kits have the agent's own database, outbox, courier and link, without camera and detector. The broker
    is Debian's, with the reference configuration: mutual TLS, ACL. The platform is the reference consumer
    over a database. The waits between two tries are shortened to seconds; nothing else is.

    `accepted`: messages that an outbox said were on disk. `lost`: those of them that the platform does not
    have in the end. `unaccounted`: numbers given by an outbox, told to anybody or not, that the platform
    neither has nor finds named by a `gap`. `duplicates`: messages that came again after they were stored.

    With `--delivery puback` kits take the broker's word instead, as is usual: what that loses is what the
    platform's watermark is for. Exit code 1 if with the watermark anything is lost or unaccounted.
    """
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="stairwell-chaos-") as directory:
        bench = Chaos(Path(directory), events, kits, rate, delivery, seed)
        begun = time.monotonic()
        try:
            with Progress(console=console, disable=as_json) as progress:
                bench.run(progress)
        finally:
            bench.close()
        result = bench.result
        result.seconds = round(time.monotonic() - begun, 1)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, value in asdict(result).items():
            table.add_row(name.replace("_", " "), str(value))
        Console().print(table)
    if delivery is Delivery.WATERMARK and (result.lost or result.unaccounted):
        raise typer.Exit(1)


class Chaos:
    """One city with all that is killed in it."""

    def __init__(
        self, directory: Path, events: int, kits: int, rate: float, delivery: Delivery, seed: int
    ) -> None:
        self.result = Result(str(delivery))
        authority = Authority(directory / "keys")
        for name in (PLATFORM, *(kit_id(index) for index in range(kits))):
            authority.issue(name)
        self._broker = ReferenceBroker(directory, authority)
        self._plan = Plan(
            str(directory),
            self._broker.port,
            str(authority.directory),
            -(-events // kits),
            rate,
            str(delivery),
        )
        self._events, self._kits = self._plan.per_kit * kits, range(kits)
        self._city = City(self._plan.city)
        self._chance = random.Random(seed)  # noqa: S311 - moments, no keys
        self._pids: dict[object, int] = {}
        self._down = _Down()
        self._next = {victim: self._after(victim, 0) for victim in EVENTS_PER_KILL}
        plan = directory / "plan.json"
        plan.write_text(json.dumps(asdict(self._plan)), "utf-8")
        self._server = subprocess.Popen(
            [sys.executable, str(PARTS), str(plan)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, progress: Progress) -> None:
        """From the first event to the last that arrives."""
        self._broker.start()
        self._start("platform")
        for index in self._kits:
            self._start(index)
        said = progress.add_task("said", total=self._events)
        while (accepted := self._accepted()) < self._events:
            self._kill_what_is_due(accepted)
            self._raise_what_is_due()
            progress.update(said, completed=accepted)
            time.sleep(LOOK_S)
        progress.update(said, completed=accepted)
        heard = progress.add_task("heard", total=self._events)
        until = time.monotonic() + DRAIN_S
        while not self._all_delivered() and time.monotonic() < until:
            self._raise_what_is_due()
            progress.update(heard, completed=min(self._events, self._city.stored))
            time.sleep(1.0)
        self._count(accepted)

    def close(self) -> None:
        """End what runs still."""
        for pid in self._pids.values():
            _kill(pid)
        self._server.communicate()
        self._broker.kill()

    def _start(self, part: object) -> None:
        self._server.stdin.write(f"kit {part}\n" if isinstance(part, int) else f"{part}\n")
        self._server.stdin.flush()
        self._pids[part] = int(self._server.stdout.readline())

    def _after(self, victim: str, accepted: int) -> float:
        """How many messages will have been accepted when the next of these is killed."""
        return accepted + EVENTS_PER_KILL[victim] * self._chance.uniform(0.4, 1.4)

    def _kill_what_is_due(self, accepted: int) -> None:
        now = time.monotonic()
        for victim, due in self._next.items():
            if accepted < due:
                continue
            back = now + self._chance.uniform(*DOWN_S[victim])
            self._next[victim] = self._after(victim, accepted)
            alive = [index for index in self._kits if index not in self._down.kits]
            if victim == "kit" and alive:
                index = self._chance.choice(alive)
                _kill(self._pids.pop(index))
                self._down.kits[index] = back
                self.result.kit_kills += 1
            elif victim == "broker" and self._down.broker is None:
                self._broker.kill()
                self._down.broker = back
                self.result.broker_kills += 1
            elif victim == "platform" and self._down.platform is None:
                _kill(self._pids.pop("platform"))
                self._down.platform = back
                self.result.platform_kills += 1

    def _raise_what_is_due(self) -> None:
        now, down = time.monotonic(), self._down
        if down.broker is not None and now >= down.broker:
            self._broker.start()
            down.broker = None
        if down.platform is not None and now >= down.platform:
            self._start("platform")
            down.platform = None
        for index in [index for index, back in down.kits.items() if now >= back]:
            del down.kits[index]
            self._start(index)

    def _accepted(self) -> int:
        """Messages that outboxes have accepted, as each kit wrote down at once."""
        return sum(
            notes.stat().st_size // NOTE_BYTES
            for index in self._kits
            if (notes := self._plan.notes(index)).exists()
        )

    def _all_delivered(self) -> bool:
        """Whether no kit has anything to say any more, and the platform hears nothing new."""
        if self._down.kits or self._down.platform or self._down.broker:
            return False
        if any(self._ask(index, "SELECT waiting FROM outbox_state") for index in self._kits):
            return False
        if self.result.delivery == Delivery.WATERMARK:
            return True
        before = self._city.stored
        time.sleep(QUIET_S)  # what the broker has taken may still be on its way
        return before == self._city.stored

    def _count(self, accepted: int) -> None:
        self.result.accepted = accepted
        self.result.duplicates = self._city.duplicates
        for index in self._kits:
            kit = kit_id(index)
            stream = self._ask(index, "SELECT stream FROM outbox_state")
            last = self._ask(index, "SELECT next_seq - 1 FROM outbox_state")
            holes = self._city.accounted(kit, stream).missing(1, last)
            self.result.unaccounted += sum(b - a + 1 for a, b in holes)
            notes = [line.split() for line in self._plan.notes(index).read_text("ascii").splitlines()]
            stored = {stream: self._city.kept(kit, stream) for stream, _ in notes}
            self.result.lost += sum(int(seq) not in stored[stream] for stream, seq in notes)
        for trouble in self._city.troubled:
            raise RuntimeError(f"a message breaks the contract: {trouble}")

    def _ask(self, index: int, statement: str) -> object:
        database = self._plan.state(index) / DATABASE
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return connection.execute(statement).fetchone()[0]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
