"""The plain look at a kit, in dash: each of its questions driven into good, bad and worse."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from broker import free_port

SCRIPT = Path(__file__).parent.parent / "scripts" / "first-aid"
SHELL = shutil.which("dash") or "/bin/sh"
NEEDED = (
    "awk",
    "cat",
    "cut",
    "date",
    "df",
    "dirname",
    "getent",
    "grep",
    "printf",
    "sed",
    "tail",
    "timeout",
    "tr",
)
HOST = "localhost"


class Kit:
    """A kit made of files below `root` and of programs that say what they are told to."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.programs = directory / "bin"
        self.programs.mkdir()
        for name in (*NEEDED, "bash"):
            found = shutil.which(name)
            if found:
                (self.programs / name).symlink_to(found)
        self.state = directory / "state"
        self.state.mkdir()
        self.put("proc/meminfo", "MemTotal: 1000000 kB\nMemFree: 1 kB\nMemAvailable: 500000 kB\n")
        self.put("proc/mounts", f"/dev/a / ext4 rw,noatime 0 0\n/dev/b {self.state} ext4 rw 0 0\n")
        self.put("sys/class/thermal/thermal_zone0/temp", "48312\n")
        self.put("sys/devices/platform/soc/soc:firmware/get_throttled", "0\n")
        self.configure(free_port())
        self.program("stairwell", "echo 0.1.0")
        self.program("dpkg-query", 'printf "install ok installed"')
        self.program("systemctl", "case $* in *NRestarts*) echo 0 ;; *) echo active ;; esac")
        self.program("timedatectl", "echo yes")
        self.program("dmesg", "echo '[ 1.0] all is well'")
        self.program(
            "df", "printf 'Filesystem 1024-blocks Used Available Capacity Mounted\\n/dev/a 9 1 8 20%% /\\n'"
        )
        self.program("nc", "exit 0")

    def put(self, name: str, text: str) -> None:
        """A file of the kit."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def configure(self, port: int, host: str = HOST) -> None:
        """Its configuration, as somebody may have typed it."""
        self.put(
            "etc/stairwell/agent.toml",
            '[kit]\nid = "k7f3k2qx4m"\n[backbone]\n#host = "commented"\n'
            f'  host = "{host}" # the city\nport={port}\n[state]\ndir = "{self.state}"\n',
        )

    def program(self, name: str, script: str) -> None:
        """A program of the kit."""
        path = self.programs / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def without(self, *names: str) -> None:
        """Programs that it does not have."""
        for name in names:
            (self.programs / name).unlink()

    def look(self, *arguments: str) -> tuple[int, str]:
        """(exit code, what is told)."""
        done = subprocess.run(
            [SHELL, SCRIPT, *arguments],
            env={"PATH": str(self.programs), "FIRST_AID_ROOT": str(self.root), "LANG": "en_US.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(tmp_path)


def test_all_is_well(kit: Kit) -> None:
    """Nothing but good marks, in both languages."""
    code, told = kit.look()
    assert 0 == code
    assert {"✓"} == {line[0] for line in told.splitlines()}
    assert "✓ Settings: there, kit k7f3k2qx4m" in told
    assert told.count("\n") == kit.look("--lang", "uk")[1].count("\n")
    assert "✓ Живлення: добре" in kit.look("--lang=uk")[1]


@pytest.mark.parametrize(
    ("file", "text", "word", "code"),
    [
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "50000\n", "! Supply: was below 4.63 V", 1),
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n", "✗ Supply: below 4.63 V now", 2),
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "odd\n", "– Supply", 0),
        ("sys/class/thermal/thermal_zone0/temp", "76000\n", "! Temperature: 76 °C", 1),
        ("sys/class/thermal/thermal_zone0/temp", "83500\n", "✗ Temperature: 83 °C", 2),
        ("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 100 kB\n", "! Memory: 0 MB free (10 %)", 1),
        ("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 10 kB\n", "✗ Memory: 0 MB free (1 %)", 2),
        ("proc/meminfo", "", "– Memory", 0),
        ("etc/stairwell/agent.toml", "[site]\n", "✗ Settings: kit.id is not set", 2),
        ("etc/stairwell/agent.toml", "[kit]\nid='k7f3k2qx4m'\n", "✗ Broker: backbone.host is not set", 2),
    ],
)
def test_by_files(kit: Kit, file: str, text: str, word: str, code: int) -> None:
    """What the kernel and the configuration say; each trouble has a fix below it."""
    kit.put(file, text)
    found, told = kit.look()
    assert code == found
    assert word in told
    lines = told.splitlines()
    assert all(lines[n + 1].startswith("  → ") for n, line in enumerate(lines) if line[0] in "!✗")


@pytest.mark.parametrize(
    ("program", "script", "word", "code"),
    [
        ("stairwell", "echo 'ImportError: numpy' >&2; exit 1", "✗ The agent does not start: ImportError", 2),
        ("dpkg-query", 'printf "install ok half-configured"', "✗ Package: install ok half-configured", 2),
        ("systemctl", "case $* in *NRestarts*) echo 7 ;; *) echo failed ;; esac", "✗ Service: failed, 7", 2),
        ("systemctl", "exit 1", "– Service", 0),
        ("timedatectl", "echo no", "! Clock: ", 1),
        ("timedatectl", "exit 1", "– Clock: ", 0),
        ("date", "echo 1970", "✗ Clock: 1970, it was never set", 2),
        ("dmesg", "echo 'mmc0: error -110 whilst initialising'", "✗ Card: 1 errors", 2),
        ("dmesg", "exit 1", "– The kernel's log: needs root", 0),
        ("df", "printf 'x\\n/dev/a 9 1 8 88%% /\\n'", "! Disk", 1),
        ("df", "printf 'x\\n/dev/a 9 1 8 95%% /\\n'", "✗ Disk", 2),
        ("getent", "exit 2", "✗ Name localhost: DNS does not know it", 2),
        ("nc", "exit 1", "the port does not answer", 2),
    ],
)
def test_by_programs(kit: Kit, program: str, script: str, word: str, code: int) -> None:
    """What the system's own programs say."""
    kit.program(program, script)
    found, told = kit.look()
    assert code == found
    assert word in told


