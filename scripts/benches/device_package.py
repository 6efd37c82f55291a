"""The Debian package in a fresh Debian: see guest/package.py for what is promised.

The version to upgrade to is the same package under a higher number: it is dpkg and our
scripts for it that are looked at.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pyrage import x25519

import container
import findings
from agent.errors import StairwellError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from findings import Finding

GUEST = Path(__file__).parent / "guest"
LIMIT_S = 900.0  # two minutes on an idle machine
EMULATED_S = 1800.0  # bytecode and one inference take minutes there


def built(suite: str, out: Path, architecture: str = "") -> Path:
    """The package, squeezed little; of this machine's architecture unless another one is named.

    Raises:
        StairwellError: scripts/build-deb failed.
    """
    command = [container.PROJECT / "scripts" / "build-deb", "--suite", suite, "--level", "1", "--out", out]
    if architecture:
        command += ["--arch", architecture]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise StairwellError("scripts/build-deb failed", fix="see what it says above")
    (deb,) = out.glob("*.deb")
    return deb


def run_in(suite: str, part: str, program: str, files: dict[str, Path], limit_s: float) -> Iterator[Finding]:
    """What a program of guest/ finds in a container of `suite`, as `reported`."""
    helpers = {"machine.py": GUEST / "machine.py"}
    root = container.debian(suite)
    return reported(part, suite, container.boot(root, GUEST / program, helpers | files, limit_s))


def reported(part: str, suite: str, done: container.Finished) -> Iterator[Finding]:
    """What the program has found.

    Raises:
        StairwellError: it ended without a word.
    """
    found = findings.of_lines(part, suite, done.output)
    yield from found
    silent = done.code != 0 and not done.rebooted and all(finding.ok for finding in found)
    if silent or not found:
        raise StairwellError(
            f"{part} {suite}: ended with {done.code} after {len(found)} checks: {done.output[-2000:]}",
            fix=f"the container's console ended with: {done.console[-1000:]}",
        )


def emulated(suite: str) -> Iterator[Finding]:
    """The package for a Pi's processor, on an emulated one: installed, asked, purged. Slow."""
    root = container.debian(suite, "arm64", "systemd,python3")
    with tempfile.TemporaryDirectory(dir=container.ROOTS) as directory:
        files = {
            "machine.py": GUEST / "machine.py",
            "agent.deb": built(suite, Path(directory) / "deb", "arm64"),
        }
        yield from reported("arm64", suite, container.emulate(root, GUEST / "emulated.py", files, EMULATED_S))


def recipient(directory: Path) -> Path:
    """A file with a public key to seal to; the secret half is nobody's."""
    path = directory / "recipient"
    path.write_text(str(x25519.Identity.generate().to_public()), encoding="utf-8")
    return path


def findings_of(suite: str) -> Iterator[Finding]:
    """Install, configure, use, upgrade, remove, put back, purge."""
    container.debian(suite)
    with tempfile.TemporaryDirectory(dir=container.ROOTS) as directory:
        deb = built(suite, Path(directory) / "deb")
        files = {"agent.deb": deb, "newer.deb": _newer(deb), "recipient": recipient(Path(directory))}
        yield from run_in(suite, "package", "package.py", files, LIMIT_S)


def erased(suite: str) -> Iterator[Finding]:
    """A kit that works is erased: units stopped, all gone, the receipt told before the last key is."""
    container.debian(suite)
    with tempfile.TemporaryDirectory(dir=container.ROOTS) as directory:
        files = {
            "agent.deb": built(suite, Path(directory) / "deb"),
            "recipient": recipient(Path(directory)),
        }
        yield from run_in(suite, "erase", "erase.py", files, LIMIT_S)


def _newer(deb: Path) -> Path:
    tree, newer = deb.parent / "tree", deb.parent / "newer"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: ", "Version: 99+", control.read_text()))
    command = ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z1", "--build", tree, newer]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return newer
