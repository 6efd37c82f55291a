"""The technician's scripts for a laptop, against a kit behind a real sshd on this machine."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from app_parts import PEOPLE, settings, toml
from broker import free_port, wait_for

from agent.app.live import Agent
from agent.device.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPTS = Path(__file__).parent.parent / "scripts"
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
SSH = shutil.which("ssh")
SHIPPED = SCRIPTS.parent / "firmware-config/root/etc/ssh/sshd_config.d/60-stairwell.conf"


class Box:
    """A machine behind ssh. `programs` come first on its PATH. `more` are settings of its sshd."""

    def __init__(self, directory: Path, more: str = "") -> None:
        self.directory = directory
        self.programs = directory / "programs"
        self.laptop = directory / "laptop"
        for made in (self.programs, self.laptop):
            made.mkdir()
        self.port = free_port()
        for name in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True
            )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd locks its unprivileged half in
        (directory / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nPidFile none\n"
            f"AuthorizedKeysFile {directory}/user.pub\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
            f"SetEnv PATH={self.programs}:/usr/bin:/bin:/usr/sbin:/sbin\n{more}"
        )
        (directory / "ssh_config").write_text(
            f"Host kit\nHostName 127.0.0.1\nPort {self.port}\nUser {getpass.getuser()}\n"
            f"IdentityFile {directory}/user\nStrictHostKeyChecking accept-new\nLogLevel ERROR\n"
            f"UserKnownHostsFile {directory}/known\nIdentitiesOnly yes\n"
        )
        self._program(self.laptop / "ssh", f'exec {SSH} -F "{directory}/ssh_config" "$@"')
        assert SSHD is not None
        self._server = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", directory / "sshd_config"], stderr=subprocess.DEVNULL
        )
        wait_for(self.reached, 20)

    def reached(self) -> bool:
        """Whether ssh comes through, whatever is answered there."""
        done = subprocess.run([self.laptop / "ssh", "kit", "true"], capture_output=True, check=False)
        return done.returncode != 255

    def program(self, name: str, script: str) -> None:
        """Put a program on the kit."""
        self._program(self.programs / name, script)

    def run(self, script: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
        """One of the scripts, on the laptop."""
        return subprocess.run(
            [SCRIPTS / script, *map(str, arguments)],
            env={
                "PATH": f"{self.laptop}:/usr/bin:/bin",
                "LANG": "C",
                "HOME": str(self.directory),
                **environment,
            },
            capture_output=True,
            check=False,
            timeout=100,
        )

    def close(self) -> None:
        """Switch it off."""
        self._server.terminate()
        self._server.wait(20)

    @staticmethod
    def _program(path: Path, script: str) -> None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path)
    yield made
    made.close()


@pytest.fixture
def technician(tmp_path: Path) -> Iterator[Box]:
    """One that is entered as a kit's technician, by the settings that a kit's sshd gets."""
    more = SHIPPED.read_text(encoding="utf-8")
    more = more.replace("/usr/bin/stairwell", f"{tmp_path}/programs/stairwell")
    for line in ("AllowUsers steward technician", "Match User technician"):
        assert line in more
        more = more.replace(line, line.replace("technician", getpass.getuser()))
    made = Box(tmp_path, more)
    yield made
    made.close()


@pytest.fixture
def kit(box: Box) -> Iterator[Box]:
    """One with an agent that runs."""
    state = box.directory / "state"
    state.mkdir()
    chosen = settings(state, capture={"source": str(PEOPLE), "loop": True}, clips={"enabled": False})
    (state / "agent.toml").write_text(toml(chosen), encoding="utf-8")
    box.program(
        "stairwell",
        f'command=$1; shift\n[ "$command" = --version ] || set -- "$@" -c {state}/agent.toml\n'
        f'exec {sys.executable} -P -m agent "$command" "$@"',
    )
    agent, stop = Agent(chosen, SystemClock()), threading.Event()
    thread = threading.Thread(target=agent.run, args=(stop,), daemon=True)
    thread.start()
    wait_for(lambda: agent._analysis.latest, 30)
    yield box
    stop.set()
    thread.join(40)
    assert not thread.is_alive()


@pytest.mark.slow
def test_a_kit_that_works(kit: Box, tmp_path: Path) -> None:
    """The doctor's own words and exit code, a bundle with its id, a picture: all by the user's own ssh."""
    told = kit.run("diagnose", "kit", "--offline", "--only", "svc.*", "--json")
    assert told.stdout, told.stderr
    checks = json.loads(told.stdout)["checks"]
    assert {"svc.running"} <= {check["code"] for check in checks}
    assert told.returncode in {0, 1, 2}, told.stderr

    fetched = kit.run("fetch-bundle", "kit", tmp_path, "--quick")
    assert fetched.returncode == 0, fetched.stderr
    path = Path(fetched.stdout.decode().strip())
    with tarfile.open(path) as tar:
        assert "stairwell-" + path.name[10:18] == tar.getnames()[0].split("/")[0]
    assert 0o600 == path.stat().st_mode & 0o777

    looked = kit.run("look", "kit", "-o", tmp_path / "still.jpg")
    assert looked.returncode == 0, looked.stderr
    assert (tmp_path / "still.jpg").read_bytes().startswith(b"\xff\xd8")
    assert 0o600 == (tmp_path / "still.jpg").stat().st_mode & 0o777


def test_a_kit_without_an_agent(box: Box) -> None:
    """The plain look, in both languages, each line with its fix; nothing is left there."""
    english = box.run("diagnose", "kit", "--lang", "en")
    assert 2 == english.returncode, english.stderr
    assert b"a plain look instead" in english.stderr
    assert "✗ The agent is not installed\n  → sudo apt install" in english.stdout.decode()
    ukrainian = box.run("diagnose", "kit", LANG="uk_UA.UTF-8")
    assert "✗ Агента не встановлено\n  → sudo apt install" in ukrainian.stdout.decode()


def test_an_agent_that_breaks(box: Box) -> None:
    """One that cannot start is named with its last word, and no bundle comes of it."""
    box.program("stairwell", "echo 'ModuleNotFoundError: no module named numpy' >&2; exit 1")
    told = box.run("diagnose", "kit", "--lang", "en").stdout.decode()
    assert "✗ The agent does not start: ModuleNotFoundError: no module named numpy" in told
    fetched = box.run("fetch-bundle", "kit", box.directory)
    assert 3 == fetched.returncode
    assert b"scripts/diagnose kit" in fetched.stderr


def test_a_doctor_that_could_not_run(box: Box) -> None:
    """Its exit code 3 asks for the plain look, too."""
    box.program("stairwell", '[ "$1" = --version ] && echo 0.1.0 || exit 3')
    told = box.run("diagnose", "kit", "--lang", "en")
    assert b"a plain look instead" in told.stderr
    assert "✓ Agent: 0.1.0" in told.stdout.decode()


def test_words_arrive_as_they_were_given(box: Box) -> None:
    """No shell over there takes them for its own."""
    box.program("stairwell", '[ "$1" = --version ] || printf "<%s>" "$@"')
    told = box.run("diagnose", "kit", "--only", "net.*", "--skip", 'it\'s $HOME `id` "x"').stdout.decode()
    assert told.startswith('<doctor><--only><net.*><--skip><it\'s $HOME `id` "x"><--lang>')


def test_a_technician_is_shown_what_the_doctor_finds(technician: Box) -> None:
    """Though not one word of what is asked arrives; what the account cannot do is said, with who can."""
    technician.program("stairwell", 'echo "$*: the disk is full"; exit 2')
    told = technician.run("diagnose", "kit")
    assert (2, b"doctor: the disk is full\n", b"") == (told.returncode, told.stdout, told.stderr)
    told = technician.run("diagnose", "kit", "--quick")
    assert (2, True) == (told.returncode, b"the whole doctor, without --quick" in told.stderr)

    for script, arguments in (
        ("diagnose", ["--json"]),
        ("diagnose", ["--fix", "id.files", "--yes"]),
        ("fetch-bundle", [technician.directory]),
        ("look", ["-o", technician.directory / "still.jpg"]),
    ):
        told = technician.run(script, "kit", *arguments)
        assert (3, b"") == (told.returncode, told.stdout)
        assert b"come as steward" in told.stderr
    assert not list(technician.directory.glob("*.jpg"))


def test_a_technicians_doctor_that_could_not_run(technician: Box) -> None:
    """Its words are shown; a plain look would need the shell that this account does not have."""
    technician.program("stairwell", "echo 'no such configuration' >&2; exit 3")
    told = technician.run("diagnose", "kit")
    assert 3 == told.returncode
    assert b"no such configuration" in told.stderr
    assert b"come as steward" in told.stderr


@pytest.mark.slow
def test_a_technicians_doctor(technician: Box) -> None:
    """The real one, with what it says when nobody chose its options."""
    options = f"-c {technician.directory}/agent.toml --offline --only 'svc.*'"
    (technician.directory / "agent.toml").write_text(toml(settings(technician.directory)), encoding="utf-8")
    technician.program("stairwell", f'exec {sys.executable} -P -m agent "$@" {options} --lang en')
    told = technician.run("diagnose", "kit")
    assert 2 == told.returncode, told.stderr
    assert "✗ The agent runs: no (svc.running)" in told.stdout.decode()


@pytest.mark.parametrize("script", ["diagnose", "fetch-bundle", "look"])
def test_no_way_there(script: str, box: Box) -> None:
    """One line with what to do, and exit code 3."""
    arguments = ["-o", box.directory / "a.jpg"] if script == "look" else []
    told = box.run(script, "nobody.invalid", *arguments)
    assert 3 == told.returncode
    assert b"no way to nobody.invalid by ssh" in told.stderr


@pytest.mark.parametrize(
    ("script", "arguments", "word"),
    [
        ("diagnose", [], b"which kit?"),
        ("fetch-bundle", ["kit", "/dev/null"], b"/dev/null: no directory"),
        ("fetch-bundle", ["kit", "--fast"], b"unknown option --fast"),
        ("look", ["kit"], b"no terminal"),
        ("look", ["kit", "-o", "a.bmp"], b".jpg is what a kit sends"),
    ],
)
def test_wrong_words(script: str, arguments: list[str], word: bytes, tmp_path: Path) -> None:
    """Said before anybody is asked."""
    told = subprocess.run([SCRIPTS / script, *arguments], capture_output=True, check=False, cwd=tmp_path)
    assert 3 == told.returncode
    assert word in told.stderr