def test_a_card_that_became_read_only(kit: Kit) -> None:
    """The file system of the state is the one that counts."""
    kit.put("proc/mounts", f"/dev/a / ext4 rw 0 0\n/dev/b {kit.state} ext4 ro,noatime 0 0\n")
    assert "✗ Card: read-only" in kit.look()[1]
    kit.put("proc/mounts", f"/dev/a / ext4 ro 0 0\n/dev/b {kit.state} ext4 rw 0 0\n")
    assert (0, False) == (kit.look()[0], "read-only" in kit.look()[1])


def test_without_most_programs(kit: Kit) -> None:
    """What cannot be asked is said, and fails nothing."""
    kit.without("systemctl", "timedatectl", "dpkg-query", "nc", "bash", "timeout")
    code, told = kit.look()
    assert 0 == code
    assert 3 == told.count("– ")
    kit.without("stairwell")
    assert "✗ The agent is not installed" in kit.look()[1]


def test_the_port_by_bash(kit: Kit) -> None:
    """Where there is no nc, bash can try a port."""
    kit.without("nc")
    assert "the port does not answer" in kit.look()[1]


def test_last_lines(kit: Kit) -> None:
    """Of the journal, at the end."""
    kit.program("journalctl", "echo 'ERROR agent: boom'")
    assert kit.look()[1].endswith("The last lines of the journal:\n  ERROR agent: boom\n")


@pytest.mark.parametrize("arguments", [["--lang", "de"], ["--lang"], ["--fast"]])
def test_wrong_words(kit: Kit, arguments: list[str]) -> None:
    """Exit code 3, as the doctor's."""
    done = subprocess.run(
        [SHELL, SCRIPT, *arguments],
        env={"PATH": str(kit.programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 3 == done.returncode
    assert arguments[-1] in done.stderr
