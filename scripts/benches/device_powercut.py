"""Power cuts: a guest that records and publishes loses its power, again and again; what is left is looked at.

Real are the packaged agent, the guest's kernel (User Mode Linux) with its ext4, the loss of all that was in
memory and of what the drive's cache held (drive.py), the broker, and the link to it, which a cut leaves half
open. Not real: the camera, which is the shipped sample at its own pace, and systemd, for which
guest/powercut.py stands in. A flash chip that loses more than what it was told to write is not modelled.
"""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pyrage import x25519
from rich.console import Console
from rich.progress import track

import container
import powercut_disk
import uml
from agent.app.platform import Platform
from agent.backbone.consumer import Became, Lost, Odd
from agent.errors import StairwellError
from device_package import GUEST, built
from drive import Drive
from findings import Finding
from pki import CA, Authority
from powercut_judge import ON_THE_WAY_S, SYNC_S, Heard, Judge
from reference import PLATFORM, ReferenceBroker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.backbone.consumer import Fresh, Outcome
    from agent.backbone.runs import Runs
    from drive import Cut
    from uml import Guest

SUITES = ("trixie",)
KIT = "t3st00000v"
MODULES = Path("/usr/lib/uml/modules")
WORK = container.PROJECT / "build" / "powercut"
OWNER = 990  # as in guest/powercut.py
ENDED = "the agent ended with"
DISK_BYTES = 256 << 20
INSIDE = Path("opt/bench")
END = "end"
SEED = 7

EARLY_SHARE = 0.25  # of the cuts hit the mount, the recovery or the agent's start
EARLY_WRITES, EARLY_S = 60, 20.0  # at the drive's n-th write after the power came
MIDST_SHARE = 0.5  # of the cuts come at the n-th write or flush from some moment on
MIDST_WRITES, MIDST_S = 12, 10.0
LATE_S = (0.2, 20.0)  # after the first event: the sample's person stays for 22 s, a clip's part has 10 s
EVENT_S = 180.0  # within which an event must be told; 12 s on an idle machine
SETTLE_S = 0.5  # after a cut, until the platform has what the broker has
LAST_S = 20.0  # of the last run, after its first event
NEEDED = {
    "starts": ("cuts", "first_event_s"),
    "messages": ("delivered",),
    "clips": ("announced",),
    "sealing": ("looked_at_mb", "pieces_sought"),
}
"""Figures of each promise that are never 0, not even with a single cut, unless nothing was looked at."""

# Clips are short and few, so that parts begin and end, and old ones go, many times. The sample has a key
# frame each 25 s, a camera one each second: so it is encoded anew.
CONFIGURATION = """
[kit]
id = "{kit}"
[site]
oblast = "51"
city = "odesa"
district = "test"
[capture]
source = "/usr/lib/stairwell/agent/samples/demo_people.mp4"
loop = true
reencode = true
[clips]
recipients = ["{city}", "{escrow}"]
pre_roll_s = 3.0
post_roll_s = 2.0
max_s = 10.0
max_mb = 16.0
reserve_mb = 16.0
[backbone]
host = "{host}"
port = {port}
ca_file = "/{keys}/{ca}"
cert_file = "/{keys}/{kit}.pem"
key_file = "/{keys}/{kit}.key"
delivery = "watermark"
"""


class Listener:
    """The city: the platform, and what it has heard."""

    def __init__(self, broker: ReferenceBroker) -> None:
        self.heard = Heard()
        self.births: dict[str, float] = {}
        """By boot, when its birth came (on this machine's monotonic clock)."""
        self.events: dict[str, float] = {}
        """By boot, when its first event came."""
        self.lock = threading.Lock()
        self.platform = Platform(
            broker.settings(PLATFORM, host=uml.HOST), PLATFORM, self._keep, self._note, ear=self._listen
        )

    def _keep(self, batch: list[Fresh]) -> None:
        with self.lock:
            for fresh in batch:
                self.heard.take(fresh)
                if "/evt/" in fresh.topic:
                    self.events.setdefault(fresh.message["boot"], time.monotonic())

    def _note(self, outcome: Outcome) -> None:
        with self.lock:
            match outcome:
                case Became(message={"state": "online", "boot": boot}):
                    self.births.setdefault(boot, time.monotonic())
                case Lost() | Odd():
                    self.heard.complaints.append(str(outcome))

    def _listen(self, _topic: str, payload: bytes) -> None:
        with self.lock:
            self.heard.listen(payload)


