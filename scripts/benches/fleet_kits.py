"""Shelves of light kits for the fleet bench: some dozens in one process, each with its own connection."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from light_kit import LightKit, kit_id, settings
from reference import connection

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from agent.config import Backbone

WATCH_S = 0.02  # how exactly it is known when a connection came
COMMIT_S = 120.0
SWITCH_S = 0.1
"""Python's default, 5 ms, is how often each waiting thread asks for its turn. With hundreds waiting while all
connect, the asking took all of the processor, and nobody's turn came."""


@dataclass(frozen=True)
class Shelf:
    """What a process is told: which kits, and where everything is."""

    directory: str
    port: int
    certificates: str
    first: int
    kits: int
    heartbeat_s: float

    def backbone(self, name: str) -> Backbone:
        """How the one with this certificate connects."""
        found = connection(self.port, Path(self.certificates), name)
        return found.model_copy(update={"heartbeat_s": self.heartbeat_s, "delivery": "watermark"})


class Fleet:
    """The kits of one process, and who of them is connected since when."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._kits = [
            LightKit(settings(index, Path(shelf.directory) / f"kit-{index}", shelf.backbone(kit_id(index))))
            for index in range(shelf.first, shelf.first + shelf.kits)
        ]
        self._began = [0.0] * shelf.kits
        self._since: list[float | None] = [None] * shelf.kits
        self._said = 0
        for work in (self._watch, self._beat):
            threading.Thread(target=work, daemon=True).start()

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do one order."""
        match order:
            case {"do": "connect"}:
                for index, kit in enumerate(self._kits):
                    self._began[index] = time.monotonic()
                    kit.start()
            case {"do": "say", "each": each}:
                futures = [kit.say(kit.step(self._said + step)) for kit in self._kits for step in range(each)]
                self._said += each
                if wait(futures, COMMIT_S).not_done:
                    raise RuntimeError(f"an outbox took more than {COMMIT_S} s")
                for future in futures:
                    future.result()
        for kit in self._kits:
            if self._began[0] and not kit.courier.alive:
                raise RuntimeError(f"the courier of {kit.id} died: {kit.courier.error}")
        return {
            "began": self._began,
            "since": self._since,
            "streams": [kit.stream for kit in self._kits],
        }

    def _watch(self) -> None:
        while True:
            now = time.monotonic()
            for index, kit in enumerate(self._kits):
                if not kit.courier.delivery.connected:
                    self._since[index] = None
                elif self._since[index] is None:
                    self._since[index] = now
            time.sleep(WATCH_S)

    def _beat(self) -> None:
        """Each kit in its turn, so that they are spread over the period as in a city."""
        while True:
            for kit in self._kits:
                time.sleep(self._shelf.heartbeat_s / len(self._kits))
                kit.beat()


def serve(shelf: Shelf, orders: Connection) -> None:
    """Answer orders until there are no more."""
    logging.getLogger("agent").setLevel(logging.CRITICAL)  # that a broker was killed is no news here
    sys.setswitchinterval(SWITCH_S)
    fleet = Fleet(shelf)
    orders.send(fleet.answer({}))
    with contextlib.suppress(EOFError):
        while True:
            orders.send(fleet.answer(orders.recv()))
