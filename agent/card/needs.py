"""What the packages of a card need, held against what the image has: before a byte is written.

On the kit there is no archive to fetch a missing package from: dpkg would stop in the middle of first boot.
Alternatives, versions and virtual packages are read as Debian Policy 7 and deb-control(5) have them;
Conflicts and Breaks are not looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.card.program import ProgramError, run
from agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from agent.card.image import Layout
    from agent.card.package import Package

STATUS = "/var/lib/dpkg/status"
NATIVE = {"arm64", "all"}
RELATION = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]*)(:\w+)?\s*(\((?P<how><<|<=|=|>=|>>)\s*(?P<version>[^)\s]+)\s*\))?$"
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A package by this name, or another one that provides it, in this version (None: unversioned)."""

    version: str | None
    real: bool = True


Offers = dict[str, list[Offer]]


def installed(image: Path, where: Layout) -> Offers:
    """What is installed in the root partition of the raw image.

    Raises:
        ConfigError: its list of packages is missing or empty.
    """
    try:
        text = run("debugfs", "-R", f"cat {STATUS}", f"{image}?offset={where.root.start}").decode(
            errors="replace"
        )
    except ProgramError:
        text = ""
    offers: Offers = {}
    for fields in _paragraphs(text):
        if fields.get("Status", "").endswith(" installed") and fields.get("Architecture") in NATIVE:
            _offer(offers, fields.get("Package", ""), fields.get("Version", ""), fields.get("Provides", ""))
    if not offers:
        raise ConfigError(
            f"{image}: no list of installed packages ({STATUS}) in its root partition",
            fix="take an undamaged official image",
        )
    return offers


def check(packages: Sequence[Package], image: Offers) -> None:
    """Whether each package finds what it needs in the image, or among the others.

    Raises:
        ConfigError: one does not; every need that is not met is told.
    """
    offers = {name: list(found) for name, found in image.items()}
    for package in packages:
        # A lower version than the installed one is not unpacked: `install` says --refuse-downgrade.
        before = [offer for offer in offers.get(package.name, []) if offer.real and offer.version]
        if not any(_holds(offer.version or "", ">=", package.version) for offer in before):
            offers[package.name] = [offer for offer in offers.get(package.name, []) if not offer.real]
            _offer(offers, package.name, package.version, package.provides)
    problems = [
        f"{package.path.name} needs {need}, {_instead(need, offers)}"
        for package in packages
        for need in filter(None, (part.strip() for part in package.depends.split(",")))
        if not any(_met(one.strip(), offers) for one in need.split("|"))
    ]
    if problems:
        raise ConfigError(
            "; ".join(problems), fix="take the packages of the image's suite, and --package for each missing"
        )


def _met(relation: str, offers: Offers) -> bool:
    found = RELATION.match(relation)
    if found is None:
        return False
    how, version = found["how"], found["version"]
    return any(
        how is None or (offer.version is not None and _holds(offer.version, how, version))
        for offer in offers.get(found["name"], ())
    )


def _instead(need: str, offers: Offers) -> str:
    """What there is of that name."""
    found = RELATION.match(need.split("|", maxsplit=1)[0].strip())
    there = [offer.version for offer in offers.get(found["name"], ()) if offer.version] if found else []
    return f"and there is {', '.join(there)}" if there else "and neither image nor card has it"


def _holds(version: str, how: str, other: str) -> bool:
    """Whether one version stands so to another, by dpkg's own order."""
    try:
        run("dpkg", "--compare-versions", version, how, other)
    except ProgramError:
        return False
    return True


def _offer(offers: Offers, name: str, version: str, provides: str) -> None:
    offers.setdefault(name, []).append(Offer(version))
    for part in filter(None, (part.strip() for part in provides.split(","))):
        found = RELATION.match(part)
        if found is not None:
            offers.setdefault(found["name"], []).append(Offer(found["version"], real=False))


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    """The fields of each paragraph; of a field with more than one line only the first."""
    for paragraph in text.split("\n\n"):
        yield dict(_fields(paragraph.splitlines()))


def _fields(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, colon, value = line.partition(":")
        if colon and not line.startswith((" ", "\t")):
            yield name, value.strip()
