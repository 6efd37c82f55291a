"""What reaches the card: bytes for each event, for a heartbeat, for an idle day."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pyrage import x25519
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import whole_kit
from agent.app.schemas import DATABASE
from agent.database import CHECKPOINT_FRAMES, PAGE_BYTES
from card import OPTIONS, card
from writes_kit import HOUR_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from card import Card

TARGET_KIB = 24.0  # for each message: what SQLite takes for one that is synced and later deleted
BEGINS_S, EVENT_S, CALM_S = 60.0, 90.0, 30.0
"""Waits: for the first event, for another one, for the last acknowledgement of a start to be written down.
That of an alarm (a slow camera is told after five seconds) waits ten for company."""
EMPTY_S = 3.5  # of the sample, before somebody comes in
STOP_S = 60.0
KIB = 1024
LOG_BYTES = (CHECKPOINT_FRAMES + 300) * (PAGE_BYTES + 24)  # and a commit with pictures beyond


@dataclass
class Result:
    """What the bench came to."""

    mount: str
    events: int
    kib_per_event: float = 0.0
    """The whole life of one, with its updates, its pictures, its clip's rows and all acknowledgements."""
    kib_per_message: float = 0.0
    messages: dict[str, int] = field(default_factory=dict)
    """What these events were made of, by kind."""
    heartbeats: int = 0
    heartbeat_bytes: int = 0
    hours: int = 0
    kib_per_idle_hour: float = 0.0
    kib_per_idle_day: float = 0.0
    seconds: float = 0.0


def main(
    events: Annotated[int, typer.Option(min=1, help="How many.")] = 16,
    heartbeats: Annotated[int, typer.Option(min=1, help="Seconds of nothing but heartbeats.")] = 60,
    hours: Annotated[int, typer.Option(min=1, help="Hours without an event, half a minute each.")] = 6,
    mount: Annotated[str, typer.Option(help="How the card is mounted.")] = OPTIONS,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """`stairwell run` on a card of its own, with the reference broker and a platform that acknowledges.

    The card is ext4 on a loop device; counted is what the device was given, the journal of the file system
    among it. On it lie the database and the keys; clips and manifests, whose size is that of the video, lie
    elsewhere. Events are those of the sample at their own pace, with the agent's defaults: somebody stays for
    twenty seconds. SQLite's log is given its full size first, as it has on a kit after its first forty
    events; it is taken into the database before the first event and after the last, so that what is written
    there, too, is counted.
    Every five seconds ext4 notes in its journal when a file was written last. What that costs is seen with
    `--mount noatime,commit=60`.

    For an idle hour the agent's hours are shortened: what it does once an hour (figures of the view, count of
    what was written, time, tidying) it does each half minute, with a heartbeat a second beside it.

    Needs root's rights, to mount. Exit code 1 if a message costs more than 24 KiB, or a heartbeat anything.
    """
    result, begun = Result(mount, events), time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="stairwell-writes-") as directory,
        Progress(console=Console(stderr=True), disable=as_json) as progress,
        card(Path(directory), mount) as disk,
        whole_kit.city(directory) as city,
    ):
        bench = Bench(disk, city, result, progress)
        bench.count_events()
        bench.count_heartbeats(heartbeats)
        bench.count_hours(hours)
    result.seconds = round(time.monotonic() - begun, 1)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, value in asdict(result).items():
            limit = f"(at most {TARGET_KIB:g})" if name == "kib_per_message" else ""
            table.add_row(name.replace("_", " "), str(value), limit)
        Console().print(table)
    if result.kib_per_message > TARGET_KIB or result.heartbeat_bytes:
        raise typer.Exit(1)


