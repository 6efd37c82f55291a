"""A kit takes releases that its city orders: a good one through power cuts, and three that come to nothing.

All of it is real but the board: the order signed by the city's key and heard over the broker, the release
fetched over https through the kit's firewall, its path unit and root's unit under systemd, the guard of
trials, the platform whose acknowledgement ends one. The releases are the package's own files under higher
counters; /opt/stairwell is a file system of its own, which can be full.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit_depot import stairwell, words_of
from kit_machine import AGENT, CITY_ADDRESS, FIRMWARE, call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from findings import Finding
    from kit import Run
    from kit_machine import Machine
    from kit_orders import Orders

HOME = "opt/stairwell"
ROOM_MB, LEFT_MB = 1600, 300  # two releases and what is copied; less than one release, more than its bundle
END_S = 1500.0  # quiet, fetching, installing, another quiet, the guard's minute, on a busy machine
READY_S = 180.0  # a board's start, or the unit's pause and another start, on a busy machine
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}


@dataclass(frozen=True, slots=True)
class Release:
    """A signed release, in the city's store."""

    path: Path
    version: str
    counter: int

    @property
    def name(self) -> str:
        """As the kit calls it."""
        return f"{self.version}-{self.counter}"

    @property
    def args(self) -> dict[str, Any]:
        """Of an order to take it."""
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        url = f"https://{CITY_ADDRESS}/{self.path.name}"
        return {"url": url, "sha256": digest, "version": self.version}


def released(package: Path, suite: str, key: Path, store: Path) -> Iterator[Release]:
    """Releases of the package's files, each newer than the one before, and than the package."""
    tree = store.parent / "tree"
    call("dpkg-deb", "--extract", package, tree)
    files = tree / "usr/lib/stairwell"
    full = call("dpkg-deb", "--field", package, "Version").decode().strip()
    version, counter = full.split("+")[0], int((files / "counter").read_text())
    what = ("--version", version, "--suite", suite, "--arch", "amd64", "--python", PYTHONS[suite])
    while True:
        counter += 1
        path = store / f"{counter}.release"
        how = ("--counter", counter, "--key", key, "--level", 0, "--out", path)
        stairwell("ca", "sign-release", files, *what, *how)
        yield Release(path, version, counter)


@dataclass(frozen=True, slots=True)
class Updates:
    """A kit that works, and the city that orders. `releases` yields one after the other."""

    run: Run
    machine: Machine
    orders: Orders
    releases: Iterator[Release]

    def findings(self) -> Iterator[Finding]:
        """The first release is tried in all ways; the second is one that does not live."""
        first = next(self.releases)
        yield self._refused("update_damaged", "a damaged release is refused", self._damaged(first))
        with self._filled():
            yield self._refused("update_full", "without room none is taken", first)
        yield self._taken(first)
        yield self._taken_back(next(self.releases), first)

    def _refused(self, check: str, promise: str, release: Release) -> Finding:
        begun, before = time.monotonic(), self._stands
        pid = self._pid()
        answer = self._ended(self.orders.give("update", release.args))
        ok = (answer["status"], answer["code"]) == ("failed", "not-installed") and self._stands == before
        same = self._pid() == pid
        return self._finding(check, f"{promise}, and the agent goes on", ok and same, begun, answer)

    def _taken(self, release: Release) -> Finding:
        """The power goes while it is unpacked, and once it is switched to; the order goes on by itself."""
        begun, req = time.monotonic(), self.orders.give("update", release.args)
        took = {}
        for name, seen in (
            ("unpacking", (self._home / "releases/incoming").exists),
            ("switched", (self._home / "trial").exists),
        ):
            took[f"{name}_s"] = round(self.machine.until(name, seen, END_S), 1)
            self._cut()
        answer = self._ended(req)
        ok = (answer["status"], answer["code"]) == ("ok", "confirmed") and self._stands == release.name
        promise = "a good release is installed and confirmed, though the power goes in the midst of it, twice"
        return self._finding("update_good", promise, ok, begun, answer, **took)

    def _taken_back(self, release: Release, before: Release) -> Finding:
        """Each of its starts is killed at once, so that nobody can have acknowledged anything."""
        begun, req = time.monotonic(), self.orders.give("update", release.args)
        self.machine.until("the trial", lambda: self._starts(release) > 0, END_S)
        installed = time.monotonic()
        for start in (1, 2):
            self.machine.until(f"start {start}", lambda start=start: self._starts(release) == start, READY_S)
            self.machine.until("a process", self._killed, READY_S)
        self.machine.until("the way back", lambda: self._stands == before.name, READY_S)
        back_s = time.monotonic() - installed
        answer = self._ended(req)
        told = (answer["status"], answer["code"]) == ("failed", "rolled-back")
        ok = told and self._stands == before.name and self.machine.active(AGENT)
        promise = "a release whose first two starts are killed is taken back"
        return self._finding("update_bad", promise, ok, begun, answer, back_s=round(back_s, 1))

    def _damaged(self, release: Release) -> Release:
        """As `release`, with a byte of its files another one."""
        path = release.path.with_name("damaged.release")
        shutil.copy(release.path, path)
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 1]))
        return Release(path, release.version, release.counter)

    @contextmanager
    def _filled(self) -> Iterator[None]:
        """/opt/stairwell is all but full meanwhile."""
        filler = self._home / "filler"
        free_mb = shutil.disk_usage(self._home).free >> 20
        call("fallocate", "--length", f"{free_mb - LEFT_MB}MiB", filler)
        try:
            yield
        finally:
            filler.unlink()

    def _cut(self) -> None:
        self.machine.cut()
        self.machine.boot(words_of(self.machine.at(FIRMWARE)))
        self.machine.until("the agent", lambda: self.machine.active(AGENT), READY_S)

    def _ended(self, req: str) -> dict[str, Any]:
        answers: list[dict[str, Any]] = []

        def answered() -> bool:
            answers.extend(found for found in [self.orders.end(req)] if found)
            return bool(answers)

        self.machine.until("the last answer", answered, END_S)
        return answers[0]

    def _finding(
        self, check: str, promise: str, ok: object, begun: float, answer: dict[str, Any], **found: object
    ) -> Finding:
        said = {name: answer.get(name) for name in ("status", "code", "text")}
        return self.run.finding(check, promise, ok, time.monotonic() - begun, **said, **found)

    def _starts(self, release: Release) -> int:
        """How often the release on trial was started; 0 when it is not on trial."""
        words = self.machine.text(f"{HOME}/trial").split()
        return int(words[3]) if words[:1] == [release.name] else 0

    def _killed(self) -> bool:
        """Whether there was a process of the agent's to kill."""
        words = ("kill", "--signal=KILL", "--kill-who=main", AGENT)
        return not self.machine.run("systemctl", *words).returncode

    def _pid(self) -> str:
        return self.machine.run("systemctl", "show", "--property=MainPID", AGENT).stdout

    @property
    def _stands(self) -> str | None:
        """The release that the kit runs; None: the package."""
        link = self._home / "current"
        return link.readlink().name if link.is_symlink() else None

    @property
    def _home(self) -> Path:
        return self.machine.at(HOME)


@contextmanager
def roomy(machine: Machine) -> Iterator[None]:
    """Give a machine that is off a file system of its own for /opt/stairwell, in memory, for the block."""
    place = machine.at(HOME)
    place.mkdir(parents=True, exist_ok=True)
    call("mount", "-t", "tmpfs", "-o", f"size={ROOM_MB}m,mode=755", "tmpfs", place)
    try:
        yield
    finally:
        machine.cut()
        call("umount", "--lazy", place)
