"""A city's kits on one broker: what connecting costs, what a burst takes, how a broker's death ends."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from agent.device.health import free_bytes
from city import City
from fleet_kits import Shelf, serve
from light_kit import kit_id
from pki import Authority
from reference import PLATFORM, ReferenceBroker

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess

FORKS = multiprocessing.get_context("forkserver")  # imports once, and forks before there are threads
PER_PROCESS = 50  # three threads each; they share one interpreter's lock, and select() takes 1024 files
DOWN_S = 5.0
MINUTES = 3.0  # at most for each phase
LOOK_S = 0.1
MEMORY = Path("/dev/shm")  # noqa: S108 - a thousand databases on one disk would measure the disk
KIT_BYTES = 4 << 20  # that a kit keeps here at most: its database with the log, which is cut back to this
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
TARGETS = {"connect_cpu_ms": 2.5, "lost": 0, "recovered_99_s": 30.0}


@dataclass
class Result:
    """What the bench came to; seconds unless the name says else."""

    kits: int
    connect_min_s: float = 0.0
    connect_median_s: float = 0.0
    connect_max_s: float = 0.0
    connect_cpu_ms: float = 0.0
    """CPU of the broker for each connection with TLS, its subscriptions and its birth."""
    rss_mb: float = 0.0
    steady_cpu_percent: float = 0.0
    heartbeats_per_s: float = 0.0
    burst: int = 0
    burst_s: float = 0.0
    burst_cpu_s: float = 0.0
    """CPU of the broker for all of the burst: in from the kits, out to the platform, and the acks back."""
    recovered_99_s: float = 0.0
    """From when the broker listens again until 99 of 100 kits are connected."""
    recovered_100_s: float = 0.0
    caught_up_s: float = 0.0
    """From then until all that was said meanwhile is stored."""
    duplicates: int = 0
    lost: int = 0
    seconds: float = 0.0


def main(
    kits: Annotated[int, typer.Option(min=1, help="How many.")] = 1000,
    steady: Annotated[float, typer.Option(min=1, help="Seconds of calm before the burst.")] = 45.0,
    heartbeat: Annotated[float, typer.Option(min=1, help="Seconds between a kit's heartbeats.")] = 30.0,
    burst: Annotated[int, typer.Option(min=1, help="Messages said at once, by all kits together.")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Connect all kits at once, let them be calm, let them all speak, kill the broker for five seconds.

    The kits have the agent's own database, outbox, courier and link, a certificate each, and the agent's own
    waits; camera and detector they have not. The broker is Debian's Mosquitto with the reference
    configuration; the platform is the reference consumer, which acknowledges what it has stored. Kits, broker
    and platform share this machine: times from the outside are those of the whole, the broker's CPU its own.

    Exit code 1 if a message is lost, a connection costs the broker more than 2.5 ms of CPU, or fewer than 99
    of 100 kits are back 30 s after the broker is.
    """
    begun = time.monotonic()
    console = Console(stderr=True)
    room = free_bytes(MEMORY) if os.access(MEMORY, os.W_OK) else None
    where = MEMORY if room is not None and room > kits * KIT_BYTES else None
    with tempfile.TemporaryDirectory(prefix="stairwell-fleet-", dir=where) as directory:
        with Progress(console=console, disable=as_json) as progress:
            bench = Bench(Path(directory), kits, heartbeat, progress)
            try:
                bench.run(steady, burst)
            finally:
                bench.close()
        result = bench.result
    result.seconds = round(time.monotonic() - begun, 1)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, value in asdict(result).items():
            limit = TARGETS.get(name)
            table.add_row(name.replace("_", " "), str(value), "" if limit is None else f"(at most {limit})")
        Console().print(table)
    if any(getattr(result, name) > limit for name, limit in TARGETS.items()):
        raise typer.Exit(1)


