"""A small city for tests: its directory, kits in its register, and its enrolment service on loopback."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from broker import free_port
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.city import fleet, inventory
from agent.city.office import Office
from agent.city.service import Service
from agent.city.settings import CitySettings
from agent.device.clock import Stamp
from agent.device.identity import PublicKey
from agent.device.wallet import Wallet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.device.enrolfile import EnrolFile
    from agent.types import ClockState

_SIGNER = Ed25519PrivateKey.from_private_bytes(b"releases of the city, a test key")
RELEASE_KEY = PublicKey(_SIGNER.public_key()).text
"""In city.toml: whose releases kits take."""


class Wall:
    """A clock that is `ahead` of the machine's, or was never set."""

    boot = "00000000"

    def __init__(self, ahead: timedelta = timedelta(0), clk: ClockState = "ntp") -> None:
        self.ahead = ahead
        self.clk = clk

    @property
    def now(self) -> datetime:
        """The moment that it shows."""
        return datetime.now(UTC) + self.ahead

    def mono(self) -> float:
        """See Clock."""
        return time.monotonic()

    def unix_ms(self) -> int:
        """See Clock."""
        return round(1000 * self.now.timestamp())

    def stamp(self, mono: float | None = None) -> Stamp:
        """See Clock."""
        ts = None if self.clk == "none" else self.now.isoformat()
        return Stamp(self.boot, self.mono() if mono is None else mono, ts, self.clk)


class Town:
    """A city with an enrolment service at `url`, which runs within `serving`."""

    def __init__(self, directory: Path) -> None:
        self.clock = Wall()
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        settings = CitySettings(
            name="odesa", url=self.url, broker_host="localhost", release_keys=(RELEASE_KEY,)
        )
        self.office = Office.create(directory / "city", settings, None, "test", self.clock.now)
        self.directory = directory
        self._kits = 0

    def kit(self) -> str:
        """A new kit in the register."""
        self._kits += 1
        row = inventory.Row(
            oblast="51",
            city="odesa",
            district="kyivskyi",
            building="b",
            entrance=str(self._kits),
            purpose="p",
        )
        return fleet.take_in(self.office.registry, inventory.Plan(new=[row]), "test", self.clock.now)[0].kit

    def card(self, kit: str | None = None) -> EnrolFile:
        """The file of a new card, with a new claim."""
        known = self.office.registry.kit(kit or self.kit())
        [claim] = fleet.make_claims(self.office.registry, [known.kit], "test", self.clock.now)
        return fleet.card(self.office, known, claim, self.office.root_pem(), self.office.platform_public())

    def wallet(self, name: str = "kit") -> Wallet:
        """The papers of a kit, on a disk of its own."""
        return Wallet(self.directory / name / "tls")

    @contextlib.contextmanager
    def serving(self, clock: Wall | None = None) -> Iterator[Service]:
        """The service, while the block lasts."""
        service = Service(self.office, "127.0.0.1", self.port, clock or self.clock)
        service.start()
        try:
            yield service
        finally:
            service.close()

    def acts(self, kit: str) -> list[str]:
        """What the trail tells of a kit: who was refused with the word for it."""
        return [
            f"refused {entry.detail.split(':')[0]}" if entry.act == "refused" else entry.act
            for entry in self.office.registry.trail(kit)
        ]
