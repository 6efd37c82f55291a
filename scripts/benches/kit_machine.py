"""A kit's machine for a bench: a Debian with systemd that keeps what it writes, and can be cut off anywhere.

As `container.py` boots it, but over a disk of its own that outlives the boot, in a network of its own with
one cable to the city's, and with clocks that begin anew at each boot. A cut is SIGKILL of its PID 1, with
which the kernel ends all else: what was written stays, synced or not (what a drive's own cache loses is for
`scripts/bench device --part powercut`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import container
from agent.errors import StairwellError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PACKAGES = (
    "systemd,systemd-sysv,dbus,udev,kmod,python3,network-manager,chrony,openssh-server,nftables,sudo,procps,"
    "iproute2"
)
"""What an official image has, of what the card's scripts and the package need."""
AGENT = "stairwell-agent.service"
STATE = "var/lib/stairwell"
FIRMWARE = "boot/firmware"
CITY_ADDRESS, KIT_ADDRESS, NETWORK = "10.77.9.1", "10.77.9.2", "10.77.9.0/30"
LOOK_S = 0.02
INSIDE_S = 300.0  # for a command in the machine
BOOT_ID, BOOT_COPY, BOOT_UNIT = "/proc/sys/kernel/random/boot_id", "/run/boot-id", "boot-id.service"
OWN_PROC = [
    path.name
    for path in sorted((container.PROJECT / "systemd").glob("*.service"))
    if "\nProtectProc=" in path.read_text("utf-8")
]
LAY_OVER = f"""[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/cp {BOOT_ID} {BOOT_COPY}
ExecStart=/bin/umount {BOOT_ID}
ExecStart=/bin/mount --bind {BOOT_COPY} {BOOT_ID}
"""
ONE_BOOT = {f"/run/systemd/system/{BOOT_UNIT}": LAY_OVER} | {
    f"/run/systemd/system/{unit}.d/boot-id.conf": f"[Service]\nBindReadOnlyPaths={BOOT_COPY}:{BOOT_ID}\n"
    for unit in OWN_PROC
}
"""Files in a machine's memory by which all its processes see one boot's id.

systemd-nspawn(1) lays one over the kernel's, and a unit with a /proc of its own sees the host's below it.
"""


class Networks:
    """The city's network namespace and the kits', with a cable between them."""

    def __init__(self) -> None:
        self.city, self.kit = (f"stairwell-{side}-{os.getpid()}" for side in ("city", "kit"))

    @contextmanager
    def laid(self) -> Iterator[Networks]:
        """There while the block lasts."""
        try:
            for name in (self.city, self.kit):
                call("ip", "netns", "add", name)
            call(
                "ip",
                "-n",
                self.city,
                "link",
                "add",
                "city0",
                "type",
                "veth",
                "peer",
                "eth0",
                "netns",
                self.kit,
            )
            for name, card, address in ((self.city, "city0", CITY_ADDRESS), (self.kit, "eth0", KIT_ADDRESS)):
                call("ip", "-n", name, "link", "set", "lo", "up")
                call("ip", "-n", name, "address", "add", f"{address}/30", "dev", card)
                call("ip", "-n", name, "link", "set", card, "up")
            yield self
        finally:
            for name in (self.city, self.kit):
                subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


