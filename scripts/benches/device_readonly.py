"""A kit with a read-only root, from its card on: installed, sealed, used, opened for a repair, closed again.

Its own scripts install it, with the power cut in between.

Real are the card's files, scripts and units, the package, systemd, a kernel (User Mode Linux) with its ext4
and overlay, and the table of partitions. Not real: the city, whose part of first boot guest/readonly.py
plays, the camera, and the board's firmware: the kernel's command line is the bench's. What was written before
a cut is on the drive: what a drive's own cache loses is for the part `powercut`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import container
import uml
from agent.card.boot import Boot
from agent.card.content import City, content
from agent.card.image import System, layout
from agent.card.kits import Kits, Secrets
from agent.card.package import AGENT, Package
from agent.device.enrolfile import EnrolFile
from agent.errors import StairwellError
from device_package import GUEST, built, recipient
from findings import Finding, of_lines
from pki import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITES = ("bookworm", "trixie")
PACKAGES = (
    "systemd,systemd-sysv,dbus,udev,kmod,fdisk,e2fsprogs,dosfstools,python3,mosquitto,mosquitto-clients,"
    "network-manager,chrony,openssh-server,nftables,sudo,procps,iproute2"
)
WORK = container.PROJECT / "build" / "readonly"
KIT = "t3st00000v"
MODULES = Path("/usr/lib/uml/modules")
SECTOR = 512
BOOT_START, BOOT_SECTORS = 8192, 1 << 20  # 512 MiB, as the official image has it
ROOT_START, ROOT_SECTORS = BOOT_START + BOOT_SECTORS, 3 << 20  # 1.5 GiB
CARD_BYTES = 8 << 30  # sparse
SYSTEM_GB = 4
CUTS = (
    "partitions:",
    "making its file system",
    "settings of the system",
    "stairwell-card: packages",
    "stairwell-card: data partition",
    "stairwell-card: services",
)
"""Words of the card's installation after which the power is cut, each once."""
INSTALLED_S = 900.0
CITY = f"""
[time]
ntp = ["127.0.0.1"]
[firewall]
management = []
servers = ["127.0.0.1/32"]
[ssh]
user_ca = "@user_ca@"
[camera]
overlay = "none"
[root]
read_only = true
system_gb = {SYSTEM_GB}
"""
FSTAB = """\
/dev/ubda1  /boot/firmware  vfat  defaults          0  2
/dev/ubda2  /               ext4  defaults,noatime  0  1
"""
UNIT = """[Unit]
After=multi-user.target stairwell-agent.service
[Service]
Type=exec
ExecStart=/usr/bin/python3 /opt/bench-program/program.py
StandardOutput=journal+console
[Install]
WantedBy=multi-user.target
"""


class Kit:
    """A kit's card and the guest that it is put into."""

    def __init__(self, suite: str) -> None:
        self._card, self._share = WORK / "card", WORK / "share"
        self._share.mkdir(parents=True)
        self._log = self._share / "log"
        self._machine = uml.Uml(WORK, WORK)
        self._starts = 0
        _make_card(suite, self._card)
        recipient(self._share)

    def install(self) -> int:
        """Start it until its card is installed, with the power cut on the way; how often it was."""
        self._step("install")
        for cuts, word in enumerate(CUTS):
            if not self._run(until=word):
                return cuts
        self._run()
        return len(CUTS)

    def start(self, step: str) -> None:
        """Power on, until it has switched itself off."""
        self._step(step)
        if not self._run():
            raise StairwellError(f"{step}: it does not switch itself off", fix=f"see {self._console()}")

    def root_digest(self) -> str:
        """SHA-256 of every byte of the system's partition."""
        digest = hashlib.sha256()
        with self._card.open("rb") as file:
            file.seek(ROOT_START * SECTOR)
            rest = SYSTEM_GB << 30
            while rest and (block := file.read(min(rest, 16 << 20))):
                digest.update(block)
                rest -= len(block)
        return digest.hexdigest()

    def findings(self, suite: str) -> Iterator[Finding]:
        """What the guest has found, all starts together."""
        yield from of_lines("readonly", suite, self._log.read_text("utf-8") if self._log.exists() else "")

    def _step(self, name: str) -> None:
        (self._share / "step").write_text(name)

    def _console(self) -> Path:
        return WORK / f"console-{self._starts}"

    def _run(self, until: str | None = None) -> bool:
        """Power on, until `until` is read on the console and the power is cut, or the guest has ended."""
        self._starts += 1
        end = time.monotonic() + INSTALLED_S
        guest = self._machine.boot_card(self._card, self._share, self._console())
        try:
            while guest.runs:
                if until and until in self._console().read_text("utf-8", "replace"):
                    return True
                if time.monotonic() > end:
                    raise StairwellError(f"no end within {INSTALLED_S:g} s", fix=f"see {self._console()}")
                time.sleep(0.05)
        finally:
            guest.cut()
        return until is None


