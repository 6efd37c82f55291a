"""Cards from images with the official layout: what is on them, that it is proved, that no cut leaves half."""

from __future__ import annotations

import lzma
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kitcards import KIT, write_city
from kitimages import (
    BOOT_START,
    ROOT_START,
    SECTOR,
    Papers,
    boot_files,
    call,
    make_image,
    make_package,
    put,
)
from typer.testing import CliRunner

from agent.card.disk import Disk, check, described, disk_at
from agent.card.prepare import Base, Outcome, base, to_disk, to_file
from agent.card.writing import HEAD, Mark
from agent.cli import app
from agent.device.enrolfile import EnrolFile
from agent.errors import ConfigError, StairwellError, StorageError
from agent.kitid import check_character

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = "k7f3k2qx5" + check_character("k7f3k2qx5")
THIRD = "k7f3k2qx6" + check_character("k7f3k2qx6")


def silent(*_: object) -> None:
    """Nobody hears the progress."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("images")
    return {suite: make_image(folder / f"{suite}.img", suite) for suite in ("trixie", "bookworm")}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("packages")
    return {
        "trixie": make_package(folder),
        "bookworm": make_package(folder, version="0.1.0+deb12"),
        "camera": make_package(folder, name="python3-picamera2", version="0.3.31-1", architecture="all"),
    }


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers.make(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def common(tmp_path: Path, images: dict[str, Path], packages: dict[str, Path]) -> Base:
    return commons(tmp_path, images["trixie"], [packages["trixie"], packages["camera"]])


def commons(tmp_path: Path, image: Path, files: list[Path], sha256: str | None = None) -> Base:
    return base(image, write_city(tmp_path), files, cache=tmp_path / "cache", sha256=sha256, advance=silent)


def root_of(image: Path) -> bytes:
    with image.open("rb") as file:
        file.seek(ROOT_START * SECTOR)
        return file.read()


def table_of(image: Path) -> bytes:
    with image.open("rb") as file:
        return file.read(SECTOR)


# --- what is on a card ----------------------------------------------------------------------------------


def test_a_card_for_trixie(tmp_path: Path, common: Base, images: dict[str, Path], papers: Papers) -> None:
    """All that first boot needs lies on the boot partition, with hashes; the rest is the image as it was."""
    target = tmp_path / "card.img"
    assert Outcome.WRITTEN is to_file(common, papers.enrol(KIT), target, silent)
    files = boot_files(target, tmp_path / "boot")
    assert "hostname: stairwell-k7f3k2qx4m\n" in (files / "user-data").read_text()
    assert not (files / "firstrun.sh").exists()
    assert "network-config=disabled" in (files / "cmdline.txt").read_text().split()
    assert "dtoverlay=imx708" in (files / "config.txt").read_text().split()
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=files / "stairwell", check=True
    )
    names = {path.name for path in (files / "stairwell/packages").iterdir()}
    assert {"stairwell-agent_0.1.0+deb13_arm64.deb", "python3-picamera2_0.3.31-1_all.deb"} == names
    carried, given = EnrolFile.read(files / "stairwell/enrol.toml"), papers.enrol(KIT)
    assert {**given.settings, "capture": {"source": "picamera:"}} == carried.settings
    assert (given.claim, given.ca, given.url) == (carried.claim, carried.ca, carried.url)
    assert root_of(images["trixie"]) == root_of(target)
    assert table_of(images["trixie"]) == table_of(target)
    assert [] == common.notes
    assert 0o600 == target.stat().st_mode & 0o777
    fat = tmp_path / "fat"
    fat.write_bytes(target.read_bytes()[BOOT_START * SECTOR : ROOT_START * SECTOR])
    call("fsck.vfat", "-n", fat)


def test_a_card_for_bookworm(
    tmp_path: Path, images: dict[str, Path], packages: dict[str, Path], papers: Papers
) -> None:
    """Without cloud-init firstrun.sh begins, once; that Picamera2 is missing is said."""
    common = commons(tmp_path, images["bookworm"], [packages["bookworm"]])
    target = tmp_path / "card.img"
    to_file(common, papers.enrol(KIT), target, silent)
    files = boot_files(target, tmp_path / "boot")
    words = (files / "cmdline.txt").read_text().split()
    assert {"systemd.run=/boot/firmware/firstrun.sh", "init=/usr/lib/raspberrypi-sys-mods/firstboot"} <= set(
        words
    )
    assert (files / "firstrun.sh").read_text().startswith("#!/bin/sh\n")
    assert not (files / "user-data").exists()
    assert "python3-picamera2" in common.notes[0]


def test_from_a_packed_image(
    tmp_path: Path, images: dict[str, Path], packages: dict[str, Path], papers: Papers
) -> None:
    """An .img.xz is unpacked once, whole, and what is half unpacked is begun anew."""
    packed = tmp_path / "image.img.xz"
    packed.write_bytes(lzma.compress(images["trixie"].read_bytes(), preset=0))
    common = commons(tmp_path, packed, [packages["trixie"]])
    assert images["trixie"].read_bytes() == common.image.read_bytes()
    made = common.image.stat().st_mtime_ns
    assert made == commons(tmp_path, packed, [packages["trixie"]]).image.stat().st_mtime_ns
    half = common.image.rename(common.image.with_name(common.image.name + ".new"))
    os.truncate(half, 1_000_000)
    again = commons(tmp_path, packed, [packages["trixie"]])
    assert images["trixie"].read_bytes() == again.image.read_bytes()
    assert Outcome.WRITTEN is to_file(again, papers.enrol(KIT), tmp_path / "card.img", silent)


# --- made again -----------------------------------------------------------------------------------------


def test_a_card_that_is_done_is_only_proved(tmp_path: Path, common: Base, papers: Papers) -> None:
    """Nothing is written a second time; the whole card is read."""
    target = tmp_path / "card.img"
    to_file(common, papers.enrol(KIT), target, silent)
    before = target.stat().st_mtime_ns
    heard: list[tuple[str, int]] = []
    assert Outcome.READY is to_file(common, papers.enrol(KIT), target, lambda *words: heard.append(words))
    assert before == target.stat().st_mtime_ns
    assert {"read back"} == {step for step, _ in heard}
    assert common.layout.size - HEAD == sum(count for _, count in heard)


@pytest.mark.parametrize("at", [446, BOOT_START * SECTOR + 70_000, ROOT_START * SECTOR + 2_000_000])
def test_one_changed_bit_is_found(tmp_path: Path, common: Base, papers: Papers, at: int) -> None:
    """Wherever a card differs from what was written, it is written anew."""
    target = tmp_path / "card.img"
    to_file(common, papers.enrol(KIT), target, silent)
    good = target.read_bytes()
    with target.open("r+b") as file:
        file.seek(at)
        file.write(bytes([good[at] ^ 1]))
    assert Outcome.WRITTEN is to_file(common, papers.enrol(KIT), target, silent)
    assert good[at] == target.read_bytes()[at]


def test_another_kits_card_is_written_anew(tmp_path: Path, common: Base, papers: Papers) -> None:
    """A card is this card only if kit, image, settings and packages are the same."""
    target = tmp_path / "card.img"
    to_file(common, papers.enrol(KIT), target, silent)
    assert Outcome.WRITTEN is to_file(common, papers.enrol(OTHER), target, silent)
    mark = Mark.read(target)
    assert mark is not None
    assert (OTHER, True) == (mark.kit, mark.done)


# --- cut off --------------------------------------------------------------------------------------------

CHILD = """
import os, signal, sys
from pathlib import Path
from agent.card.prepare import base, to_disk, to_file
from agent.device.enrolfile import EnrolFile
image, kits, package, cache, enrol, target, step, bytes_ = sys.argv[1:]
left = int(bytes_)
def heard(name, count):
    global left
    left -= count if name == step else 0
    if left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
