"""A city's depot for a bench, by the commands of a depot: authority, register, enrolment, broker, cards.

The city's servers run in a network namespace of their own, to which the kits have a cable.
"""

from __future__ import annotations

import getpass
import json
import re
import shutil
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pyrage import x25519

import container
from agent.card.boot import Boot
from agent.city.office import Office
from agent.city.settings import CitySettings
from agent.device.enrolfile import EnrolFile
from agent.errors import StairwellError
from city import City
from kit_camera import CAMERA
from kit_machine import CITY_ADDRESS, NETWORK, call
from reference import ACL, CONF, PLATFORM, placed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.city.registry import Registry

ENROL_PORT, BROKER_PORT = 8443, 8883
SECTOR = 512
BOOT_START, BOOT_SECTORS = 8192, 1 << 20  # 4 MiB and 512 MiB, as the official image has them
ROOT_START, ROOT_SECTORS = BOOT_START + BOOT_SECTORS, 64 * 1024
START_S = 30.0
CMDLINE = (
    "console=serial0,115200 console=tty1 root=PARTUUID=4e639091-02 rootfstype=ext4 fsck.repair=yes rootwait "
    "quiet init=/usr/lib/raspberrypi-sys-mods/firstboot\n"
)
CITY = f"""
[time]
ntp = ["{CITY_ADDRESS}"]
[firewall]
management = ["{NETWORK}"]
servers = ["{CITY_ADDRESS}/32"]
[ssh]
user_ca = "@user_ca@"
[camera]
overlay = "none"
"""
DESK, EAR = "desk", "ear"
DESKS = f"""
user {DESK}
topic write bm/v1/+/+/+/+/cmd/#
user {EAR}
topic read bm/v1/+/+/+/+/res/#
"""
"""Of the ACL: who gives orders and who hears the answers, beside the platform."""
HEAD = "kit,oblast,city,district,katotth,precinct,building,entrance,floor,purpose,retention_h\n"
ROW = ",51,odesa,kyivskyi,,,вулиця Прикладна {n},{entrance},1,безпека мешканців,72\n"


def stairwell(*words: object) -> str:
    """What a command of ours prints.

    Raises:
        StairwellError: it ended with an error.
    """
    command = [sys.executable, "-m", "agent", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=container.PROJECT)
    if done.returncode:
        raise StairwellError(f"stairwell {words[0]}: {done.stderr.strip()}", fix="see what it says")
    return done.stdout


