"""What the tests of commands share: a platform that signs, a clock moved by hand, a kit that obeys."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from backbone_samples import TOPICS
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.backbone import docket
from agent.backbone.commands import Commands, Job
from agent.backbone.docket import Outcome
from agent.backbone.link import Received
from agent.backbone.orders import ORDERS
from agent.backbone.signed import Kind, sign
from agent.database import Database
from agent.device.clock import Stamp
from agent.device.identity import PublicKey

if TYPE_CHECKING:
    from pathlib import Path

    from agent.backbone.publication import Publication

PLATFORM, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 3))
PLATFORM_KEY = PublicKey(PLATFORM.public_key()).text
NOW = "2026-11-22T00:30:00.000Z"
CLIP = "01KAMZ7A0000000000000000AA"
ARGS: dict[str, dict[str, Any]] = {
    "clip/upload": {"clip": CLIP, "url": "https://store.example/c?sig=1"},
    "clip/hold": {"clip": CLIP},
    "clip/release": {"clip": CLIP},
    "resend": {"from": 3, "to": 9},
    "update": {"url": "https://store.example/next?sig=1", "sha256": "0" * 64, "version": "1.2.0"},
    "echo": {"text": "під'їзд"},
}
"""Valid arguments; orders that are not named take none."""

_numbers = count(1)


def after(seconds: float, ts: str = NOW) -> str:
    """A time as messages write it."""
    moment = datetime.fromisoformat(ts) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def req() -> str:
    """A new request."""
    return f"01KAMZ6T3Q{next(_numbers):016d}"


def topic_of(name: str, *, group: bool = False) -> str:
    return TOPICS.group_cmd(name) if group else TOPICS.cmd(name)


def order(
    name: str,
    *,
    signed: bool | None = None,
    key: Ed25519PrivateKey = PLATFORM,
    group: bool = False,
    **changes: Any,  # noqa: ANN401 - any field, None leaves it out
) -> dict[str, Any]:
    """The payload of an order, signed if it must be."""
    fields: dict[str, Any] = {
        "v": 1,
        "cmd": name,
        "args": ARGS.get(name, {}),
        "req": req(),
        "by": "tester",
        "exp": after(60),
        "target": topic_of(name, group=group),
        **changes,
    }
    fields = {field: value for field, value in fields.items() if value is not None}
    return sign(Kind.COMMAND, fields, key) if signed or (signed is None and ORDERS[name].signed) else fields


def message(
    payload: dict[str, Any] | bytes,
    topic: str | None = None,
    *,
    group: bool = False,
    **changes: Any,  # noqa: ANN401 - of Received
) -> Received:
    """How it arrives."""
    name = payload.get("cmd", "") if isinstance(payload, dict) else "echo"
    data = json.dumps(payload).encode() if isinstance(payload, dict) else payload
    plain = Received(
        topic or topic_of(name, group=group), data, retain=False, response_topic=None, correlation=None
    )
    return replace(plain, **changes)


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.boot = "aaaaaaaa"
        self.t = 1000.0
        self.ts: str | None = NOW

    def mono(self) -> float:
        """See Clock."""
        return self.t

    def stamp(self, mono: float | None = None) -> Stamp:
        """See Clock."""
        return Stamp(self.boot, self.t if mono is None else mono, self.ts, "ntp" if self.ts else "none")

    def unix_ms(self) -> int:
        """See Clock."""
        return round(1000 * self.t)

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.t += seconds
        self.ts = None if self.ts is None else after(seconds, self.ts)


class Obedient:
    """A kit that notes what it was told to do. `answers` are (topic, message, correlation, delay)."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Hands | None = None,
        keys: tuple[str, ...] = (PLATFORM_KEY,),
        outcome: Any = None,  # noqa: ANN401 - see `outcome`
    ) -> None:
        self.clock = clock or Hands()
        self.database = Database(path, [docket.SCHEMA])
        self.done: list[tuple[str, Job]] = []
        self.outcome: Any = outcome or Outcome(ok=True, out={"said": "done"})
        """What each order comes to; if it can be called, what it gives for the job."""
        self.published: list[tuple[Publication, float]] = []
        executors = {name: lambda job, name=name: self._do(name, job) for name in ORDERS}
        self.commands = Commands(
            TOPICS,
            keys,
            self.database,
            self.clock,
            lambda publication, after_s: self.published.append((publication, after_s)),
            executors,
            {"update": lambda job: self._do("resumed", job)},
        )
        self.commands.start()

    @property
    def answers(self) -> list[dict[str, Any]]:
        """All that was answered."""
        return [json.loads(publication.payload) for publication, _ in self.published]

    def tell(self, *messages: Received) -> None:
        """Let these arrive."""
        for one in messages:
            self.commands.handle(one)

    def book(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        return self.database.submit(lambda tx: tx.execute(statement).fetchall()).result()

    def close(self) -> None:
        """End."""
        assert self.commands.close()
        self.database.close()

    def _do(self, name: str, job: Job) -> Outcome | None:
        self.done.append((name, job))
        found: Outcome | None = self.outcome(job) if callable(self.outcome) else self.outcome
        return found