where = {"cache": Path(cache), "sha256": None, "advance": lambda n: None}
common = base(Path(image), Path(kits), [Path(package)], **where)
make = (lambda *a: to_disk(*a, force=True)) if Path(target).is_block_device() else to_file
make(common, EnrolFile.read(Path(enrol)), Path(target), heard)
"""

MOMENTS = [("write", 1), ("write", 30_000_000), ("read back", 1)]


def killed(
    tmp_path: Path, image: Path, package: Path, enrol: Path, target: Path, step: str, count: int
) -> None:
    """Make the card in a process that ends by SIGKILL once `count` bytes of `step` are done."""
    arguments = (image, write_city(tmp_path), package, tmp_path / "cache", enrol, target, step, count)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert -signal.SIGKILL == done.returncode, done.stderr


@pytest.mark.parametrize(("step", "count"), MOMENTS)
def test_a_kill_leaves_no_half_image(
    tmp_path: Path,
    images: dict[str, Path],
    packages: dict[str, Path],
    papers: Papers,
    step: str,
    count: int,
) -> None:
    """Whenever the process dies: no image by that name, nothing left over, and the next start makes it."""
    target = tmp_path / "card.img"
    enrol = papers.write(tmp_path / "claims", KIT)
    killed(tmp_path, images["trixie"], packages["trixie"], enrol, target, step, count)
    assert not target.exists()
    assert [] == list((tmp_path / "cache").iterdir())
    common = commons(tmp_path, images["trixie"], [packages["trixie"]])
    assert Outcome.WRITTEN is to_file(common, papers.enrol(KIT), target, silent)
    assert [] == list(tmp_path.glob("*.new"))


@pytest.fixture
def disk(tmp_path: Path, common: Base) -> Iterator[Path]:
    """A disk of the kernel's, larger than the image, full of an old content."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("loop devices need root")
    backing = tmp_path / "disk"
    backing.write_bytes(b"\xa5" * (common.layout.size + 3_000_000))
    name = call("losetup", "--find", "--show", "--partscan", backing).decode().strip()
    yield Path(name)
    call("losetup", "--detach", name)


