"""Small images with the official layout: a master boot record, FAT32 to boot from, ext4 with the system."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.device.enrolfile import EnrolFile

if TYPE_CHECKING:
    from pathlib import Path

SECTOR = 512
BOOT_START, BOOT_SECTORS = 8192, 80 * 1024  # 4 MiB, as pi-gen has it; 40 MiB is the least that is FAT32
ROOT_START, ROOT_SECTORS = BOOT_START + BOOT_SECTORS, 16 * 1024
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
CONFIG = "# For more options see http://rptl.io/configtxt\ndtparam=audio=on\ncamera_auto_detect=1\n\n[all]\n"
CMDLINES = {
    "bookworm": "console=serial0,115200 console=tty1 root=PARTUUID=4e639091-02 rootfstype=ext4 "
    "fsck.repair=yes rootwait quiet init=/usr/lib/raspberrypi-sys-mods/firstboot\n",
    "trixie": "console=serial0,115200 console=tty1 root=PARTUUID=4e639091-02 rootfstype=ext4 "
    "fsck.repair=yes rootwait resize\n",
}
PYTHONS = {"bookworm": "3.11.2-1+b1", "trixie": "3.13.5-1"}
STATUS = """\
Package: python3
Status: install ok installed
Architecture: arm64
Multi-Arch: allowed
Version: {python}
Provides: python3-profiler
Description: interactive language
 with more than one line: this is no field

Package: exim4-daemon-light
Status: install ok installed
Architecture: arm64
Version: 4.96-15
Provides: mail-transport-agent, smtpd (= 2)

Package: half
Status: install reinstreq half-installed
Architecture: arm64
Version: 1

Package: libc6
Status: install ok installed
Architecture: armhf
Version: 2.41-1
"""
ISSUE = "Raspberry Pi reference 2026-10-01\nGenerated using pi-gen, https://pi-gen.example, 8f3c, {}\n"


def call(*command: object, data: bytes | None = None) -> bytes:
    done = subprocess.run(
        [str(part) for part in command],
        input=data,
        capture_output=True,
        check=False,
        env={**os.environ, "PATH": PATH},
    )
    assert 0 == done.returncode, done.stderr.decode()
    return done.stdout


def make_image(
    path: Path, suite: str = "trixie", *, stage: str = "stage2", library: str = "aarch64-linux-gnu"
) -> Path:
    """An image of `suite` at `path`; trixie's is customised by cloud-init."""
    root = path.with_suffix(".root")
    files = {
        "etc/rpi-issue": ISSUE.format(stage),
        "usr/lib/os-release": f'PRETTY_NAME="Debian"\nVERSION_CODENAME={suite}\nID=debian\n',
        f"usr/lib/{library}/libc.so.6": "",
        "var/lib/dpkg/status": STATUS.format(python=PYTHONS.get(suite, "3.9.2-3")),
    }
    if suite == "trixie":
        files["etc/cloud/cloud.cfg"] = "datasource_list: [NoCloud]\n"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with path.open("wb") as file:
        file.truncate((ROOT_START + ROOT_SECTORS) * SECTOR)
    table = f"label: dos\nlabel-id: 0x4e639091\nstart={BOOT_START},size={BOOT_SECTORS},type=c\n"
    call("sfdisk", "-q", path, data=f"{table}start={ROOT_START},size={ROOT_SECTORS},type=83\n".encode())
    call("mkfs.vfat", "-F", 32, "-s", 1, "-n", "bootfs", "--offset", BOOT_START, path, BOOT_SECTORS // 2)
    for name, text in (("config.txt", CONFIG), ("cmdline.txt", CMDLINES.get(suite, "root=x\n"))):
        put(path, name, text.encode())
    ext4 = path.with_suffix(".ext4")
    with ext4.open("wb") as file:
        file.truncate(ROOT_SECTORS * SECTOR)
    call("mkfs.ext4", "-q", "-F", "-d", root, ext4)
    with ext4.open("rb") as source, path.open("r+b") as file:
        file.seek(ROOT_START * SECTOR)
        file.write(source.read())
    return path


def put(image: Path, name: str, data: bytes) -> None:
    call("mcopy", "-o", "-i", f"{image}@@{BOOT_START * SECTOR}", "-", f"::{name}", data=data)


def boot_files(image: Path, directory: Path) -> Path:
    """The boot partition's files, copied out by mtools."""
    directory.mkdir()
    call("mcopy", "-s", "-n", "-i", f"{image}@@{BOOT_START * SECTOR}", "::", directory)
    return directory


def make_package(
    directory: Path,
    name: str = "stairwell-agent",
    version: str = "0.1.0+deb13",
    architecture: str = "arm64",
    fields: str = "",
) -> Path:
    """A Debian package with these fields (`fields`: more of them, a line each) and some bytes."""
    tree = directory / f"{name}.tree"
    (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
    (tree / "usr/share").mkdir(parents=True, exist_ok=True)
    (tree / "usr/share" / name).write_bytes(os.urandom(300_000))
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
        f"Maintainer: a <a@b.c>\n{fields}Description: x\n"
    )
    deb = directory / f"{name}_{version}_{architecture}.deb"
    call("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, deb)
    return deb


@dataclass(frozen=True)
class Papers:
    """Enrolment files as the city makes them."""

    root: str

    @classmethod
    def make(cls, directory: Path) -> Papers:
        """With a root that is made for the occasion."""
        root = directory / "root.pem"
        words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=root -keyout"
        call("openssl", *words.split(), directory / "root.key", "-out", root)
        return cls(root.read_text(encoding="ascii"))

    def enrol(self, kit: str, expires: str = "2099-01-01T00:00:00Z") -> EnrolFile:
        """The file of `kit`."""
        return EnrolFile(
            kit=kit,
            claim="0123456789abcdefghjkmnpqrs",
            claim_expires=expires,
            url="https://enrol.city.example:8443",
            ca=self.root,
            settings={"site": {"oblast": "51", "city": "odesa", "district": "kyivskyi"}},
        )

    def write(self, directory: Path, kit: str, **options: str) -> Path:
        """The file of `kit`, where the city writes it."""
        directory.mkdir(exist_ok=True)
        path = directory / f"{kit}.toml"
        path.write_text(self.enrol(kit, **options).text(), encoding="utf-8")
        return path
