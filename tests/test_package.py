"""The Debian package: the same bytes twice, nothing that a kit has no use for, and it runs."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from test_scripts import BASE_PYTHON

import agent
from agent.capture import picamera_stack
from agent.city import keyfile, releasekey
from agent.device import release

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "scripts" / "build-deb"
SUITES = {(3, 11): ("bookworm", "deb12"), (3, 13): ("trixie", "deb13")}
LIBRARY = "./usr/lib/stairwell/"
SMALL_BYTES = 50_000
MB = 1e6

pytestmark = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None or sys.version_info[:2] not in SUITES,
    reason="needs dpkg-deb, and the Python of a suite that is built",
)


def build(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VENV": sys.prefix}
    return subprocess.run(
        [BUILD, "--out", out, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def built(out: Path) -> Path:
    """A package for this Python and machine, squeezed little: the bytes are many, the time is short."""
    done = build(out, "--suite", SUITES[sys.version_info[:2]][0], "--level", "1")
    assert 0 == done.returncode, done.stderr
    assert "build-deb: " in done.stdout
    (deb,) = out.iterdir()
    return deb


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def tree(deb: Path) -> Path:
    """The package's files."""
    subprocess.run(["dpkg-deb", "--extract", deb, deb.parent / "tree"], check=True)
    return deb.parent / "tree"


def members(deb: Path) -> list[tarfile.TarInfo]:
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        return list(archive)


@pytest.mark.slow
def test_the_same_bytes_twice(deb: Path, tmp_path: Path) -> None:
    """Who builds a release again gets the package that the kits have, byte for byte."""
    first, again = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (deb, built(tmp_path)))
    assert first == again


def test_what_is_inside(deb: Path) -> None:
    """Files of root's, readable by all, of one date; no tests, caches or commands of other packages."""
    found = members(deb)
    assert {("root", "root")} == {(member.uname, member.gname) for member in found}
    assert 1 == len({member.mtime for member in found})
    modes = {(member.isdir(), member.mode) for member in found}
    assert {(True, 0o755), (False, 0o755), (False, 0o644)} == modes
    commands = {
        "./usr/bin/stairwell",
        *(f"{LIBRARY}{name}" for name in ("escalate", "keep", "trial", "zram")),
    }
    assert commands == {m.name for m in found if m.isfile() and m.mode == 0o755}
    wrong = re.compile(r"\.pyc$|\.po$|/__pycache__|/tests(/|$)|\.pyi$|haarcascade|^\./usr/lib/stairwell/bin")
    assert [] == [member.name for member in found if wrong.search(member.name)]
    assert f"{LIBRARY}agent/locale/uk/LC_MESSAGES/stairwell.mo" in {member.name for member in found}
    ours = [m.name for m in found if m.isfile() and not m.name.startswith(LIBRARY)]
    places = {str(Path(name).parent) for name in ours}
    assert {
        *("etc/stairwell", "usr/bin", "usr/share/doc/stairwell-agent"),
        *("usr/share/bash-completion/completions", "usr/share/zsh/vendor-completions"),
        *(f"usr/lib/{part}" for part in ("sysusers.d", "tmpfiles.d", "udev/rules.d")),
        *(f"usr/lib/systemd/{part}" for part in ("system", "system.conf.d", "journald.conf.d")),
    } == places
    assert sum(member.size for member in found) < 450 * MB


def test_what_it_declares(deb: Path) -> None:
    """It goes onto one Python, one architecture, and upgrades from one Debian to the next."""
    fields = ("Package", "Version", "Architecture", "Depends", "Suggests")
    shown = subprocess.run(["dpkg-deb", "--field", deb, *fields], capture_output=True, text=True, check=True)
    said = dict(line.split(": ", 1) for line in shown.stdout.splitlines())
    debian = SUITES[sys.version_info[:2]][1]
    assert ("stairwell-agent", f"{agent.__version__}+{debian}") == (said["Package"], said["Version"])
    major, minor = sys.version_info[:2]
    assert f"python3 (>= {major}.{minor}), python3 (<< {major}.{minor + 1})" in said["Depends"]
    assert f"python3-picamera2 (>= {picamera_stack.LEAST})" in said["Suggests"]
    assert said["Architecture"] in deb.name
    conffiles = subprocess.run(["dpkg-deb", "--info", deb, "conffiles"], capture_output=True, check=True)
    assert b"/etc/stairwell/agent.toml\n" == conffiles.stdout


