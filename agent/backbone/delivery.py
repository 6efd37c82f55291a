"""What the courier is told of the kit, and what it tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agent.backbone.causes import Cause
    from agent.backbone.link import Received
    from agent.backbone.outbox import Numbers
    from agent.backbone.publication import Publication


class Presence(Protocol):
    """What the kit says of its own presence. Called from the threads of the room; must not block."""

    def birth(self, session: int, numbers: Numbers) -> Publication:
        """For every connection, and when the clock was set."""
        ...

    def will(self, session: int) -> Publication:
        """For the broker, to publish when the kit is lost."""
        ...

    def stopped(self, session: int, why: str, stream: str) -> Publication:
        """For a wanted end."""
        ...


class Ears(Protocol):
    """Who takes what comes down from the backbone, but for the watermark."""

    @property
    def filters(self) -> tuple[str, ...]:
        """The topic filters to subscribe to."""
        ...

    def put(self, received: Received) -> None:
        """Take a message in. Called from the network thread; must neither block nor raise."""
        ...


class Greet(Protocol):
    """Who wants to know of each new connection."""

    def __call__(self, *, forgotten: bool) -> object:
        """Called in the courier's thread; must not block."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """How messages get through: for the heartbeat, the checks and the ledger."""

    connected: bool = False
    cause: Cause | None = None
    """Why there is no connection; None while there is one, and before the first try ended."""
    detail: str = ""
    rtt_ms: float | None = None
    """Median of the last publishes; None when nothing was acknowledged on this connection."""
    taken: int = 0
    """Rows that the broker took."""
    delivered: int = 0
    """Rows that count as delivered, as `backbone.delivery` has it: confirmed, or taken by the broker."""
    unheard: int = 0
    """Publishes that the broker took though nobody is subscribed: no delivery."""
    refused: int = 0
    """Publishes that the broker refused."""
    refusal: int | None = None
    """The reason code of the last refusal."""
    storage: str = ""
    """What the database said last, while it refuses."""