class Ordeal:
    """One kit, and all the cuts that it lives through; `work` is a directory of its own.

    What it starts ends with `stack`.
    """

    def __init__(self, suite: str, work: Path, stack: ExitStack) -> None:
        self._work = work
        self._root = work / "root"
        self._image = work / "disk"
        self._chance = random.Random(SEED)  # noqa: S311 - moments, no keys
        self._machine = uml.Uml(self._root, work)
        city, escrow = (x25519.Identity.generate() for _ in range(2))
        authority = Authority(work / "authority")
        broker_directory = work / "broker"
        broker_directory.mkdir()
        self._broker = ReferenceBroker(broker_directory, authority, uml.HOST)
        stack.callback(shutil.rmtree, self._root, ignore_errors=True)
        self._furnish(suite, authority, [str(key.to_public()) for key in (city, escrow)])
        self._broker.start()
        stack.callback(self._broker.stop)
        self._listener = Listener(self._broker)
        self._listener.platform.start()
        stack.callback(self._listener.platform.close)
        powercut_disk.make(self._image, DISK_BYTES)
        self._drive = Drive(self._image, uml.HOST)
        stack.callback(self._drive.close)
        self.reader = powercut_disk.Reader(work, city)
        self.judge = Judge(self._listener.heard)
        self.first_events: list[float] = []
        """Seconds from the power to the first event at the city."""
        self.births: list[float] = []
        """Seconds from the power to the birth at the city."""
        self.cuts: list[Cut] = []

    @property
    def heard(self) -> Heard:
        """What the city was told."""
        return self._listener.heard

    def cut(self) -> None:
        """Power on, wait, power off at some moment, look."""
        kind = self._chance.random()
        set_to = time.time()
        with self._boot() as (begun, guest):
            if kind < EARLY_SHARE:
                self._drive.arm(self._chance.randint(1, EARLY_WRITES), EARLY_S)
            else:
                self._await_event(begun, guest)
                time.sleep(self._chance.uniform(*LATE_S))
                if kind < EARLY_SHARE + MIDST_SHARE:
                    self._drive.arm(self._chance.randint(1, MIDST_WRITES), MIDST_S)
            at = set_to + time.monotonic() - begun  # by the guest's clock, which it has set only once
        self.cuts.append(self._drive.cut(self._chance.getrandbits(32)))
        self._look(at)

    def end(self) -> None:
        """Power on, work for a while, leave in order, look."""
        with self._boot() as (begun, guest):
            self._await_event(begun, guest)
            time.sleep(LAST_S)
            (self._root / INSIDE / END).touch()
            if not guest.over():
                self.judge.complaints["starts"].append("it did not end in order")
        self._drive.cut(0)
        self._look(None)

    @contextmanager
    def _boot(self) -> Iterator[tuple[float, Guest]]:
        """Power on, and off afterwards; when it was (on this machine's monotonic clock), and the guest."""
        inside = f"/{INSIDE}"
        arguments = [uml.GUEST, uml.HOST, str(self._drive.port), str(DISK_BYTES), f"{inside}/{END}"]
        console = self._work / f"console-{len(self.cuts) + 1}"
        begun = time.monotonic()
        guest = self._machine.boot(["/usr/bin/python3", f"{inside}/init.py", *arguments], console)
        try:
            yield begun, guest
        finally:
            guest.cut()

    def _await_event(self, begun: float, guest: Guest) -> None:
        """Return once this boot's first event was heard, or will not be."""
        listener = self._listener
        while guest.runs and time.monotonic() < begun + EVENT_S:
            time.sleep(0.1)
            with listener.lock:
                boots = [boot for boot, at in listener.births.items() if at > begun]
                events = [listener.events[boot] for boot in boots if boot in listener.events]
            if events:
                self.first_events.append(events[0] - begun)
                self.births.append(listener.births[boots[0]] - begun)
                return
        what = f"no event within {EVENT_S:g} s" if guest.runs else "the guest died by itself"
        self.judge.complaints["starts"].append(f"boot {len(self.cuts) + 1}: {what}")

    def _look(self, cut_at: float | None) -> None:
        """See what lies on the disk; None: after an end in order."""
        time.sleep(SETTLE_S)  # what the broker has, the platform has
        console = self._work / f"console-{len(self.cuts) + (cut_at is None)}"
        ends = [line for line in console.read_text("utf-8", "replace").splitlines() if ENDED in line]
        self.judge.complaints["starts"] += [f"{console.name}: {line}" for line in ends]
        copy = self._work / "look"
        subprocess.run(["cp", "--sparse=always", self._image, copy], check=True)
        left = self.reader.read(copy, orderly=cut_at is None)
        before = self._complaints()
        with self._listener.lock:
            if cut_at is None:
                self.judge.orderly(left)
            else:
                self.judge.cut(left, cut_at)
        if self._complaints() > before:  # for whoever looks for the reason
            subprocess.run(["cp", "--sparse=always", self._image, f"{copy}-{len(self.cuts)}"], check=True)

    def _complaints(self) -> int:
        return sum(map(len, self.judge.complaints.values()))

    def _furnish(self, suite: str, authority: Authority, recipients: list[str]) -> None:
        """The guest's root: a Debian, the package, its configuration, what the bench needs."""
        subprocess.run(["cp", "--archive", container.debian(suite), self._root], check=True)
        deb = built(suite, self._work / "deb")
        subprocess.run(["dpkg-deb", "--extract", deb, self._root], check=True)
        deb.unlink()
        compiled = ["python3", "-I", "-m", "compileall", "-q", "-f", "/usr/lib/stairwell"]
        subprocess.run(["chroot", self._root, *compiled], check=True)
        inside = self._root / INSIDE
        inside.mkdir(parents=True)
        shutil.copy(GUEST / "powercut.py", inside / "init.py")
        shutil.copy(_driver(), inside / "nbd.ko")
        authority.issue(KIT)
        for name in (CA, f"{KIT}.pem", f"{KIT}.key"):
            shutil.copy(authority.directory / name, inside / name)
            shutil.chown(inside / name, OWNER, OWNER)
        (self._root / "var/lib/stairwell").mkdir(exist_ok=True)
        (self._root / "etc/stairwell/agent.toml").write_text(
            CONFIGURATION.format(
                kit=KIT,
                city=recipients[0],
                escrow=recipients[1],
                host=uml.HOST,
                port=self._broker.port,
                keys=INSIDE,
                ca=CA,
            ),
            "utf-8",
        )