@pytest.mark.parametrize(("step", "count"), MOMENTS[1:3])
def test_a_card_that_is_pulled_boots_nowhere(
    tmp_path: Path,
    disk: Path,
    images: dict[str, Path],
    packages: dict[str, Path],
    papers: Papers,
    step: str,
    count: int,
) -> None:
    """Cut in the middle a disk has no partition table, and says whose it was to be; then it is made anew."""
    enrol = papers.write(tmp_path / "claims", KIT)
    killed(tmp_path, images["trixie"], packages["trixie"], enrol, disk, step, count)
    assert bytes(SECTOR) == table_of(disk)
    mark = Mark.read(disk)
    assert mark is not None
    assert (KIT, False) == (mark.kit, mark.done)
    common = commons(tmp_path, images["trixie"], [packages["trixie"]])
    assert Outcome.WRITTEN is to_disk(common, papers.enrol(KIT), disk, silent, force=True)
    assert table_of(images["trixie"]) == table_of(disk)
    assert Outcome.READY is to_disk(common, papers.enrol(KIT), disk, silent, force=True)
    assert root_of(images["trixie"]) == root_of(disk)[: common.layout.size - ROOT_START * SECTOR]


@pytest.mark.parametrize(("step", "said"), [("write", "after 25 MB"), ("read back", "ends after 5 MB")])
def test_a_card_that_is_pulled_while_it_is_made(
    tmp_path: Path, disk: Path, images: dict[str, Path], common: Base, papers: Papers, step: str, said: str
) -> None:
    """The line names the disk, how far it came, and what to do; put in again, the card is made anew."""
    backing, left, size = tmp_path / "disk", 20_000_000 if step == "write" else 1, common.layout.size

    def heard(now: str, count: int) -> None:
        nonlocal left
        left -= count if now == step else 0
        if left <= 0 and backing.stat().st_size >= size:
            os.truncate(backing, HEAD + 100_000)  # a reader whose card is gone has room for nothing
            call("losetup", "--set-capacity", disk)

    with pytest.raises(StorageError, match=f"{disk}: .*{said}.*put the card .back. in and start again"):
        to_disk(common, papers.enrol(KIT), disk, heard, force=True)
    assert [] == list((tmp_path / "cache").iterdir())
    os.truncate(backing, size)
    call("losetup", "--set-capacity", disk)
    assert bytes(SECTOR) == table_of(disk)
    assert Outcome.WRITTEN is to_disk(common, papers.enrol(KIT), disk, silent, force=True)
    assert table_of(images["trixie"]) == table_of(disk)


def test_an_image_that_was_cut_later_is_made_anew(tmp_path: Path, common: Base, papers: Papers) -> None:
    """A file that was done, and whose end is gone."""
    target = tmp_path / "card.img"
    to_file(common, papers.enrol(KIT), target, silent)
    os.truncate(target, common.layout.size - 1)
    assert Outcome.WRITTEN is to_file(common, papers.enrol(KIT), target, silent)
    assert common.layout.size == target.stat().st_size