def rows(count: int) -> str:
    """An inventory of so many kits, as CSV."""
    return HEAD + "".join(ROW.format(n=1 + n // 4, entrance=1 + n % 4) for n in range(count))


class Depot:
    """The depot in a directory of its own."""

    def __init__(self, work: Path) -> None:
        self.work, self.directory = work, work / "city"
        self.claims, self.cards = work / "claims", work / "cards"
        self.passphrase, self.release_key = work / "passphrase", work / "release.key"
        self._kits = work / "kits.toml"

    def found(self) -> None:
        """Make the city, the papers of its broker and its programs, and the key that signs releases."""
        self.work.mkdir(parents=True, exist_ok=True)
        self.passphrase.write_text("bench\n")
        recipient = x25519.Identity.generate().to_public()
        where = ("--url", f"https://{CITY_ADDRESS}:{ENROL_PORT}", "--broker", CITY_ADDRESS)
        papers = ("--passphrase-file", self.passphrase, "--city", self.directory)
        stairwell("ca", "init", "--name", "odesa", *where, "--recipient", recipient, *papers)
        stairwell("ca", "issue", "broker", "--host", CITY_ADDRESS, "-o", self.work, *papers)
        for name in (PLATFORM, DESK, EAR):
            stairwell("ca", "issue", name, "-o", self.work, *papers)
        key = self.work / "user_ca"
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        self._kits.write_text(CITY.replace("@user_ca@", key.with_suffix(".pub").read_text().strip()))
        public = stairwell("ca", "release-key", "--key", self.release_key, "--open-key").strip()
        settings = CitySettings.read(self.directory)
        settings.model_copy(update={"release_keys": (public,)}).write(self.directory)

    def take_in(self, count: int) -> list[str]:
        """Kits of a list; their ids."""
        path = self.work / "inventory.csv"
        path.write_text(rows(count), "utf-8")
        self.ask("import", path)
        return [kit.kit for kit in self.registry.kits()]

    def claim(self, *kits: str) -> None:
        """The files of their cards; the camera of these kits is a recorded video."""
        self.ask("claim", *kits, "-o", self.claims)
        for kit in kits:
            path = self.claims / f"{kit}.toml"
            file = EnrolFile.read(path)
            capture: dict[str, str | int | float | bool | list[str]] = {"source": CAMERA, "loop": True}
            path.write_text(
                file.model_copy(update={"settings": {**file.settings, "capture": capture}}).text(), "utf-8"
            )

    def prepare(self, kit: str, image: Path, package: Path) -> Path:
        """The kit's card, by scripts/prepare-card."""
        options = ("--claims", self.claims, "--kits", self._kits, "--package", package, "--to", self.cards)
        script = container.PROJECT / "scripts" / "prepare-card"
        call(script, image, kit, *options, "--cache", self.work / "images", "--quiet")
        return self.cards / f"{kit}.img"

    def ask(self, *words: object) -> str:
        """What a command of `stairwell fleet` prints."""
        return stairwell("fleet", *words, "--city", self.directory)

    def exported(self) -> Path:
        """The list as the register has it."""
        path = self.work / "exported.csv"
        self.ask("export", "-o", path)
        return path

    def certificates(self, kit: str) -> list[dict[str, str]]:
        """What was given to a kit."""
        given: list[dict[str, str]] = json.loads(
            stairwell("ca", "show", kit, "--json", "--city", self.directory)
        )
        return given

    @property
    def registry(self) -> Registry:
        """The register, to look at."""
        return Office.open(self.directory, None).registry

    @property
    def city(self) -> City:
        """What the platform has stored."""
        return City(self.work / "platform")

    @contextmanager
    def serving(self, network: str) -> Iterator[None]:
        """Enrolment, broker and platform in the network namespace `network`, while the block lasts."""
        enter = ["ip", "netns", "exec", network]
        ours = [*enter, sys.executable]
        listen = ["--listen", f"{CITY_ADDRESS}:{ENROL_PORT}"]
        papers = ["--passphrase-file", str(self.passphrase), "--city", str(self.directory)]
        commands = {
            "broker": [*enter, _mosquitto(), "-c", str(self._broker())],
            "enrolment": [*ours, "-m", "agent", "enrol", "serve", *listen, *papers],
            PLATFORM: [*ours, str(Path(__file__).with_name("kit_platform.py")), str(self.work)],
        }
        programs: list[subprocess.Popen[bytes]] = []
        try:
            for name, command in commands.items():
                with (self.work / f"{name}.log").open("wb") as log:
                    programs.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=container.PROJECT))
            yield
        finally:
            for program in programs:
                program.terminate()
            for program in programs:
                program.wait(START_S)

    def _broker(self) -> Path:
        store, config, acl = self.work / "store", self.work / "mosquitto.conf", self.work / "acl"
        store.mkdir()
        acl.write_text(ACL.read_text("utf-8") + DESKS, "utf-8")
        place = {
            "listener": f"{BROKER_PORT} {CITY_ADDRESS}",
            "cafile": str(self.work / "chain.pem"),
            "certfile": str(self.work / "broker.pem"),
            "keyfile": str(self.work / "broker.key"),
            "crlfile": str(self.directory / "crl.pem"),
            "acl_file": str(acl),
            "persistence_location": f"{store}/",
        }
        (self.work / "chain.pem").write_text((self.directory / "root.pem").read_text())
        config.write_text(f"user {getpass.getuser()}\n{placed(CONF.read_text('utf-8'), place)}", "utf-8")
        return config