def findings_of(suite: str, cuts: int) -> Iterator[Finding]:
    """So many cuts, a last boot that ends in order, and what became of each promise."""
    container.debian(suite)
    begun = time.monotonic()
    with uml.wire(), ExitStack() as stack:  # nobody else has the wire, so nobody else works in WORK
        shutil.rmtree(WORK, ignore_errors=True)
        WORK.mkdir(parents=True)
        ordeal = Ordeal(suite, WORK, stack)
        for _ in track(range(cuts), "cutting the power", console=Console(stderr=True)):
            ordeal.cut()
        ordeal.end()
    yield from _told(suite, ordeal, round(time.monotonic() - begun, 1))


def _told(suite: str, ordeal: Ordeal, took: float) -> Iterator[Finding]:
    heard, judge, reader, cuts = ordeal.heard, ordeal.judge, ordeal.reader, ordeal.cuts
    judge.complaints["messages"] += heard.complaints
    losses = list(judge.losses.values())
    promises = {
        "starts": (
            "after each cut it is back by itself, and tells of the next person",
            {
                "cuts": len(cuts),
                "first_event_s": _middle(ordeal.first_events),
                "first_event_worst_s": _worst(ordeal.first_events),
                "birth_s": _middle(ordeal.births),
                "birth_worst_s": _worst(ordeal.births),
            },
        ),
        "messages": (
            "no message that was given a number is lost, none is unsaid, no number is given twice",
            {
                "delivered": _count(heard.stored),
                "told_by_gaps": _count(heard.excused),
                "on_the_disk_only": _middle(judge.waiting),
                "on_the_disk_only_most": _worst(judge.waiting),
            },
        ),
        "clips": (
            (
                "every announced clip opens and plays; a cut one up to its last sync, and to "
                f"{SYNC_S + ON_THE_WAY_S:g} s before the cut at least"
            ),
            {
                "announced": len(heard.announced),
                "went_by_retention": len(heard.erased),
                "cut": len(losses),
                "loss_s": _middle(losses),
                "loss_worst_s": _worst(losses),
            },
        ),
        "sealing": (
            "no picture lies open anywhere on the disk",
            {
                "looked_at_mb": round(reader.scanned / 1e6),
                "pieces_sought": sum(map(len, reader.samples.values())),
            },
        ),
        "filesystem": (
            "the file system is clean once its journal is replayed",
            {
                "replayed": reader.replayed,
                "writes_in_the_cache": _middle([cut.waiting for cut in cuts]),
                "writes_in_the_cache_most": _worst([cut.waiting for cut in cuts]),
                "writes_lost": sum(cut.lost for cut in cuts),
                "writes_torn": sum(cut.torn for cut in cuts),
                "flushes": sum(cut.flushes for cut in cuts),
            },
        ),
    }
    for number, (check, (promise, figures)) in enumerate(promises.items()):
        complaints = judge.complaints[check] + unseen(check, figures)
        found: dict[str, object] = {**figures, **({"complaints": complaints} if complaints else {})}
        yield Finding(
            "powercut", suite, check, promise, ok=not complaints, s=0 if number else took, found=found
        )


def unseen(check: str, figures: dict[str, object]) -> list[str]:
    """What this promise was not tried on, in words: where there was nothing, nothing can have been broken."""
    return [f"{figure}: none" for figure in NEEDED.get(check, ()) if not figures[figure]]


def _driver() -> Path:
    """The guest kernel's driver of network block devices.

    Raises:
        StairwellError: it is not there.
    """
    found = sorted(MODULES.glob("*/kernel/drivers/block/nbd.ko"))
    if not found:
        raise StairwellError(f"{MODULES}: has no nbd.ko", fix="apt-get install user-mode-linux")
    return found[-1]


def _count(numbers: Runs) -> int:
    return sum(last - first + 1 for first, last in numbers)


def _middle(values: list[float] | list[int]) -> float | None:
    return round(statistics.median(values), 2) if values else None


def _worst(values: list[float] | list[int]) -> float | None:
    return round(max(values), 2) if values else None