def test_a_fixed_disk_is_not_touched(tmp_path: Path, disk: Path, common: Base, papers: Papers) -> None:
    """Without --force a disk that cannot be taken out keeps every byte."""
    before = (tmp_path / "disk").read_bytes()
    with pytest.raises(StairwellError, match="not a removable disk"):
        to_disk(common, papers.enrol(KIT), disk, silent, force=False)
    assert before == (tmp_path / "disk").read_bytes()


def test_a_mounted_disk_is_not_touched(tmp_path: Path, disk: Path, common: Base, papers: Papers) -> None:
    """Not even by force: something of the machine's own could be on it."""
    call("mkfs.ext4", "-q", disk)
    place = tmp_path / "mounted"
    place.mkdir()
    call("mount", disk, place)
    try:
        with pytest.raises(StairwellError, match=f"in use.*{place}"):
            to_disk(common, papers.enrol(KIT), disk, silent, force=True)
    finally:
        call("umount", place)


def test_a_card_that_lies_is_found(tmp_path: Path, common: Base, papers: Papers) -> None:
    """One that gives back something else than was written gets no partition table, and is named."""
    target = tmp_path / "card.img"
    written = 0

    def heard(step: str, count: int) -> None:
        nonlocal written
        written += count
        if step == "write" and written == common.layout.size - HEAD:
            with (tmp_path / "card.img.new").open("r+b") as file:
                file.seek(50_000_000)
                file.write(b"worn")

    with pytest.raises(StorageError, match="gave back something else than was written"):
        to_file(common, papers.enrol(KIT), target, heard)
    assert not target.exists()


