"""What is handed to MQTT: a topic, a payload and the properties that travel beside it."""

from __future__ import annotations

from dataclasses import dataclass

JSON = "application/json"
PACKET_OVERHEAD = 64  # bytes of a PUBLISH beside what `packet_bytes` counts one by one, at most


@dataclass(frozen=True, slots=True)
class Publication:
    """One MQTT 5 PUBLISH, complete.

    `expiry_s` is the Message Expiry Interval, counted from the sending. `user` are User Properties.
    `correlation` is the Correlation Data by which an answer is known to whoever asked.
    """

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    expiry_s: int | None = None
    content_type: str | None = JSON
    user: tuple[tuple[str, str], ...] = ()
    correlation: bytes | None = None

    @property
    def packet_bytes(self) -> int:
        """What the packet has at most."""
        user = sum(len(name.encode()) + len(value.encode()) + 5 for name, value in self.user)
        return PACKET_OVERHEAD + len(self.topic) + user + len(self.payload) + len(self.correlation or b"")
