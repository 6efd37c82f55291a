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
BUILD = "scripts/build-deb --arch arm64 --suite"


@dataclass(frozen=True, slots=True)
class Package:
    """One package file."""

    path: Path
    name: str
    sha256: str


def packages(paths: Sequence[Path], suite: Suite) -> tuple[Package, ...]:
    """The packages at `paths`, ours among them, fit for a kit of `suite`.

    Raises:
        ConfigError: a file is no package, one is for another machine, ours is missing or for another suite.
    """
    found: dict[str, Package] = {}
    for path in paths:
        name, version, architecture = _fields(path)
        if architecture not in ARCHITECTURES:
            raise ConfigError(f"{path}: for {architecture}, and a kit is arm64", fix="take the arm64 package")
        if name == AGENT and not version.endswith(RELEASES[suite]):
            raise ConfigError(f"{path}: version {version} is not for {suite}", fix=f"{BUILD} {suite}")
        if name in found:
            raise ConfigError(
                f"{path}: {name} a second time, beside {found[name].path}", fix="give each package once"
            )
        found[name] = Package(path, name, _sha256(path))
    if AGENT not in found:
        raise ConfigError(
            f"no {AGENT} package for {suite} was given", fix=f"{BUILD} {suite}, then --package FILE"
        )
    return tuple(found.values())


def _fields(path: Path) -> tuple[str, str, str]:
    try:
        text = run(
            "dpkg-deb", "--show", "--showformat=${Package}\\n${Version}\\n${Architecture}\\n", path
        ).decode()
        name, version, architecture = text.splitlines()
    except (ProgramError, ValueError):
        raise ConfigError(f"{path}: no Debian package", fix=f"{BUILD} SUITE makes ours") from None
    return name, version, architecture


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
