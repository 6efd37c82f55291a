"""A whole kit beside a whole city: `stairwell run` as a process, the reference broker and platform.

The platform is in the bench's own process and keeps what it hears in memory: only the kit is ever killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.app.platform import Platform
from agent.backbone.consumer import Consumer, Fresh, Odd
from light_kit import kit_id
from pki import Authority
from reference import HOST, PLATFORM, ReferenceBroker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SAMPLES = Path(__file__).parents[2] / "agent" / "samples"
PEOPLE = SAMPLES / "demo_people.mp4"
KIT = kit_id(1)  # kit 0 has the id that says "not set"
LISTENS_S = 30.0
LOOK_S = 0.2


@dataclass
class City:
    """Broker and platform, with what they have heard. Read `births` and `stored` from any thread."""

    directory: Path
    broker: ReferenceBroker
    consumer: Consumer = field(default_factory=Consumer)
    births: list[dict[str, Any]] = field(default_factory=list)
    """Each time that the kit was born, as it came."""
    stored: list[Fresh] = field(default_factory=list)
    """Each message of the outbox, once, in the order of its coming."""
    heartbeats: list[dict[str, Any]] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    """In what messages broke the contract."""

    @property
    def state(self) -> Path:
        """The state directory of the kit."""
        return self.directory / "state"

    @property
    def told(self) -> dict[str, object]:
        """How much was heard, and what is missing of it."""
        topics = [one.topic for one in self.stored]
        streams = self.consumer.streams(KIT) if KIT in self.consumer.kits else []
        missing = [hole for name in streams for hole in self.consumer.account(KIT, name).missing()]
        return {
            "messages": len(topics),
            "events": sum(one.message.get("phase") == "new" for one in list(self.stored)),
            "clips": sum(topic.endswith("/clip") for topic in topics),
            "heartbeats": len(self.heartbeats),
            "missing": len(missing),
            "against_the_contract": len(self.odd),
        }

    def configure(self, **sections: dict[str, object]) -> Path:
        """The kit's configuration file: how it connects, where it hangs, and these sections."""
        keys = self.broker.authority.directory
        values: dict[str, dict[str, object]] = {
            "kit": {"id": KIT},
            "site": {"oblast": "51", "city": "odesa", "district": "kyivskyi", "building": "b-1"},
            "backbone": {
                "host": HOST,
                "port": self.broker.port,
                "ca_file": str(self.broker.authority.ca),
                "cert_file": str(keys / f"{KIT}.pem"),
                "key_file": str(keys / f"{KIT}.key"),
            },
            "state": {"dir": str(self.state)},
        }
        for section, table in sections.items():
            values[section] = {**values.get(section, {}), **table}
        lines = []
        for section, table in values.items():
            lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        file = self.directory / "agent.toml"
        file.write_text("\n".join([*lines, ""]), encoding="utf-8")
        return file

    def ear(self, topic: str, payload: bytes) -> None:
        """Take in a message as it came."""
        leaf = topic.rpartition("/")[2]
        if leaf not in ("st", "hb") or not payload:
            return
        message = json.loads(payload)
        if leaf == "hb":
            self.heartbeats.append(message)
        elif message["state"] == "online":
            self.births.append(message)


@contextlib.contextmanager
def city(directory: str) -> Iterator[City]:
    """A city that listens; the kit's certificate is made."""
    place = Path(directory)
    broker = ReferenceBroker(place, Authority(place / "keys"))
    broker.settings(KIT)
    found = City(place, broker)

    def note(outcome: object) -> None:
        if isinstance(outcome, Odd):
            found.odd.append(str(outcome))

    broker.start()
    platform = Platform(
        broker.settings(PLATFORM),
        PLATFORM,
        found.stored.extend,
        note,
        consumer=found.consumer,
        ear=found.ear,
    )
    try:
        platform.start()
        if not platform.listening(LISTENS_S):
            raise RuntimeError(f"the platform does not listen: {platform.error}")
        yield found
    finally:
        platform.close()
        broker.stop()


def environment() -> dict[str, str]:
    """That of a kit's process: bytecode is kept, nothing is measured, no setting comes from outside."""
    others = ("STAIRWELL_", "COVERAGE", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(others)}


def wait_for(what: str, condition: Callable[[], object], timeout_s: float) -> float:
    """Ask again and again until it holds; after how many seconds it did.

    Raises:
        TimeoutError: it did not in time.
    """
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > timeout_s:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        time.sleep(LOOK_S)
    return time.monotonic() - begun
