"""All that can be measured of the board at one moment. What this model cannot tell is None, not zero."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.device import health, memory, network, power, storage

if TYPE_CHECKING:
    from agent.device.power import Throttling
    from agent.device.storage import Card, Space

ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Board:
    """One reading."""

    celsius: float | None = None
    throttling: Throttling | None = None
    waiting: float | None = None
    """The share of the last minute in which something waited for the processor."""
    memory: float | None = None
    """The share of memory that can be had."""
    granted: float | None = None
    """The share that can be had of what the agent's unit grants (MemoryHigh, MemoryMax)."""
    disk: Space | None = None
    """The file system of the state directory."""
    disk_errors: int | None = None
    card: Card | None = None
    interface: str | None = None
    """The one that leads out."""
    signal_dbm: int | None = None
    """Its radio signal."""


def measure(state: Path, root: Path = ROOT) -> Board:
    """Read the board; `state` lies on the disk that is meant."""
    found = memory.memory(root)
    partition, disk = storage.partition(state, root), storage.device(state, root)
    route = network.default_route(root)
    way = next((one for one in network.interfaces(root) if route and one.name == route.interface), None)
    return Board(
        celsius=health.temperature_c(),
        throttling=power.throttling(root),
        waiting=memory.pressure("cpu", root),
        memory=None if found is None else found.share,
        granted=memory.granted(root),
        disk=storage.space(state),
        disk_errors=storage.file_system_errors(partition, root) if partition else None,
        card=storage.card(disk, root) if disk else None,
        interface=None if route is None else route.interface,
        signal_dbm=None if way is None else way.signal_dbm,
    )