def test_a_write_that_fails_is_told(tmp_path: Path, common: Base, papers: Papers) -> None:
    """The line says how far it came; what was there before is untouched."""
    target = tmp_path / "card.img"
    target.write_bytes(b"before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def heard(*_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, hard))

    try:
        with pytest.raises(StorageError, match=r"card\.img\.new: File too large after \d+ MB"):
            to_file(common, papers.enrol(KIT), target, heard)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert b"before" == target.read_bytes()


# --- what is refused ------------------------------------------------------------------------------------


def test_images_that_are_none(tmp_path: Path, images: dict[str, Path], packages: dict[str, Path]) -> None:
    """Each wrong file is refused with what it is, before anything is written."""
    good = images["trixie"].read_bytes()
    cases = {
        "no disk image": b"\0" * 4096,
        "no disk image ": b"short",
        "cut off after": good[: len(good) - 1],
        r"not the layout of an official image \(GPT\)": good[:450] + b"\xee" + good[451:],
        r"not the layout of an official image \(partitions 0c, 82\)": good[:466] + b"\x82" + good[467:],
        "its partitions overlap": good[:454] + bytes(4) + good[458:],
    }
    path = tmp_path / "image.img"
    for problem, data in cases.items():
        path.write_bytes(data)
        with pytest.raises(ConfigError, match=problem.strip()):
            commons(tmp_path, path, [packages["trixie"]])
    with pytest.raises(ConfigError, match="cannot be read"):
        commons(tmp_path, tmp_path / "none.img", [packages["trixie"]])


@pytest.mark.parametrize(
    ("suite", "options", "problem"),
    [
        ("bullseye", {}, "its suite is bullseye"),
        ("trixie", {"stage": "stage4"}, r"not the Lite image \(stage4\)"),
        ("trixie", {"library": "arm-linux-gnueabihf"}, "a 32-bit system"),
    ],
)
def test_other_systems(
    tmp_path: Path, packages: dict[str, Path], suite: str, options: dict[str, str], problem: str
) -> None:
    """A desktop, a 32-bit or an older system is refused by what it is."""
    image = make_image(tmp_path / "image.img", suite, **options)
    with pytest.raises(ConfigError, match=problem):
        commons(tmp_path, image, [packages["trixie"]])


def test_another_linux(tmp_path: Path, images: dict[str, Path], packages: dict[str, Path]) -> None:
    """A root without Raspberry Pi OS's own mark is refused."""
    image = tmp_path / "image.img"
    shutil.copyfile(images["trixie"], image)
    call("debugfs", "-w", "-R", "rm /etc/rpi-issue", f"{image}?offset={ROOT_START * SECTOR}")
    with pytest.raises(ConfigError, match="no Raspberry Pi OS"):
        commons(tmp_path, image, [packages["trixie"]])


def test_hashes(tmp_path: Path, images: dict[str, Path], packages: dict[str, Path]) -> None:
    """A download that is not what its maker says is refused, by option or by the file beside it."""
    image = tmp_path / "image.img"
    shutil.copyfile(images["trixie"], image)
    right = commons(tmp_path, image, [packages["trixie"]]).image_sha256
    with pytest.raises(ConfigError, match=f"its SHA-256 is {right}, not {'0' * 64}"):
        commons(tmp_path, image, [packages["trixie"]], sha256="0" * 64)
    beside = tmp_path / "image.img.sha256"
    beside.write_text(f"{right}  image.img\n")
    commons(tmp_path, image, [packages["trixie"]])
    beside.write_text(f"{'1' * 64}  image.img\n")
    with pytest.raises(ConfigError, match="not 1111"):
        commons(tmp_path, image, [packages["trixie"]])
    for said in ("no hash\n", "хеш\n", f"\N{BOM}{right}\n"):
        beside.write_text(said, encoding="utf-8")
        with pytest.raises(ConfigError, match="holds no SHA-256"):
            commons(tmp_path, image, [packages["trixie"]])
    beside.unlink()
    beside.mkdir()
    with pytest.raises(ConfigError, match=r"sha256: cannot be read \(Is a directory\)"):
        commons(tmp_path, image, [packages["trixie"]])


def test_a_cache_that_is_gone(tmp_path: Path, common: Base, papers: Papers) -> None:
    """Said by its name, and nothing is left of the card."""
    common.cache.rmdir()
    with pytest.raises(StorageError, match="cache: cannot be written") as caught:
        to_file(common, papers.enrol(KIT), tmp_path / "card.img", silent)
    assert "--cache" in caught.value.fix
    assert [] == list(tmp_path.glob("card.img*"))


def test_a_damaged_packed_image(tmp_path: Path, images: dict[str, Path], packages: dict[str, Path]) -> None:
    """A cut or foreign .xz is refused, and leaves nothing."""
    packed = tmp_path / "image.img.xz"
    whole = lzma.compress(images["trixie"].read_bytes(), preset=0)
    for data in (whole[: len(whole) // 2], b"no xz"):
        packed.write_bytes(data)
        with pytest.raises(ConfigError, match="no whole xz file"):
            commons(tmp_path, packed, [packages["trixie"]])
        assert [] == list((tmp_path / "cache").iterdir())


def test_packages_that_do_not_fit(tmp_path: Path, images: dict[str, Path], packages: dict[str, Path]) -> None:
    """Another suite's, another machine's, a missing, a double and a broken package are each named."""
    other = make_package(tmp_path, name="chrony", architecture="amd64")
    older = make_package(tmp_path, fields="Depends: python3 (<< 3.12)\n")
    broken = tmp_path / "broken.deb"
    broken.write_bytes(b"no package")
    cut = tmp_path / "cut.deb"
    cut.write_bytes(packages["trixie"].read_bytes()[:200_000])
    cases: dict[str, list[Path]] = {
        "version 0.1.0.deb12 is not for trixie": [packages["bookworm"]],
        "for amd64, and a kit is arm64": [packages["trixie"], other],
        "no stairwell-agent package for trixie was given": [packages["camera"]],
        "a second time": [packages["trixie"], packages["trixie"]],
        "no Debian package": [broken],
        r"cut\.deb: no whole Debian package": [cut],
        r"needs python3 \(<< 3\.12\), and there is 3\.13": [older],
    }
    for problem, files in cases.items():
        with pytest.raises(ConfigError, match=problem):
            commons(tmp_path, images["trixie"], files)


def test_more_than_fits(
    tmp_path: Path, images: dict[str, Path], packages: dict[str, Path], papers: Papers
) -> None:
    """A boot partition that is full is told by the file that found no place; no card is made."""
    image = tmp_path / "image.img"
    shutil.copyfile(images["trixie"], image)
    put(image, "kernel8.img", os.urandom(41_100_000))
    common = commons(tmp_path, image, [packages["trixie"]])
    with pytest.raises(StorageError, match=r"stairwell-agent_.*: does not fit into the boot partition"):
        to_file(common, papers.enrol(KIT), tmp_path / "card.img", silent)
    assert not (tmp_path / "card.img").exists()


# --- disks ----------------------------------------------------------------------------------------------


def kernels(directory: Path, **files: str) -> Path:
    """A disk's description as the kernel gives it in /sys."""
    for name, text in files.items():
        path = directory / "sdx" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return directory / "sdx"


@pytest.mark.parametrize(
    ("files", "removable", "model"),
    [
        (
            {"removable": "1", "device__vendor": "Generic", "device__model": "SD Reader"},
            True,
            "Generic SD Reader",
        ),
        ({"removable": "0", "device__type": "SD", "device__name": "SN64G"}, True, "SN64G"),
        ({"removable": "0", "device__type": "MMC", "device__name": "DA4064"}, False, "DA4064"),
        ({"removable": "0", "device__model": "Samsung SSD"}, False, "Samsung SSD"),
    ],
)
def test_what_a_disk_is(tmp_path: Path, files: dict[str, str], removable: bool, model: str) -> None:
    """Readers and cards in slots can be taken out; soldered memory and disks cannot. The model is shown."""
    home = kernels(tmp_path, size="125000000", dev="8:0", **files)
    found = described(Path("/dev/card"), home)
    assert (removable, model, 64_000_000_000) == (found.removable, found.model, found.size)
    assert f"/dev/card: {model}, 64.0 GB" == str(found)
    assert () == found.in_use


def test_what_uses_a_disk(tmp_path: Path) -> None:
    """A mounted partition is found by its number, whatever it was called then; so is a holder."""
    home = kernels(tmp_path, size="100", dev="8:0", sdx1__partition="1", sdx1__dev="8:1", holders__dm__x="")
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(
        "22 1 8:17 / / rw - ext4 /dev/sdy1 rw\n23 1 8:1 / /media/card rw - vfat /dev/sdx1 rw\n"
    )
    assert ("/media/card", "dm") == described(Path("/dev/sdx"), home, mountinfo).in_use
    with pytest.raises(StairwellError, match=r"/dev/sdx1: a partition\. Fix: name the whole disk, /dev/sdx"):
        described(Path("/dev/sdx1"), home / "sdx1")


def test_no_disk(tmp_path: Path) -> None:
    """A file, a directory and nothing are no disks."""
    (tmp_path / "file").touch()
    assert [None] * 3 == [disk_at(path) for path in (tmp_path / "file", tmp_path, tmp_path / "none")]


def test_too_small() -> None:
    """A card that the image does not fit onto is refused."""
    with pytest.raises(StairwellError, match=r"too small for 3\.0 GB"):
        check(Disk(Path("/dev/x"), "m", 2_000_000_000, True, ()), 3_000_000_000, force=False)


# --- the card's own scripts -----------------------------------------------------------------------------


def script(card: Path, name: str, root: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "STAIRWELL_ROOT": str(root), "STAIRWELL_CARD": str(card), **more}
    return subprocess.run(["sh", card / name], env=environment, capture_output=True, text=True, check=False)


def test_the_card_installs_its_settings(tmp_path: Path, common: Base, papers: Papers) -> None:
    """The files come into place with their modes, a second time as well; a damaged card is refused."""
    to_file(common, papers.enrol(KIT), tmp_path / "card.img", silent)
    card = boot_files(tmp_path / "card.img", tmp_path / "boot") / "stairwell"
    root = tmp_path / "root"
    (root / "var/lib").mkdir(parents=True)
    for _ in range(2):
        done = script(card, "install", root)
        assert 0 == done.returncode, done.stderr
        wifi = root / "etc/NetworkManager/system-connections/wifi.nmconnection"
        assert 0o600 == wifi.stat().st_mode & 0o777
    (root / "var/lib/stairwell-card.done").unlink()
    shutil.rmtree(root / "etc")
    with (card / "settings.tar").open("r+b") as file:
        file.write(b"x")
    done = script(card, "install", root)
    assert 1 == done.returncode
    assert "the card is damaged: prepare it anew" in done.stdout
    assert not (root / "etc").exists()


@pytest.mark.parametrize("gone", [(), ("enrol.toml",), ("enrol.toml", "settings.tar")])
def test_a_power_cut_before_the_secrets_are_gone(
    tmp_path: Path, common: Base, papers: Papers, gone: tuple[str, ...]
) -> None:
    """What is installed is not installed again: each start destroys what is left of them until nothing is."""
    to_file(common, papers.enrol(KIT), tmp_path / "card.img", silent)
    card = boot_files(tmp_path / "card.img", tmp_path / "boot") / "stairwell"
    root = tmp_path / "root"
    (root / "var/lib").mkdir(parents=True)
    (root / "var/lib/stairwell-card.installed").touch()
    for name in gone:
        (card / name).unlink()
    done = script(card, "install", root)
    assert 0 == done.returncode, done.stderr
    assert "stairwell-card: done: restarting\n" == done.stdout
    assert not {"enrol.toml", "settings.tar"} & {path.name for path in card.iterdir()}
    assert (root / "var/lib/stairwell-card.done").exists()
    assert not (root / "etc").exists()


def test_secrets_that_cannot_be_overwritten(tmp_path: Path, common: Base, papers: Papers) -> None:
    """They go all the same, and it is said of each."""
    to_file(common, papers.enrol(KIT), tmp_path / "card.img", silent)
    card = boot_files(tmp_path / "card.img", tmp_path / "boot") / "stairwell"
    root, programs = tmp_path / "root", tmp_path / "programs"
    (root / "var/lib").mkdir(parents=True)
    (root / "var/lib/stairwell-card.installed").touch()
    programs.mkdir()
    (programs / "shred").write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
    (programs / "shred").chmod(0o755)
    done = script(card, "install", root, PATH=f"{programs}:{os.environ['PATH']}")
    assert 0 == done.returncode, done.stderr
    for name in ("enrol.toml", "settings.tar"):
        assert f"{name} is deleted, but could not be overwritten" in done.stdout
        assert not (card / name).exists()


def test_first_run_of_bookworm(
    tmp_path: Path, images: dict[str, Path], packages: dict[str, Path], papers: Papers
) -> None:
    """firstrun.sh puts a unit into place that systemd takes, then takes itself off the command line."""
    common = commons(tmp_path, images["bookworm"], [packages["bookworm"]])
    to_file(common, papers.enrol(KIT), tmp_path / "card.img", silent)
    boot = boot_files(tmp_path / "card.img", tmp_path / "boot")
    root = tmp_path / "root"
    for _ in range(2):
        done = script(boot, "firstrun.sh", root, STAIRWELL_BOOT=str(boot))
        assert 0 == done.returncode, done.stderr
    words = (boot / "cmdline.txt").read_text().split()
    assert [] == [word for word in words if word.startswith("systemd.")]
    assert "root=PARTUUID=4e639091-02" in words
    unit = root / "etc/systemd/system/stairwell-card.service"
    assert unit.read_bytes() == (unit.parent / "multi-user.target.wants/stairwell-card.service").read_bytes()
    if shutil.which("systemd-analyze"):
        call("systemd-analyze", "verify", "--man=no", unit)


# --- the command ----------------------------------------------------------------------------------------


def arguments(tmp_path: Path, image: Path, package: Path, *more: object) -> list[str]:
    write_city(tmp_path)
    fixed = ("--kits", tmp_path / "kits.toml", "--claims", tmp_path / "claims", "--package", package)
    return [str(word) for word in ("card", "prepare", image, *fixed, "--cache", tmp_path / "cache", *more)]


def test_a_batch(tmp_path: Path, images: dict[str, Path], packages: dict[str, Path], papers: Papers) -> None:
    """--all makes an image for each claim; a second start proves them."""
    for kit in (KIT, OTHER):
        papers.write(tmp_path / "claims", kit)
    words = arguments(tmp_path, images["trixie"], packages["trixie"], "--all", "--to", tmp_path / "cards")
    for said in ("written and read back", "was ready; read back"):
        done = CliRunner().invoke(app, words, catch_exceptions=False)
        assert (0, f"{KIT}: {said} (1 of 2)\n{OTHER}: {said} (2 of 2)\n") == (done.exit_code, done.stdout)
    assert {f"{KIT}.img", f"{OTHER}.img"} == {path.name for path in (tmp_path / "cards").iterdir()}


def test_a_batch_with_one_mistake(
    tmp_path: Path, images: dict[str, Path], packages: dict[str, Path], papers: Papers
) -> None:
    """All that is wrong is named at once, and no card is made: neither the wrong ones nor the others."""
    papers.write(tmp_path / "claims", KIT)
    papers.write(tmp_path / "claims", OTHER, expires="2026-01-01T00:00:00Z")
    (tmp_path / "claims" / "0000000000.toml").write_text(papers.enrol(KIT).text())
    (tmp_path / "claims" / "broken.toml").write_text("kit = ")
    unfit = tmp_path / "claims" / f"{THIRD}.toml"
    unfit.write_text(papers.enrol(THIRD).text() + '[settings.capture]\nsource = "rtsp://camera"\nfps = 900\n')
    words = arguments(tmp_path, images["trixie"], packages["trixie"], "--all", "--to", tmp_path / "cards")
    with pytest.raises(ConfigError) as caught:
        CliRunner().invoke(app, words, catch_exceptions=False)
    for problem in (f"is of {KIT}", "its claim expired at 2026-01-01T00:00:00Z", "broken.toml: no TOML"):
        assert problem in str(caught.value)
    assert f"{unfit}: capture.fps = 900: " in str(caught.value)
    for fix in ("makes it anew", "`stairwell config schema` tells what each key takes"):
        assert 1 == caught.value.fix.count(fix)
    assert not (tmp_path / "cards").exists()


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ([], "which kits?"),
        ([KIT, "--all"], "which kits?"),
        ([KIT, KIT], "a kit is named twice"),
        ([OTHER], "cannot be read"),
        ([KIT, "--to", "{}/kits.toml"], "neither a disk nor a directory"),
        ([KIT, "--to", "/dev/no-card-in-it"], "no such disk"),
        ([KIT, "--to", "{}/kits.toml/x"], "kits.toml/x: cannot be written (Not a directory)"),
        ([KIT, "--cache", "{}/kits.toml"], "kits.toml: cannot be written (File exists)"),
    ],
)
def test_wrong_words(
    tmp_path: Path,
    images: dict[str, Path],
    packages: dict[str, Path],
    papers: Papers,
    more: list[str],
    problem: str,
) -> None:
    """Each ends with a sentence, before anything is made."""
    papers.write(tmp_path / "claims", KIT)
    words = arguments(
        tmp_path, images["trixie"], packages["trixie"], *(word.format(tmp_path) for word in more)
    )
    with pytest.raises((ConfigError, StorageError), match=re.escape(problem)):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_a_disk_is_shown_and_asked_for(
    tmp_path: Path, disk: Path, images: dict[str, Path], packages: dict[str, Path], papers: Papers
) -> None:
    """Model and size stand there before the question; no means no."""
    papers.write(tmp_path / "claims", KIT)
    words = arguments(tmp_path, images["trixie"], packages["trixie"], KIT, "--to", disk, "--force")
    done = CliRunner().invoke(app, words, input="n\n", catch_exceptions=False)
    assert 1 == done.exit_code
    assert f"{disk}: {disk.name}, 0.1 GB\n" in done.stdout
    assert f"Make it the card of {KIT}?" in done.stdout
    assert b"\xa5" * SECTOR == table_of(disk)
    done = CliRunner().invoke(app, words, input="y\n", catch_exceptions=False)
    assert 0 == done.exit_code
    assert table_of(images["trixie"]) == table_of(disk)


def test_settings_to_look_at(tmp_path: Path) -> None:
    """`card render` writes what a card would have, with the modes; never beside other things."""
    kits = write_city(tmp_path)
    words = ["card", "render", KIT, "--kits", str(kits), "-o", str(tmp_path / "out")]
    assert 0 == CliRunner().invoke(app, words, catch_exceptions=False).exit_code
    assert (
        0o600
        == (tmp_path / "out/root/etc/NetworkManager/system-connections/lte.nmconnection").stat().st_mode
        & 0o777
    )
    assert (tmp_path / "out/boot/user-data").exists()
    for wrong, problem in (
        (words, "not empty"),
        ([*words[:2], "0000000001", *words[3:]], "check character"),
        ([*words[:-1], str(kits / "x")], "kits.toml/x: cannot be written"),
    ):
        with pytest.raises((ConfigError, StorageError), match=problem):
            CliRunner().invoke(app, wrong, catch_exceptions=False)