def findings_of(suite: str) -> Iterator[Finding]:
    """Installed through power cuts, sealed, used, restarted, opened, closed."""
    shutil.rmtree(WORK, ignore_errors=True)
    begun = time.monotonic()
    kit = Kit(suite)
    cuts = kit.install()
    yield Finding(
        "readonly",
        suite,
        "installs",
        "cut at each step, the card's installation goes on and comes to its end",
        ok=cuts == len(CUTS),
        s=round(time.monotonic() - begun, 1),
        found={"cuts": cuts},
    )
    before = kit.root_digest()
    kit.start("sealed")
    kit.start("again")
    after = kit.root_digest()
    kit.start("open")
    kit.start("closed")
    yield from kit.findings(suite)
    yield Finding(
        "readonly",
        suite,
        "writes_nothing",
        "two starts, an event, a clip, a day's timers: no byte of the system's partition has changed",
        ok=before == after,
        s=0.0,
        found={"sha256": before[:16], "bytes": SYSTEM_GB << 30},
    )


def _make_card(suite: str, card: Path) -> None:
    """As prepare-card makes it, but of a Debian for this machine: boot partition, root, table."""
    root = container.ROOTS / f"{suite}-card"
    if not root.exists():
        container.bootstrap(root, suite, "amd64", PACKAGES)
    tree = WORK / "root"
    subprocess.run(["cp", "--archive", root, tree], check=True)
    with card.open("wb") as file:
        file.truncate(CARD_BYTES)
    table = f"label: dos\nlabel-id: 0x4e639091\nstart={BOOT_START},size={BOOT_SECTORS},type=c\n"
    table += f"start={ROOT_START},size={ROOT_SECTORS},type=83\n"
    _run("sfdisk", "-q", card, text=table)
    _run("mkfs.vfat", "-F", 32, "--offset", BOOT_START, card, BOOT_SECTORS // 2)
    boot = Boot(card, layout(card).boot.start)
    boot.write("config.txt", b"[all]\n")
    boot.write("cmdline.txt", b"root=/dev/ubda2 rootwait resize\n")
    files = content(_city(suite), _enrolment(), System(suite, cloud_init=False), "", boot).files  # type: ignore[arg-type]  # a name of SUITES
    for name, data in files.items():
        boot.write(name, data)
    begin = WORK / "begin"
    begin.write_bytes(boot.read("stairwell/begin") or b"")
    _run("sh", begin, STAIRWELL_ROOT=str(tree))
    _furnish(tree)
    ext4 = WORK / "ext4"
    with ext4.open("wb") as file:
        file.truncate(ROOT_SECTORS * SECTOR)
    _run("mkfs.ext4", "-q", "-F", "-d", tree, ext4)
    _run(
        "dd",
        f"if={ext4}",
        f"of={card}",
        "bs=4M",
        f"seek={ROOT_START * SECTOR}",
        "oflag=seek_bytes",
        "conv=notrunc,sparse",
    )
    ext4.unlink()
    shutil.rmtree(tree)


def _furnish(tree: Path) -> None:
    """What the guest's kernel and this bench need in its root."""
    (tree / "etc/fstab").write_text(FSTAB)
    for name in ("boot/firmware", "mnt/host", "opt/bench-program"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    for kernel in MODULES.iterdir():
        shutil.copytree(kernel, tree / "lib/modules" / kernel.name, symlinks=True)
        _run("chroot", tree, "depmod", kernel.name)
    # No udev event loads them there: no device asks for a file system.
    (tree / "etc/modules-load.d/bench.conf").write_text(
        "overlay\nvfat\nnls_cp437\nnls_ascii\nnls_iso8859-1\n"
    )
    # Its kernel has no tables for both versions of IP at once (NF_TABLES_INET); tests check the firewall.
    without = tree / "etc/systemd/system/nftables.service.d/bench.conf"
    without.parent.mkdir()
    without.write_text("[Unit]\nConditionPathExists=/of-a-kit\n")
    for source, name in (("readonly.py", "program.py"), ("machine.py", "machine.py")):
        shutil.copy(GUEST / source, tree / "opt/bench-program" / name)
    (tree / "etc/systemd/system/bench.service").write_text(UNIT)
    wants = tree / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "bench.service").symlink_to("../bench.service")


def _city(suite: str) -> City:
    key = WORK / "user_ca"
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    settings = WORK / "kits.toml"
    settings.write_text(CITY.replace("@user_ca@", key.with_suffix(".pub").read_text().strip()))
    kits = Kits.read(settings)
    deb = built(suite, WORK / "deb")
    package = Package(deb, AGENT, hashlib.sha256(deb.read_bytes()).hexdigest())
    return City(kits, Secrets.read(kits, WORK), (package,))


def _enrolment() -> EnrolFile:
    authority = Authority(WORK / "authority")
    return EnrolFile(
        kit=KIT,
        claim="0123456789abcdefghjkmnpqrs",
        claim_expires="2099-01-01T00:00:00Z",
        url="https://127.0.0.1:8443",
        ca=(authority.directory / "ca.pem").read_text(),
    )


def _run(*words: object, text: str | None = None, **environment: str) -> None:
    done = subprocess.run(
        [str(word) for word in words],
        input=text,
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", **environment},
    )
    if done.returncode != 0:
        raise StairwellError(f"{words[0]}: {done.stderr.strip()}", fix="see what it says")