def official(path: Path, suite: str, root: Path) -> Path:
    """A small image with the layout and the marks of an official one of `suite`, and its list of packages.

    The list is that of the Debian at `root`, said to be of a Pi's architecture: `prepare-card` holds the
    package's needs against it.
    """
    tree = path.with_suffix(".tree")
    status = (root / "var/lib/dpkg/status").read_text("utf-8")
    files = {
        "etc/rpi-issue": "Raspberry Pi reference 2026-10-01\nGenerated using pi-gen, stage2\n",
        "usr/lib/os-release": f"VERSION_CODENAME={suite}\nID=debian\n",
        "usr/lib/aarch64-linux-gnu/libc.so.6": "",
        "var/lib/dpkg/status": status.replace("\nArchitecture: amd64\n", "\nArchitecture: arm64\n"),
    }
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, "utf-8")
    with path.open("wb") as file:
        file.truncate((ROOT_START + ROOT_SECTORS) * SECTOR)
    table = f"label: dos\nlabel-id: 0x4e639091\nstart={BOOT_START},size={BOOT_SECTORS},type=c\n"
    table += f"start={ROOT_START},size={ROOT_SECTORS},type=83\n"
    call("sfdisk", "-q", path, data=table.encode())
    call("mkfs.vfat", "-F", 32, "-n", "bootfs", "--offset", BOOT_START, path, BOOT_SECTORS // 2)
    boot = Boot(path, BOOT_START * SECTOR)
    boot.write("config.txt", b"[all]\n")
    boot.write("cmdline.txt", CMDLINE.encode())
    ext4 = path.with_suffix(".ext4")
    with ext4.open("wb") as file:
        file.truncate(ROOT_SECTORS * SECTOR)
    call("mkfs.ext4", "-q", "-F", "-d", tree, ext4)
    call(
        "dd",
        f"if={ext4}",
        f"of={path}",
        "bs=1M",
        f"seek={ROOT_START * SECTOR}",
        "oflag=seek_bytes",
        "conv=notrunc",
    )
    shutil.rmtree(tree)
    ext4.unlink()
    return path


def insert(card: Path, firmware: Path, native: Path) -> None:
    """Put the card's boot partition where the machine has it, at `firmware`.

    The package on it is for a Pi's processor; `native` is the same one for this machine's, and takes its
    place, with its hash.
    """
    firmware.mkdir(parents=True, exist_ok=True)
    call("mcopy", "-s", "-n", "-i", f"{card}@@{BOOT_START * SECTOR}", "::*", firmware)
    for path in firmware.rglob("*"):
        path.chmod(0o755)  # as a FAT partition is mounted: all of it can be executed
    folder = firmware / "stairwell"
    (old,) = (folder / "packages").glob("stairwell-agent_*.deb")
    new = old.with_name(native.name)
    old.unlink()
    shutil.copy(native, new)
    digest = call("sha256sum", new).decode().split()[0]
    sums = (folder / "SHA256SUMS").read_text()
    line = re.compile(rf"(?m)^[0-9a-f]{{64}}  packages/{re.escape(old.name)}$")
    (folder / "SHA256SUMS").write_text(line.sub(f"{digest}  packages/{new.name}", sums))


def words_of(firmware: Path) -> list[str]:
    """What the kernel's command line on the card says to systemd."""
    return [word for word in (firmware / "cmdline.txt").read_text().split() if word.startswith("systemd.")]


def settings_of(firmware: Path) -> dict[str, object]:
    """What the card's enrolment file holds."""
    return tomllib.loads((firmware / "stairwell/enrol.toml").read_text("utf-8"))


def _mosquitto() -> str:
    found = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
    if found is None:
        raise StairwellError("mosquitto is not installed", fix="run scripts/setup")
    return found
