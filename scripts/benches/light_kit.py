"""A kit without camera, detector and clips: clock, database, outbox, messages, courier and link of the agent.

The benches of the backbone start it in many processes, a hundred times in one, and kill it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.app.reporter import Reporter, topics
from agent.app.schemas import DATABASE
from agent.backbone.courier import REPLAY_PER_S, Courier
from agent.backbone.drafts import heartbeat
from agent.backbone.messages import origin
from agent.backbone.outbox import SCHEMA, Outbox
from agent.backbone.presence import Heartbeat, NetState, QueueState
from agent.config import Backbone, Settings, load
from agent.database import Database
from agent.device.clock import SystemClock
from agent.kitid import check_character
from agent.types import Box, EventChange, Phase
from agent.ulid import ENTROPY_BYTES, ulid

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from agent.backbone.drafts import Draft

COMMIT_S = 60.0  # a machine full of kits is slow
STEPS = (Phase.NEW, Phase.UPDATE, Phase.END)


def kit_id(index: int) -> str:
    """The id of the bench's kit number `index`."""
    body = f"{index:09d}"
    return body + check_character(body)


def settings(index: int, state: Path, backbone: Backbone) -> Settings:
    """Of kit number `index`, whose state lies in `state`."""
    site = {"oblast": "51", "city": "odesa", "district": "kyivskyi", "building": f"b-{index}"}
    chosen = load(None, {"kit": {"id": kit_id(index)}, "site": site, "state": {"dir": state}})
    return chosen.model_copy(update={"backbone": backbone})


class LightKit:
    """One kit over its state directory. `start` connects; nothing is deleted by `close`.

    Raises:
        StorageError: the database cannot be opened.
    """

    def __init__(self, chosen: Settings, *, replay_per_s: float = REPLAY_PER_S) -> None:
        addresses = topics(chosen)
        self.id = chosen.kit.id
        self.clock = SystemClock()
        self.database = Database(chosen.state.dir / DATABASE, [SCHEMA])
        self.outbox = Outbox(chosen.outbox, addresses)
        self.stream = self.database.ask(self.outbox.open_stream, COMMIT_S)
        self.reporter = Reporter(chosen, addresses, self.clock, self.stream, "bench")
        self.courier = Courier(
            chosen.backbone,
            addresses,
            self.database,
            self.outbox,
            self.clock,
            self.reporter,
            replay_per_s=replay_per_s,
        )
        self._topics = addresses
        self._begun, self._beats = self.clock.mono(), 0
        self._beat_s = chosen.backbone.heartbeat_s
        self._event = ""

    def start(self) -> None:
        """Connect, and carry what is in the outbox."""
        self.courier.start()

    def say(self, message: Draft) -> Future[int]:
        """Put a message into the outbox; its number once it is on disk."""
        future = self.database.submit(lambda tx: self.outbox.append(tx, message, self.clock.stamp()))
        self.courier.wake()
        return future

    def step(self, number: int) -> Draft:
        """Step `number` of the visits to this kit's stairwell: beginning, update and end in turn."""
        phase, now = STEPS[number % len(STEPS)], self.clock.mono()
        if phase is Phase.NEW or not self._event:
            phase, self._event = Phase.NEW, ulid(self.clock.unix_ms(), os.urandom(ENTROPY_BYTES))
        ended = now if phase is Phase.END else None
        rev = 1 + STEPS.index(phase)
        change = EventChange(
            number, "person", phase, rev, now, now - rev, ended, 0.8, 0.9, 1, Box(0.1, 0.1, 0.3, 0.5)
        )
        return self.reporter.event(self._event, change)

    def beat(self) -> bool:
        """Send a heartbeat; whether there was a connection for it."""
        numbers = self.courier.numbers
        if numbers is None:
            return False
        self._beats += 1
        message = Heartbeat(
            **origin(self.id, self.clock.stamp()),
            stream=self.stream,
            n=self._beats,
            up=round(self.clock.mono() - self._begun, 1),
            q=QueueState(n=numbers.waiting, dropped=numbers.dropped),
            net=NetState(rtt=self.courier.delivery.rtt_ms),
            ev24=0,
        )
        return self.courier.pass_on(heartbeat(self._topics, message, self._beat_s))

    def close(self, timeout_s: float) -> None:
        """Say `stopped`, disconnect, end the threads."""
        self.courier.close("shutdown", timeout_s)
        self.database.close()