class Machine:
    """One kit, from its card on. Use it within `made`."""

    def __init__(self, root: Path, work: Path, network: str) -> None:
        self._lower, self._work, self._network = root, work, network
        self.disk = work / "disk"
        self.boots = 0
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def made(self) -> Iterator[Machine]:
        """With a disk that is as `root` is; the block's end ends the machine and its disk."""
        upper, work = self._work / "upper", self._work / "scratch"
        for path in (self.disk, upper, work):
            path.mkdir(parents=True)
        for name, text in ONE_BOOT.items():
            self._given(name).parent.mkdir(parents=True, exist_ok=True)
            self._given(name).write_text(text)
        options = f"lowerdir={self._lower},upperdir={upper},workdir={work}"
        call("mount", "-t", "overlay", "overlay", "-o", options, self.disk)
        try:
            yield self
        finally:
            self.cut()
            call("umount", "--lazy", self.disk)
            shutil.rmtree(self._work, ignore_errors=True)

    def at(self, path: str) -> Path:
        """A path of the machine, from outside."""
        return self.disk / path.lstrip("/")

    @property
    def up(self) -> bool:
        """Whether its systemd is at work."""
        return self._leader() is not None

    def text(self, path: str) -> str:
        """A file of the machine; empty when there is none."""
        try:
            return self.at(path).read_text("utf-8", "replace")
        except OSError:
            return ""

    def boot(self, words: Sequence[str] = ()) -> None:
        """Power on, with `words` on the kernel's command line."""
        self.boots += 1
        command = ["unshare", "--time", *_zeroed(), "systemd-nspawn"]
        command += ["--quiet", "--register=no", "--keep-unit", "--machine=kit"]
        command += [f"--directory={self.disk}", f"--network-namespace-path=/run/netns/{self._network}"]
        command += ["--capability=all", "--drop-capability=CAP_SYS_TIME", "--boot", "--console=read-only"]
        command += [f"--bind-ro={self._given(path)}:{path}" for path in ONE_BOOT]
        environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        with (self._work / f"console-{self.boots}").open("wb") as console:
            self._process = subprocess.Popen(
                [*command, "--", *words, f"systemd.wants={BOOT_UNIT}", "systemd.show_status=0"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )

    @property
    def runs(self) -> bool:
        """Whether it is on."""
        return self._process is not None and self._process.poll() is None

    def cut(self) -> None:
        """The power goes, whatever it is doing; nothing of it is left."""
        if self._process is not None:
            container.end(self._process)
        self._process = None

    def rebooted(self, timeout_s: float) -> None:
        """Wait until it has asked for a restart, which `boot` then gives it.

        Raises:
            StairwellError: it did not.
        """
        self.until("a restart", lambda: not self.runs, timeout_s)
        code = self._process.returncode if self._process else None
        self._process = None
        if code != container.REBOOT:
            raise StairwellError(f"the kit ended with {code} instead of a restart", fix=self.console())

    def until(self, what: str, condition: Callable[[], object], timeout_s: float) -> float:
        """Look until it holds; the seconds that took.

        Raises:
            StairwellError: it did not in time; the fix tells what the machine said last.
        """
        begun = time.monotonic()
        while not condition():
            if time.monotonic() - begun > timeout_s:
                raise StairwellError(f"{what}: not within {timeout_s:g} s", fix=f"it said: {self.said()}")
            time.sleep(LOOK_S)
        return time.monotonic() - begun

    def run(self, *words: str, timeout_s: float = INSIDE_S) -> subprocess.CompletedProcess[str]:
        """A command in the running machine, as root.

        Raises:
            StairwellError: the machine does not run.
        """
        leader = self._leader()
        if leader is None:
            raise StairwellError("the kit's machine does not run", fix=self.console())
        spaces = ("mount", "uts", "ipc", "net", "pid", "cgroup", "time")
        enter = ["nsenter", f"--target={leader}", *(f"--{space}" for space in spaces)]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [*enter, "--", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            env=environment,
        )

    def active(self, unit: str) -> bool:
        """Whether systemd there calls it so."""
        return (
            self.runs
            and self._leader() is not None
            and not self.run("systemctl", "is-active", unit).returncode
        )

    def said(self) -> str:
        """The end of its journal, or of its console."""
        if self.up:
            return self.run("journalctl", "--no-pager", "--output=cat", "--lines=40").stdout
        return self.console()

    def console(self) -> str:
        """What its last boot wrote to its console, the end of it."""
        path = self._work / f"console-{self.boots}"
        return path.read_text("utf-8", "replace")[-2000:] if path.exists() else ""

    def _given(self, path: str) -> Path:
        """Where a file lies that the machine has at `path`, though not on its disk."""
        return self._work / "given" / path.lstrip("/")

    def _leader(self) -> int | None:
        """Its PID 1, once it is systemd."""
        for child in container.children(self._process) if self._process else ():
            with suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return child
        return None


def _zeroed() -> list[str]:
    """The options of unshare(1) with which the clocks since the machine's start begin now."""
    clocks = {"monotonic": time.CLOCK_MONOTONIC, "boottime": time.CLOCK_BOOTTIME}
    return [f"--{name}=-{int(time.clock_gettime(clock))}" for name, clock in clocks.items()]


def call(*words: object, data: bytes | None = None) -> bytes:
    """What a program of the machine that runs the bench says.

    Raises:
        StairwellError: it is missing, or ended with an error.
    """
    try:
        done = subprocess.run(
            [str(word) for word in words],
            input=data,
            capture_output=True,
            check=False,
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        )
    except FileNotFoundError:
        raise StairwellError(f"{words[0]} is not installed", fix="see README, Benches") from None
    if done.returncode:
        raise StairwellError(
            f"{' '.join(map(str, words))}: {done.stderr.decode(errors='replace').strip()}",
            fix="see what it says",
        )
    return done.stdout