def test_licences(tree: Path) -> None:
    """Each package inside is named with its licence, and its text is inside as well."""
    text = (tree / "usr/share/doc/stairwell-agent/copyright").read_text(encoding="utf-8")
    library = tree / LIBRARY
    for info in library.glob("*.dist-info"):
        assert f"({info.name})" in text
        assert re.search(rf"^ \S+ \S+: .+ \({re.escape(info.name)}\)$", text, re.MULTILINE)
    assert (tree / "usr/share/doc/stairwell-agent/NOTICE").read_bytes() == (ROOT / "NOTICE").read_bytes()


@pytest.mark.parametrize("words", [["--version"], ["models", "check"]], ids=" ".join)
def test_it_runs_by_itself(tree: Path, words: list[str]) -> None:
    """On a Python without any package its own are enough: the detector finds the person of its picture."""
    library = tree / LIBRARY
    code = (tree / "usr/bin/stairwell").read_text().replace('"/usr/lib/stairwell"', repr(str(library)))
    done = subprocess.run(
        [BASE_PYTHON, "-I", "-S", "-c", code, *words], cwd="/", capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr


def test_maintainer_scripts() -> None:
    """What dpkg runs as root has none of the mistakes that shellcheck knows."""
    scripts = [
        ROOT / "scripts" / "deb" / name
        for name in ("postinst", "prerm", "postrm", "escalate", "keep", "trial", "zram")
    ]
    verdict = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert "" == verdict.stdout


def test_devices_that_are_there_are_given_to_the_agent() -> None:
    """Each udev rule is applied while the package installs, by an event of the kind that it waits for."""
    triggers = re.findall(
        r"^ *(udevadm trigger .*?) 2>", (ROOT / "scripts/deb/postinst").read_text(), re.MULTILINE
    )
    for line in (ROOT / "systemd/udev/70-stairwell.rules").read_text(encoding="utf-8").splitlines():
        rule = dict(re.findall(r'(ACTION|SUBSYSTEM|KERNEL)=="([^"]+)"', line))
        if not rule:
            continue
        devices = {
            f"--subsystem-match={rule.get('SUBSYSTEM')}",
            f"--sysname-match={rule.get('KERNEL')}",
        }
        (trigger,) = [words for one in triggers if devices & set(words := one.split())]
        kinds = {word.removeprefix("--action=") for word in trigger if word.startswith("--action=")}
        assert {rule.get("ACTION", "add")} == kinds, line
    for trigger in triggers:  # the real one takes each word
        subprocess.run([*trigger.split(), "--dry-run"], check=True)


@pytest.fixture(scope="module")
def small(deb: Path) -> Path:
    """The package without its large files, whose squeezing takes a minute."""
    whole = deb.parent / "small"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, whole], check=True)
    for path in whole.rglob("*"):
        if not path.is_symlink() and path.is_file() and path.stat().st_size > SMALL_BYTES:
            path.unlink()
    package = deb.parent / "small.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", "-Znone", whole, package], check=True)
    return package


def test_a_bundle_of_it(small: Path, tmp_path: Path) -> None:
    """The signed release has the package's own files and says of itself what the package says."""
    key = Ed25519PrivateKey.generate()
    keyfile.write(tmp_path / "key", key, None)
    words = ("--key", tmp_path / "key", "--out", tmp_path / "out", "--level", "0")
    done = subprocess.run(
        [ROOT / "scripts" / "build-bundle", small, *words],
        env={**os.environ, "VENV": sys.prefix},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    (bundle,) = (tmp_path / "out").iterdir()
    with bundle.open("rb") as stream:
        manifest = release.read(stream, bundle.name, [releasekey.public(key)])
        release.check_payload(stream, bundle.name, manifest)
    suite = SUITES[sys.version_info[:2]][0]
    assert (agent.__version__, suite) == (manifest.version, manifest.suite)
    assert f"stairwell-{agent.__version__}-{suite}-{manifest.architecture}.release" == bundle.name
    found = {m.name for m in members(small) if m.isfile() and m.name.startswith(LIBRARY)}
    assert found == {LIBRARY + entry.path for entry in manifest.files}
    runs = {entry.path for entry in manifest.files if entry.executable}
    assert {"escalate", "keep", "trial", "zram"} == runs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--arch", "armhf"], "--arch armhf: amd64 and arm64 are built"),
        (["--suite", "buster"], "--suite buster: bookworm and trixie are built"),
        (["--level", "23"], "--level 23: zstd has 1 to 22"),
        (["--fast"], "unknown option --fast; known are --arch, --suite, --out and --level"),
        (["--suite"], "--suite needs a value"),
    ],
)
def test_what_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    """A wrong argument ends with one line that names it, before anything is made."""
    done = build(tmp_path / "out", *arguments)
    assert (1, f"build-deb: {message}\n") == (done.returncode, done.stderr)
    assert not (tmp_path / "out").exists()