class Bench:
    """One card, one kit after the other on it."""

    def __init__(self, disk: Card, city: whole_kit.City, result: Result, progress: Progress) -> None:
        self.result = result
        self._disk, self._city, self._progress = disk, city, progress
        self._recipient = str(x25519.Identity.generate().to_public())

    def count_events(self) -> None:
        """From the end of one event to the end of the last one."""
        with self._kit("events", str(whole_kit.PEOPLE), heartbeat_s=30):
            self._await_ends(1, BEGINS_S)
            self._fill_log()
            self._take_in_log()
            before, stored = self._disk.written(), len(self._city.stored)
            for number in self._progress.track(range(self.result.events), description="events"):
                self._await_ends(2 + number, EVENT_S)
            self._take_in_log()
            written = self._disk.written() - before
        self.result.kib_per_event = round(written / KIB / self.result.events, 1)
        said = self._city.stored[stored:]
        self.result.kib_per_message = round(written / KIB / len(said), 1)
        self.result.messages = dict(Counter(map(_kind, said)))

    def count_heartbeats(self, seconds: int) -> None:
        """Nothing but those."""
        with self._kit("heartbeats", self._nobody(), heartbeat_s=1):
            self._settle()
            before, heard = self._disk.written(), len(self._city.heartbeats)
            for _ in self._progress.track(range(seconds), description="heartbeats"):
                time.sleep(1.0)
            self.result.heartbeat_bytes = self._disk.written() - before
            self.result.heartbeats = len(self._city.heartbeats) - heard
        if not self.result.heartbeats:
            raise RuntimeError("no heartbeat came, so none can have cost anything")

    def count_hours(self, hours: int) -> None:
        """What is done once an hour, so many times."""
        with self._kit("hours", self._nobody(), heartbeat_s=1, program="writes_kit.py"):
            self._settle()
            self._take_in_log()
            before, told = self._disk.written(), self._figures
            for _ in self._progress.track(range(hours), description="idle hours"):
                time.sleep(HOUR_S)
            self._take_in_log()
            written = self._disk.written() - before
            self.result.hours = self._figures - told
        if not self.result.hours:
            raise RuntimeError("no hour has passed for the kit")
        self.result.kib_per_idle_hour = round(written / KIB / self.result.hours, 1)
        self.result.kib_per_idle_day = round(24 * written / KIB / self.result.hours, 1)

    @property
    def _figures(self) -> int:
        return sum(one.topic.endswith("/stat") for one in list(self._city.stored))

    @contextlib.contextmanager
    def _kit(self, name: str, source: str, *, heartbeat_s: int, program: str = "") -> Iterator[None]:
        """The agent, on that source; it is stopped in order, and must have gone well."""
        directory = self._city.directory
        file = self._city.configure(
            capture={"source": source, "loop": True},
            clips={"recipients": [self._recipient], "dir": str(directory / "clips")},
            backbone={"heartbeat_s": heartbeat_s},
            state={"dir": str(self._disk.place / "state")},
        )
        command = ["-m", "agent"] if not program else [str(Path(__file__).with_name(program))]
        log = directory / f"{name}.log"
        with log.open("w") as output:
            agent = subprocess.Popen(
                [sys.executable, *command, "run", "--config", file],
                env=whole_kit.environment(),
                cwd=directory,
                stderr=output,
            )
            try:
                yield
                agent.terminate()
                code = agent.wait(STOP_S)
            finally:
                agent.kill()
                agent.wait()
        if code != 0:
            raise RuntimeError(f"the agent ended with exit code {code}: {log.read_text()[-2000:]}")

    def _await_ends(self, count: int, timeout_s: float) -> None:
        def ended() -> bool:
            return sum(one.message.get("phase") == "end" for one in list(self._city.stored)) >= count

        whole_kit.wait_for(f"{count} events", ended, timeout_s)

    def _settle(self) -> None:
        """Wait until the start is over and written down."""
        heard = len(self._city.heartbeats)
        whole_kit.wait_for("a heartbeat", lambda: len(self._city.heartbeats) > heard, BEGINS_S)
        time.sleep(CALM_S)
        self._fill_log()

    def _fill_log(self) -> None:
        """Bring the log to its size: until it has that, each commit costs an entry in ext4's journal, too.

        SQLite begins it anew when it has a thousand pages; what lies behind its last frame it does not read.
        """
        log = self._disk.place / "state" / f"{DATABASE}-wal"
        with log.open("ab") as file:
            file.write(bytes(max(0, LOG_BYTES - log.stat().st_size)))
            file.flush()
            os.fsync(file.fileno())

    def _take_in_log(self) -> None:
        """Have what is in the log written into the database, too: else that comes at some other time.

        On a kit a page that many events have changed goes there once for some forty of them.
        """
        path = self._disk.place / "state" / DATABASE
        with contextlib.closing(sqlite3.connect(path)) as connection:
            busy, log, taken = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        if busy or log != taken:
            raise RuntimeError(f"{path}: {taken} of {log} pages of the log were taken into the database")

    def _nobody(self) -> str:
        """The same stairwell while nobody is there."""
        path = self._city.directory / "nobody.mp4"
        if not path.exists():
            subprocess.run(
                ["ffmpeg", "-v", "error", "-t", str(EMPTY_S), "-i", whole_kit.PEOPLE, "-c:v", "libx264",
                 "-g", "10", "-bf", "0", "-an", path],
                check=True,
            )  # fmt: skip
        return str(path)


def _kind(fresh: object) -> str:
    kind = fresh.topic.split("/")[6]
    return f"{kind} {fresh.message.get('phase', '')}".strip()
