"""A kit with a read-only root: units that systemd takes, a list of what is kept, and the places for it."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kitcards import TOML, rendered

from agent.card import readonly
from agent.card.firmware import SOURCE
from agent.config import DEFAULT_PATH, State
from agent.device import systemroot
from agent.device.releases import HOME
from agent.errors import ConfigError

if TYPE_CHECKING:
    from agent.card.firmware import Rendered

READ_ONLY = TOML + "[root]\nread_only = true\nsystem_gb = 8\n"
SCRIPT = SOURCE.parent / "scripts" / "deb" / "keep"
IMAGES = ("init=/usr/lib/raspberrypi-sys-mods/firstboot", "resize")  # Bookworm's, Trixie's


@pytest.fixture
def kit(tmp_path: Path) -> Rendered:
    return rendered(tmp_path, READ_ONLY)


def units(kit: Rendered) -> dict[str, str]:
    """The units by their names."""
    found = {Path(file.path): file.data.decode() for file in kit.root}
    return {path.name: text for path, text in found.items() if str(path.parent) == readonly.UNITS}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_has_nothing_to_say(tmp_path: Path, kit: Rendered) -> None:
    """Each unit is verified clean, with its neighbours; a mount unit is called as its path wants."""
    folder = tmp_path / "units"
    folder.mkdir()
    for name, text in units(kit).items():
        (folder / name).write_text(text.replace("/usr/lib/stairwell/keep", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *folder.iterdir()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.skipif(shutil.which("systemd-escape") is None, reason="systemd-escape is not installed")
@pytest.mark.parametrize("path", ["/var/lib/NetworkManager", "/dev/disk/by-uuid/0a-1b", "/a_b/c.d/e-f"])
def test_names_are_systemds(path: str) -> None:
    """A path's unit is called as systemd calls it."""
    done = subprocess.run(["systemd-escape", "--path", path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == readonly.escaped(path)


def test_everything_that_is_ours_is_kept(kit: Rendered) -> None:
    """State, settings, releases; and each that is kept has its unit, bound from the data partition."""
    kept = {one.path for one in readonly.kept(SOURCE)}
    assert {str(State().dir), str(DEFAULT_PATH.parent), str(HOME), "/etc/credstore"} <= kept
    (listed,) = [file.data.decode() for file in kit.root if file.path == readonly.KEEP]
    assert kept == {line.split()[0] for line in listed.splitlines() if line[0] == "/"}
    for path in kept:
        unit = units(kit)[f"{readonly.escaped(path)}.mount"]
        assert f"What=/data{path}\nWhere={path}\nType=none\nOptions=bind\n" in unit
    assert readonly.KEEP == systemroot.LIST


def test_first_boot_finds_its_file_where_the_root_is_opened_for_it(kit: Rendered) -> None:
    """What opens the root is what first boot and the command leave on the data partition."""
    opens = re.findall(
        r"^ConditionPathExists=\|(.*)$", units(kit)["stairwell-writable.service"], re.MULTILINE
    )
    assert ["!/var/lib/stairwell-card.done", f"/data{State().dir}/enrol.toml", f"/{systemroot.MARK}"] == opens


def test_one_data_partition_for_one_card(tmp_path: Path, kit: Rendered) -> None:
    """The script that makes it and the unit that mounts it mean the same file system."""
    (made,) = re.findall(r"^uuid=(.*)$", kit.boot["partition"], re.MULTILINE)
    assert f"What=/dev/disk/by-uuid/{made}\n" in units(kit)["data.mount"]
    assert "system=$((8 * 1024" in kit.boot["partition"]
    assert rendered(tmp_path, READ_ONLY) == kit


class DataPartition:
    """The end of that script, on an image in place of the partition; mount(8) does what it is told."""

    def __init__(self, directory: Path, kit: Rendered) -> None:
        self.image = directory / "data"
        with self.image.open("wb") as file:
            file.truncate(16 << 20)
        whole = kit.boot["partition"]
        (self.uuid,) = re.findall(r"^uuid=(.*)$", whole, re.MULTILINE)
        head = f"set -eu\nuuid={self.uuid}\ndata={self.image}\n"
        head += 'say() { echo "$*"; }\ndie() { say "$*"; exit 1; }\n'
        end = whole[whole.index("# A file system whose making") :].replace("/run/", f"{directory}/")
        self.script = directory / "script"
        self.script.write_text(head + end)
        self.programs = directory / "bin"
        self.programs.mkdir()
        (self.programs / "umount").symlink_to("/bin/true")
        self.mounts(f"exec /usr/sbin/dumpe2fs -h {self.image} >/dev/null 2>&1")

    def mounts(self, answer: str) -> None:
        """What mount(8) is told: without a word, whether there is a superblock."""
        (self.programs / "mount").write_text(f"#!/bin/sh\n{answer}\n", encoding="ascii")
        (self.programs / "mount").chmod(0o755)

    def run(self) -> tuple[int, str]:
        """Its exit code, and what it said."""
        path = f"{self.programs}:{os.environ['PATH']}:/usr/sbin:/sbin"
        done = subprocess.run(
            ["sh", self.script],
            cwd=self.script.parent,
            env={"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    @property
    def done(self) -> Path:
        """The mark that it was made."""
        return self.script.parent / "partition.done"

    def put(self, name: str, text: str) -> None:
        """A file on it."""
        source = self.script.parent / name
        source.write_text(text, encoding="ascii")
        command = ["/usr/sbin/debugfs", "-w", "-R", f"write {source} {name}", self.image]
        subprocess.run(command, check=True, capture_output=True)

    def read(self, name: str) -> str:
        """What a file on it holds."""
        command = ["/usr/sbin/debugfs", "-R", f"cat {name}", self.image]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def destroy(self, begin: int, end: int) -> None:
        """Nothing but zeros between these bytes."""
        with self.image.open("r+b") as file:
            file.seek(begin)
            file.write(bytes(end - begin))

    def marks(self) -> tuple[str, str, str]:
        """Label and UUID of the file system, and what is another one each time that it is made."""
        told = subprocess.run(
            ["/usr/sbin/dumpe2fs", "-h", self.image], capture_output=True, text=True, check=True
        ).stdout
        names = ("Filesystem volume name", "Filesystem UUID", "Directory Hash Seed")
        label, uuid, seed = (re.findall(rf"^{name}: +(\S+)$", told, re.MULTILINE)[0] for name in names)
        return label, uuid, seed


@pytest.fixture
def partition(tmp_path: Path, kit: Rendered) -> DataPartition:
    return DataPartition(tmp_path, kit)


def test_a_data_partition_is_made_once(partition: DataPartition) -> None:
    """And never again, though first boot is cut and repeated."""
    assert 0 == partition.run()[0]
    first = partition.marks()
    assert ("stairwell", partition.uuid) == first[:2]
    assert (0, "") == partition.run()
    assert first == partition.marks()


def test_a_data_partition_that_does_not_mount(partition: DataPartition) -> None:
    """It is mended or left to people: keys and clips may be on it."""
    partition.run()
    first = partition.marks()
    partition.mounts("exit 1")
    code, said = partition.run()
    assert 1 == code
    assert "the data partition does not mount" in said
    assert first == partition.marks()


@pytest.mark.parametrize("cut", ["label", "uuid"])
def test_a_data_partition_whose_making_was_cut(partition: DataPartition, cut: str) -> None:
    """Or one of another card: made anew."""
    partition.run()
    partition.done.unlink()
    first = partition.marks()
    match cut:
        case "label":
            subprocess.run(["/usr/sbin/e2label", partition.image, "stairwell-new"], check=True)
        case "uuid":
            subprocess.run(
                ["/usr/sbin/tune2fs", "-U", "random", partition.image], check=True, capture_output=True
            )
    assert 0 == partition.run()[0]
    label, uuid, seed = partition.marks()
    assert ("stairwell", partition.uuid) == (label, uuid)
    assert first[2] != seed


def test_a_destroyed_superblock(partition: DataPartition) -> None:
    """A copy of it brings back all that is there, also where the making was over but the mark not yet set."""
    partition.run()
    first = partition.marks()
    partition.put("clip", "all that there is")
    partition.done.unlink()
    assert (0, "") == partition.run()
    partition.destroy(1024, 2048)
    code, said = partition.run()
    assert (0, True) == (code, "its superblock is damaged" in said), said
    assert (first, "all that there is") == (partition.marks(), partition.read("clip"))
    assert (0, "") == partition.run()


def test_a_copy_with_the_first_name(partition: DataPartition) -> None:
    """A superblock of before it was made has its own name again, and all that is there."""
    partition.run()
    first = partition.marks()
    subprocess.run(["/usr/sbin/e2label", partition.image, "stairwell-new"], check=True)
    assert 0 == partition.run()[0]
    assert first == partition.marks()


def test_a_data_partition_without_any_superblock(partition: DataPartition) -> None:
    """What people could still save is not touched; what to do is said, at each start."""
    partition.run()
    partition.destroy(0, partition.image.stat().st_size)
    for _ in range(2):
        code, said = partition.run()
        assert (1, True) == (code, "the data partition is damaged: save what is on it" in said), said
        assert not any(partition.image.read_bytes())


def test_a_writable_root_has_none_of_it(tmp_path: Path) -> None:
    """By default nothing is partitioned, mounted or taken off the image's command line."""
    kit = rendered(tmp_path)
    assert {} == units(kit)
    assert "partition" not in kit.boot
    for word in IMAGES:
        assert word in kit.plan(cloud_init=True).apply(f"rootwait {word}").split()


@pytest.mark.parametrize("word", IMAGES)
def test_the_images_own_growth_goes(kit: Rendered, word: str) -> None:
    """The image would give the whole card to the system."""
    assert word not in kit.plan(cloud_init=True).apply(f"rootwait {word}").split()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[persist]]\npath = 'var/x'\nmode = '0755'\nowner = 'root'\nwhy = 'x'", "persist.0.path"),
        ("[[persist]]\npath = '/var/x'\nmode = '0755'\nowner = 'root'", "persist.0.why"),
        ("[[persist]", "persist.toml: cannot be used"),
    ],
)
def test_a_wrong_list(tmp_path: Path, text: str, problem: str) -> None:
    """It is refused by name: a kit must not lose its state for a misprint."""
    (tmp_path / readonly.LIST).write_text(text)
    with pytest.raises(ConfigError, match=problem):
        readonly.kept(tmp_path)


# --- the places on the data partition -------------------------------------------------------------------

ME = pwd.getpwuid(os.geteuid()).pw_name


def keep(root: Path, lines: str) -> None:
    (root / "etc").mkdir(parents=True, exist_ok=True)
    (root / "data").mkdir(exist_ok=True)
    (root / readonly.KEEP).write_text(f"# head\n{lines}")
    environment = {"PATH": os.environ["PATH"], "STAIRWELL_ROOT": str(root)}
    subprocess.run([SCRIPT], env=environment, check=True)


def test_a_place_is_filled_once(tmp_path: Path) -> None:
    """It begins with what the system has there; later it is the kit's own, and what is there stays."""
    (tmp_path / "var/lib/x/y").mkdir(parents=True)
    (tmp_path / "var/lib/x/y/seed").write_text("1")
    keep(tmp_path, f"/var/lib/x 0700 {ME}\n/opt/new 0750 {ME}\n")
    place = tmp_path / "data/var/lib/x/y/seed"
    assert "1" == place.read_text()
    for folder in ("opt/new", "data/opt/new"):
        assert 0o750 == (tmp_path / folder).stat().st_mode & 0o777
    place.write_text("2")
    keep(tmp_path, f"/var/lib/x 0700 {ME}\n")
    assert "2" == place.read_text()


def test_half_a_place_is_made_anew(tmp_path: Path) -> None:
    """What a power cut left under another name is no place, and goes."""
    (tmp_path / "var/x").mkdir(parents=True)
    (tmp_path / "var/x/whole").touch()
    (tmp_path / "data/var/x.new").mkdir(parents=True)
    (tmp_path / "data/var/x.new/half").touch()
    keep(tmp_path, f"/var/x 0700 {ME}\n")
    assert ["x"] == [path.name for path in (tmp_path / "data/var").iterdir()]
    assert ["whole"] == [path.name for path in (tmp_path / "data/var/x").iterdir()]


def test_what_is_not_installed_is_not_kept(tmp_path: Path) -> None:
    """Without the user of its package there is no place, and no mount point."""
    keep(tmp_path, "/var/lib/chrony 0750 nobody-of-this-name\n")
    assert [] == list((tmp_path / "data").iterdir())
    assert not (tmp_path / "var").exists()
