"""The Debian packages that a card carries, so that the first boot needs no internet."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.card.program import ProgramError, run
from agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.card.image import Suite

AGENT = "stairwell-agent"
CAMERA = "python3-picamera2"
RELEASES: dict[Suite, str] = {"bookworm": "+deb12", "trixie": "+deb13"}
"""How the version of our package ends, by the suite it is for (scripts/build-deb)."""
ARCHITECTURES = {"arm64", "all"}
FIELDS = ("Package", "Version", "Architecture", "Pre-Depends", "Depends", "Provides")
BUILD = "scripts/build-deb --arch arm64 --suite"


@dataclass(frozen=True, slots=True)
class Package:
    """One package file. `depends` and `provides` are its fields as they stand, what it pre-depends on too."""

    path: Path
    name: str
    sha256: str
    version: str = ""
    depends: str = ""
    provides: str = ""


def packages(paths: Sequence[Path], suite: Suite) -> tuple[Package, ...]:
    """The packages at `paths`, ours among them, fit for a kit of `suite`.

    Raises:
        ConfigError: a file is no package or is cut off, one is for another machine, ours is missing or for
            another suite.
    """
    found: dict[str, Package] = {}
    for path in paths:
        name, version, architecture, *needs, provides = _fields(path)
        if architecture not in ARCHITECTURES:
            raise ConfigError(f"{path}: for {architecture}, and a kit is arm64", fix="take the arm64 package")
        if name == AGENT and not version.endswith(RELEASES[suite]):
            raise ConfigError(f"{path}: version {version} is not for {suite}", fix=f"{BUILD} {suite}")
        if name in found:
            raise ConfigError(
                f"{path}: {name} a second time, beside {found[name].path}", fix="give each package once"
            )
        _check_whole(path)
        depends = ", ".join(filter(None, needs))
        found[name] = Package(path, name, _sha256(path), version, depends, provides)
    if AGENT not in found:
        raise ConfigError(
            f"no {AGENT} package for {suite} was given", fix=f"{BUILD} {suite}, then --package FILE"
        )
    return tuple(found.values())


def _fields(path: Path) -> list[str]:
    """The values of FIELDS; an absent one is empty."""
    form = "".join(f"${{{name}}}\\n" for name in FIELDS)
    try:
        values = run("dpkg-deb", "--show", f"--showformat={form}", path).decode().split("\n")[:-1]
    except (ProgramError, ValueError):
        values = []
    if len(values) != len(FIELDS):
        raise ConfigError(f"{path}: no Debian package", fix=f"{BUILD} SUITE makes ours")
    return values


def _check_whole(path: Path) -> None:
    """What a download that broke off has lost is at its end, which `dpkg-deb --show` does not reach."""
    try:
        run("dpkg-deb", "--fsys-tarfile", path, keep=False)
    except ProgramError:
        raise ConfigError(
            f"{path}: no whole Debian package: cut off or damaged", fix="fetch it, or make it, again"
        ) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
