"""The scripts that people start: what they refuse, what they repair, and that they say so."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SCRIPTS = [*sorted(p for p in (ROOT / "scripts").iterdir() if p.is_file()), ROOT / ".ci" / "run"]
SHELL = [path for path in SCRIPTS if path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash")]
OUTSIDE = ("tests/outside/package.json", "tests/outside/package-lock.json")
NOBODY = 65534
BASE_PYTHON = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def copy() -> Iterator[Path]:
    """The scripts with what they read, apart from the environment that runs these tests.

    It lies where every user may read it; pytest's own directory is for its owner only.
    """
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        root.chmod(0o755)
        shutil.copytree(ROOT / "scripts", root / "scripts")
        for name in ("pyproject.toml", "uv.lock", *OUTSIDE):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
        yield root


def run(command: list[object], **options: object) -> subprocess.CompletedProcess[str]:
    """Without a network to install from: whatever must be downloaded fails."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "PYTHON": str(BASE_PYTHON),
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        **options.pop("env", {}),
    }
    return subprocess.run(
        [str(part) for part in command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def make_environment(venv: Path) -> None:
    """An environment in which only the packages are missing."""
    subprocess.run([BASE_PYTHON, "-m", "venv", "--without-pip", venv], check=True)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_can_be_run(path: Path) -> None:
    """Each is executable, names its interpreter and says in its head what it is for."""
    assert os.access(path, os.X_OK)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#!/usr/bin/env ")
    assert lines[1].startswith(("# ", '"""'))


def test_shellcheck() -> None:
    """The shell scripts have none of the mistakes that shellcheck knows."""
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    parts = [*(ROOT / "scripts" / "remote").iterdir(), ROOT / "scripts" / "first-aid"]
    verdict = subprocess.run(["shellcheck", *SHELL, *parts], capture_output=True, text=True, check=False)
    assert verdict.stdout == ""


def test_help(copy: Path) -> None:
    """--help tells the options and variables, and does nothing."""
    done = run([copy / "scripts" / "setup", "--help"])
    assert 0 == done.returncode
    for word in ("--run", "PYTHON=", "VENV="):
        assert word in done.stdout
    assert not (copy / ".venv").exists()


@pytest.mark.parametrize(
    ("others", "fails", "code", "verdicts"),
    [
        ([], "", 0, ["passed"]),
        (["3.99"], "", 1, ["passed", "FAILED (not on this machine)"]),
        ([], "setup", 1, ["FAILED"]),
        ([], "test", 1, ["FAILED"]),
    ],
)
def test_checks_pass_on_every_python_or_fail(
    copy: Path, others: list[str], fails: str, code: int, verdicts: list[str]
) -> None:
    """One that is not there is no success of the others; the last line names each."""
    checks(copy, fails)
    versions = [BASE_PYTHON.name.removeprefix("python"), *others]
    done = run([copy / ".ci" / "run"], env={"PYTHONS": " ".join(versions), "PATH": first_found()})
    told = done.stdout.splitlines()[-1].removeprefix("ci: ").split("; ")
    assert code == done.returncode
    assert [True] * len(told) == [
        line.startswith(f"Python {version} {verdict}")
        for line, version, verdict in zip(told, versions, verdicts, strict=True)
    ]


def test_checks_want_both_pythons_of_the_fleet(copy: Path) -> None:
    """Unless somebody asks for less."""
    checks(copy)
    told = run([copy / ".ci" / "run"], env={"PATH": first_found()}).stdout.splitlines()[-1]
    assert ["Python 3.11", "Python 3.13"] == re.findall(r"Python [0-9.]+", told)


def checks(copy: Path, fails: str = "") -> None:
    """`.ci/run` with a set-up and tests that take no time, of which one fails."""
    (copy / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", copy / ".ci" / "run")
    for name in ("setup", "test"):
        (copy / "scripts" / name).write_text(f"#!/bin/sh\nexit {int(name == fails)}\n")


def first_found() -> str:
    """A path on which the Python of these tests is the first of its version."""
    return f"{BASE_PYTHON.parent}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("arguments", "env", "message"),
    [
        (["--fast"], {}, "unknown option --fast; known are --dev, --run, --camera and --demo"),
        (["--run", "--dev"], {}, "one option at most"),
        ([], {"PYTHON": "/nonexistent/python"}, "PYTHON=/nonexistent/python is no Python 3.11, 3.12 or 3.13"),
    ],
)
def test_what_is_refused(copy: Path, arguments: list[str], env: dict[str, str], message: str) -> None:
    """A wrong option or Python ends with one line that names it, before anything is touched."""
    done = run([copy / "scripts" / "setup", *arguments], env=env)
    assert 1 == done.returncode
    assert message in done.stderr
    assert not (copy / ".venv").exists()


def test_a_strange_directory_is_not_deleted(copy: Path) -> None:
    """VENV set to something that is no environment by mistake: refused, and not a file is touched."""
    letters = copy / "letters"
    letters.mkdir()
    (letters / "diary.txt").write_text("dear diary")
    done = run([copy / "scripts" / "setup"], env={"VENV": str(letters)})
    assert 1 == done.returncode
    assert "is something else, not an environment of ours" in done.stderr
    assert ["diary.txt"] == [path.name for path in letters.iterdir()]


@pytest.mark.slow
def test_a_half_made_environment_is_made_anew(copy: Path) -> None:
    """What a killed set-up left is removed; without a network it fails, says so, and can be started again."""
    make_environment(copy / ".venv")
    (copy / ".venv" / "rubbish").touch()
    done = run([copy / "scripts" / "setup"])
    assert 0 != done.returncode
    assert ".venv is half-made or of another kind: making it anew" in done.stdout
    assert "failed; run it again after the problem above is solved" in done.stderr
    assert not (copy / ".venv" / "rubbish").exists()
    assert not (copy / ".venv" / ".stairwell-setup").exists()


def test_a_killed_setup_is_recognised(copy: Path) -> None:
    """SIGKILL while the environment is made leaves something that the next start makes anew."""
    assert "making .venv with" in kill_after_first_line(copy)
    assert (copy / ".venv" / ".stairwell-env").exists()
    assert ".venv is half-made or of another kind: making it anew" in kill_after_first_line(copy)


def kill_after_first_line(root: Path) -> str:
    """Start the set-up, wait until it writes into the environment, kill it; what it said first."""
    with subprocess.Popen(
        [root / "scripts" / "setup"],
        env={"PATH": os.environ["PATH"], "PYTHON": str(BASE_PYTHON), "PIP_NO_INDEX": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        while not (root / ".venv" / "bin").exists():
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
    return said


def finish(root: Path, mode: str) -> None:
    """Write the stamp that a finished set-up leaves."""
    make_environment(root / ".venv")
    version = sys.version.split(maxsplit=1)[0]
    names = ("pyproject.toml", "uv.lock", *(OUTSIDE if mode == "dev" else ()))
    content = b"".join((root / name).read_bytes() for name in names)
    digest = hashlib.sha256(content).hexdigest()
    stamp = f"{mode} python {version} {sys.base_prefix} in {root.resolve()}, {digest}\n"
    (root / ".venv" / ".stairwell-setup").write_text(stamp)


@pytest.mark.parametrize(("made", "asked"), [("dev", "--dev"), ("run", "--run"), ("dev", "--run")])
@pytest.mark.parametrize("env", [{}, {"PYTHON": ""}], ids=["python named", "python found"])
def test_the_second_time_nothing_is_done(copy: Path, made: str, asked: str, env: dict[str, str]) -> None:
    """A finished environment is left as it is, without a network; a developer's serves the agent too."""
    finish(copy, made)
    done = run([copy / "scripts" / "setup", asked], env=env)
    assert (0, "") == (done.returncode, done.stderr)
    assert "nothing to do" in done.stdout


@pytest.mark.parametrize("lock", ["uv.lock", OUTSIDE[1]])
def test_a_changed_lock_is_noticed(copy: Path, lock: str) -> None:
    """With another lock the environment is brought up to date: kept, but no longer called finished."""
    finish(copy, "dev")
    with (copy / lock).open("a") as file:
        file.write("# changed\n")
    done = run([copy / "scripts" / "setup"])
    assert 0 != done.returncode
    assert "anew" not in done.stdout
    assert "installing uv==" in done.stdout
    assert not (copy / ".venv" / ".stairwell-setup").exists()


def test_the_agents_environment_is_not_the_developers(copy: Path) -> None:
    """After --run the tests still need --dev."""
    finish(copy, "run")
    assert "installing uv==" in run([copy / "scripts" / "setup", "--dev"]).stdout


def test_without_rights_it_says_what_to_install(copy: Path) -> None:
    """A user who may not install is given the one line that somebody must run."""
    programs = copy / "bin"
    programs.mkdir()
    for name in ("bash", "env", "dirname", "uname", "flock", "apt-get", "mosquitto", "sed"):
        found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        assert found, f"{name} is needed for this test"
        (programs / name).symlink_to(found)
    python = shutil.which("python3", path="/usr/bin")
    if python is None or run([python, "-c", "import ensurepip, tomllib"]).returncode != 0:
        pytest.skip("a Python that every user may run is needed")
    options = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    done = run(
        [copy / "scripts" / "setup"],
        env={"PATH": str(programs), "PYTHON": python},
        stdin=subprocess.DEVNULL,
        **options,
    )
    assert 1 == done.returncode
    # Where Debian keeps these the set-up looks by itself: whether they are named depends on this machine.
    sbin = {"nft": "nftables", "mkfs.vfat": "dosfstools", "sfdisk": "fdisk", "debugfs": "e2fsprogs"}
    sbin |= {"dnsmasq": "dnsmasq-base"}
    sbin |= {"sshd": "openssh-server", "/lib/systemd/systemd-journal-remote": "systemd-journal-remote"}
    there = {package for program, package in sbin.items() if shutil.which(program, path="/usr/sbin:/sbin")}
    wanted = (
        "mosquitto-clients ffmpeg age faketime openssl strongswan-pki libstrongswan-standard-plugins "
        "shellcheck nftables dnsmasq-base mtools dosfstools fdisk e2fsprogs swtpm libtss2-tcti-swtpm0 "
        "systemd systemd-journal-remote openssh-server openssh-client poppler-utils "
        "chromium-headless-shell nodejs npm"
    )
    packages = " ".join(name for name in wanted.split() if name not in there)
    line = f"apt-get install --yes --no-install-recommends {packages}"
    assert f"somebody with root's rights must run: {line}" in done.stderr


@pytest.mark.slow
def test_the_agent_is_not_built(copy: Path) -> None:
    """Nothing is fetched that no lock pins; the command runs this agent, wherever it is typed."""
    finish(copy, "run")
    with (copy / "uv.lock").open("a") as lock:
        lock.write("# changed\n")
    packages = next((copy / ".venv" / "lib").iterdir()) / "site-packages"
    (packages / "pip.py").write_text("")  # stands in for the installer of the installer
    uv = copy / ".venv" / "bin" / "uv"
    uv.write_text(f'#!/bin/sh\necho "$@" >{copy}/asked\n')
    uv.chmod(0o755)
    for place, word in ((copy, "ours"), (copy / "elsewhere", "theirs")):
        (place / "agent").mkdir(parents=True)
        (place / "agent" / "__main__.py").write_text(f"import sys\nprint({word!r}, *sys.argv[1:])\n")

    done = run([copy / "scripts" / "setup", "--run"])
    said = run([copy / ".venv" / "bin" / "stairwell", "a b"], cwd=copy / "elsewhere")

    assert (0, "") == (done.returncode, done.stderr)
    assert {"sync", "--frozen", "--no-install-project"} <= set((copy / "asked").read_text().split())
    assert ("ours a b\n", "") == (said.stdout, said.stderr)


def test_a_camera_wants_the_systems_picamera2(copy: Path) -> None:
    """It is installed by apt, which only Raspberry Pi OS has it from; nothing is made before it is there."""
    programs = copy / "bin"
    programs.mkdir()
    for name, does in (("dpkg-query", "exit 1"), ("apt-get", f'echo "$@" >>{copy}/asked; exit 1')):
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    if os.geteuid() != 0:
        (programs / "sudo").write_text('#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n')
        (programs / "sudo").chmod(0o755)
    done = run([copy / "scripts" / "setup", "--camera"], env={"PATH": f"{programs}:{os.environ['PATH']}"})
    assert 1 == done.returncode
    assert "install --yes --no-install-recommends python3-picamera2" in (copy / "asked").read_text()
    assert "(Raspberry Pi OS has Picamera2, Debian has not)" in done.stderr
    assert not (copy / ".venv").exists()


def picamera2_is_there(root: Path) -> str:
    """A PATH on which apt's Picamera2 counts as installed."""
    programs = root / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "dpkg-query").write_text("#!/bin/sh\nprintf installed\n")
    (programs / "dpkg-query").chmod(0o755)
    return f"{programs}:{os.environ['PATH']}"


@pytest.mark.slow
def test_a_camera_wants_the_system_in_sight(copy: Path) -> None:
    """An environment that hides apt's packages is made anew as one that shows them."""
    finish(copy, "run")
    done = run([copy / "scripts" / "setup", "--camera"], env={"PATH": picamera2_is_there(copy)})
    assert ".venv is half-made or of another kind: making it anew" in done.stdout
    assert "include-system-site-packages = true" in (copy / ".venv" / "pyvenv.cfg").read_text()


@pytest.mark.parametrize("asked", ["--run", "--camera"])
def test_a_camera_stays_in_sight(copy: Path, asked: str) -> None:
    """Bringing a kit up to date takes its camera away from nobody."""
    finish(copy, "run camera")
    configuration = copy / ".venv" / "pyvenv.cfg"
    configuration.write_text(configuration.read_text().replace("= false", "= true"))
    done = run([copy / "scripts" / "setup", asked], env={"PATH": picamera2_is_there(copy)})
    assert (0, "") == (done.returncode, done.stderr)
    assert "nothing to do" in done.stdout


def test_a_kit_gets_no_broker(copy: Path) -> None:
    """Only the demonstration wants one, and says so where it is missing."""
    setup = copy / "scripts" / "setup"
    setup.write_text(setup.read_text().replace("PATH=$PATH:/usr/sbin:/sbin", "PATH=$PATH"))
    programs = copy / "bin"
    programs.mkdir()
    for name in ("bash", "env", "dirname", "uname", "flock", "sed", "cat", "sha256sum", "cut"):
        found = shutil.which(name)
        assert found, f"{name} is needed for this test"
        (programs / name).symlink_to(found)
    finish(copy, "run")

    kit, demo = (run([setup, mode], env={"PATH": str(programs)}) for mode in ("--run", "--demo"))

    assert (0, "") == (kit.returncode, kit.stderr)
    assert "install these programs by hand: mosquitto" in demo.stderr
