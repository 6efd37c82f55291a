"""What is handed to MQTT: a topic, a payload and the properties that travel beside it."""

from __future__ import annotations

from dataclasses import dataclass

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Publication:
    """One MQTT 5 PUBLISH, complete.

    `expiry_s` is the Message Expiry Interval, counted from the sending. `user` are User Properties.
    """

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    expiry_s: int | None = None
    content_type: str | None = JSON
    user: tuple[tuple[str, str], ...] = ()