class Bench:
    """Broker, platform and shelves of kits."""

    def __init__(self, directory: Path, kits: int, heartbeat_s: float, progress: Progress) -> None:
        self.result = Result(kits)
        self._directory = directory
        self._heartbeat_s = heartbeat_s
        self._progress = progress
        self._said = 0
        self._authority = Authority(directory / "keys")
        self._broker = ReferenceBroker(directory, self._authority)
        self._city = City(directory / "city")
        self._platform = self._city.platform(self._broker.settings(PLATFORM), PLATFORM, acknowledge=True)
        self._shelves: list[tuple[ForkServerProcess, Connection]] = []

    def run(self, steady_s: float, burst: int) -> None:
        """All phases."""
        self._make_kits()
        self._broker.start()
        self._platform.start()
        if not self._platform.listening(30):
            raise RuntimeError("the broker takes no subscription of the platform")
        self._connect()
        self._stay(steady_s)
        self._speak(burst)
        self._die()
        self._count()

    def close(self) -> None:
        """End everything."""
        for process, _ in self._shelves:
            process.kill()
            process.join()
        self._platform.close()
        self._broker.kill()

    def _make_kits(self) -> None:
        kits, keys = self.result.kits, str(self._authority.directory)
        for index in self._track(range(kits), "certificates"):
            self._authority.issue(kit_id(index))
        for first in range(0, kits, PER_PROCESS):
            count = min(PER_PROCESS, kits - first)
            shelf = Shelf(str(self._directory), self._broker.port, keys, first, count, self._heartbeat_s)
            ours, theirs = FORKS.Pipe()
            process = FORKS.Process(target=serve, args=(shelf, theirs), daemon=True)
            process.start()
            theirs.close()
            self._shelves.append((process, ours))
        for _, orders in self._track(self._shelves, "kits made"):
            orders.recv()

    def _connect(self) -> None:
        before = self._cpu_s()
        self._order({"do": "connect"})
        answers = self._await_connected("connected")
        self.result.connect_cpu_ms = round(1000 * (self._cpu_s() - before) / self.result.kits, 2)
        took = [s - b for answer in answers for b, s in zip(answer["began"], answer["since"], strict=True)]
        self.result.connect_min_s = round(min(took), 2)
        self.result.connect_median_s = round(statistics.median(took), 2)
        self.result.connect_max_s = round(max(took), 2)

    def _stay(self, seconds: float) -> None:
        cpu, pulses, began = self._cpu_s(), self._city.pulses, time.monotonic()
        for _ in self._track(range(math.ceil(seconds)), "calm"):
            time.sleep(1.0)
        took = time.monotonic() - began
        self.result.steady_cpu_percent = round(100 * (self._cpu_s() - cpu) / took, 2)
        self.result.heartbeats_per_s = round((self._city.pulses - pulses) / took, 1)
        status = Path(f"/proc/{self._broker.pid}/status").read_text("ascii")
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
        self.result.rss_mb = round(int(line.split()[1]) / 1024, 1)

    def _speak(self, burst: int) -> None:
        each = math.ceil(burst / self.result.kits)
        self.result.burst = each * self.result.kits
        began, cpu = time.monotonic(), self._cpu_s()
        self._say(each)
        self._await_stored("burst stored")
        self.result.burst_s = round(time.monotonic() - began, 2)
        self.result.burst_cpu_s = round(self._cpu_s() - cpu, 2)

    def _die(self) -> None:
        """The broker is killed, every kit says one thing meanwhile."""
        self._broker.kill()
        until = time.monotonic() + DOWN_S
        self._say(1)
        for _ in self._track(range(math.ceil(DOWN_S)), "broker down"):
            time.sleep(max(0.0, min(1.0, until - time.monotonic())))
        self._broker.start()
        up = time.monotonic()
        answers = self._await_connected("back")
        back = sorted(max(0.0, since - up) for answer in answers for since in answer["since"])
        self.result.recovered_99_s = round(back[math.ceil(0.99 * len(back)) - 1], 2)
        self.result.recovered_100_s = round(back[-1], 2)
        self._await_stored("caught up")
        self.result.caught_up_s = round(time.monotonic() - up, 2)

    def _count(self) -> None:
        streams = [stream for answer in self._order({}) for stream in answer["streams"]]
        each = self._said // self.result.kits
        for index, stream in enumerate(streams):
            holes = self._city.kept(kit_id(index), stream).missing(1, each)
            self.result.lost += sum(last - first + 1 for first, last in holes)
        self.result.duplicates = self._city.duplicates
        for trouble in self._city.troubled:
            raise RuntimeError(f"a message breaks the contract: {trouble}")
        if self._platform.error is not None:
            raise self._platform.error

    def _say(self, each: int) -> None:
        self._order({"do": "say", "each": each})
        self._said += each * self.result.kits

    def _order(self, order: dict[str, Any]) -> list[dict[str, Any]]:
        """Give every process an order; their answers."""
        for _, orders in self._shelves:
            orders.send(order)
        return [orders.recv() for _, orders in self._shelves]

    def _await_connected(self, title: str) -> list[dict[str, Any]]:
        task = self._progress.add_task(title, total=self.result.kits)
        until = time.monotonic() + 60 * MINUTES
        while True:
            answers = self._order({})
            there = sum(since is not None for answer in answers for since in answer["since"])
            self._progress.update(task, completed=there)
            if there == self.result.kits:
                return answers
            if time.monotonic() > until:
                raise RuntimeError(f"after {MINUTES} minutes {self.result.kits - there} kits are not {title}")
            time.sleep(LOOK_S)

    def _await_stored(self, title: str) -> None:
        task = self._progress.add_task(title, total=self._said)
        until = time.monotonic() + 60 * MINUTES
        while (stored := self._city.stored) < self._said and time.monotonic() < until:
            self._progress.update(task, completed=stored)
            time.sleep(LOOK_S)
        self._progress.update(task, completed=stored)

    def _track(self, things: Any, title: str) -> Any:  # noqa: ANN401 - as rich has it
        return self._progress.track(things, description=title)

    def _cpu_s(self) -> float:
        """CPU time of the broker: fields 14 and 15 of proc(5), utime and stime."""
        fields = Path(f"/proc/{self._broker.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
