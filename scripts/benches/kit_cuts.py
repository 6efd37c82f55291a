"""Where the power goes during a kit's first day: seen from outside, by what lies on its disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit_machine import STATE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CARD_DONE = "var/lib/stairwell-card.done"
STATUS, PACKAGE = "var/lib/dpkg/status", "\nPackage: stairwell-agent\nStatus: install ok installed\n"


@dataclass(frozen=True, slots=True)
class Cut:
    """A moment: `seen` once it has come, `over` once the step was done to its end."""

    name: str
    when: str
    seen: Callable[[Path], bool]
    over: Callable[[Path], bool]


def there(path: str) -> Callable[[Path], bool]:
    """Whether something lies at `path`, a link that leads nowhere included."""

    def look(disk: Path) -> bool:
        found = disk / path
        return found.is_symlink() or found.exists()

    return look


def gone(path: str) -> Callable[[Path], bool]:
    """Whether nothing does."""
    found = there(path)
    return lambda disk: not found(disk)


def says(path: str, words: str) -> Callable[[Path], bool]:
    """Whether the file holds these words."""

    def look(disk: Path) -> bool:
        try:
            return words in (disk / path).read_text("utf-8", "replace")
        except OSError:
            return False

    return look


CUTS = (
    Cut(
        "begin",
        "the card's unit is in place, its start is still on the command line",
        there("etc/systemd/system/stairwell-card.service"),
        there("etc/ssh/stairwell_user_ca.pub"),
    ),
    Cut(
        "settings",
        "while the settings of the system are unpacked",
        there("etc/ssh/stairwell_user_ca.pub"),
        there("usr/lib/stairwell"),
    ),
    Cut(
        "packages",
        "in the middle of dpkg",
        there("usr/lib/stairwell"),
        says(STATUS, PACKAGE),
    ),
    Cut(
        "file",
        "the packages are installed, the claim lies in the state directory",
        there(f"{STATE}/enrol.toml"),
        there(CARD_DONE),
    ),
    Cut(
        "card",
        "the card is installed, the restart has not come",
        there(CARD_DONE),
        gone(f"{STATE}/enrol.toml"),
    ),
    Cut(
        "own_settings",
        "the kit's settings are written",
        says("etc/stairwell/agent.toml", "# Written by the first boot"),
        there(f"{STATE}/burnin.json"),
    ),
    Cut(
        "burn_in",
        "in the middle of the burn-in",
        there(f"{STATE}/burnin.trial"),
        there(f"{STATE}/burnin.json"),
    ),
    Cut("proof", "the burn-in is proved", there(f"{STATE}/burnin.json"), there(f"{STATE}/tls/kit")),
    Cut("key", "the kit has made its key", there(f"{STATE}/tls/1/kit.key"), gone(f"{STATE}/enrol.toml")),
    # The certificate, and the end of the claim's file, are milliseconds apart.
    Cut(
        "papers",
        "the certificate counts, the agent may be starting",
        there(f"{STATE}/tls/kit"),
        lambda _: False,
    ),
)
