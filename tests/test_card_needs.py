"""What a card's packages need is held against the image, by dpkg's rules, before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kitimages import make_image, make_package

from agent.card.image import layout
from agent.card.needs import check, installed
from agent.card.package import packages
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from agent.card.needs import Offers


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Offers:
    """What an image of trixie has."""
    path = make_image(tmp_path_factory.mktemp("image") / "trixie.img")
    return installed(path, layout(path))


@pytest.mark.parametrize(
    "needs",
    [
        "python3",
        "python3:any (>= 3.11), python3 (<< 3.14)",
        "python3 (= 3.13.5-1)",
        "mail-transport-agent",
        "smtpd (>= 2), python3-profiler",
        "nothing-of-that-name | python3 (>> 3)",
    ],
)
def test_what_the_image_has(tmp_path: Path, image: Offers, needs: str) -> None:
    """Real and virtual packages, versions, alternatives: each is met as dpkg would have it."""
    check(packages([make_package(tmp_path, fields=f"Depends: {needs}\n")], "trixie"), image)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("Depends: python3 (<< 3.12)", r"needs python3 \(<< 3\.12\), and there is 3\.13\.5-1"),
        ("Pre-Depends: python3 (>= 1:3)", r"needs python3 \(>= 1:3\), and there is"),
        ("Depends: half", "needs half, and neither image nor card has it"),
        ("Depends: libc6 (>= 2.36)", r"needs libc6 \(>= 2\.36\), and neither"),
        ("Depends: mail-transport-agent (>= 1)", "needs mail-transport-agent"),
        ("Depends: smtpd (>> 2)", r"needs smtpd \(>> 2\), and there is 2"),
        ("Depends: a | b (>= 1), c", r"needs a \| b \(>= 1\).*; .*needs c, and neither"),
    ],
)
def test_what_it_has_not(tmp_path: Path, image: Offers, fields: str, problem: str) -> None:
    """Another Python, a broken or a foreign package, an unversioned virtual one: all are told at once."""
    with pytest.raises(ConfigError, match=problem):
        check(packages([make_package(tmp_path, fields=f"{fields}\n")], "trixie"), image)


def test_what_the_card_brings(tmp_path: Path, image: Offers) -> None:
    """One package may need the other; one that is older than the image's is not unpacked, and counts not."""
    ours = make_package(tmp_path, fields="Depends: chrony (>= 4), python3 (>= 3.13), python3 (<< 3.14)\n")
    chrony = make_package(tmp_path, "chrony", "4.5-1", fields="Depends: mail-transport-agent\n")
    older, newer = (make_package(tmp_path, "python3", version) for version in ("3.9.2-3", "3.14.0-1"))
    check(packages([ours, chrony, older], "trixie"), image)
    with pytest.raises(ConfigError, match=r"needs python3 \(<< 3\.14\), and there is 3\.14\.0-1"):
        check(packages([ours, chrony, newer], "trixie"), image)
