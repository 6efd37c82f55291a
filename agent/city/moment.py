"""Times as the register keeps them: UTC, RFC 3339, whole seconds; as text they sort by time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.device.clock import Clock


def now(clock: Clock) -> datetime:
    """The moment, in UTC."""
    return datetime.fromtimestamp(clock.unix_ms() / 1000, UTC)


def text(moment: datetime) -> str:
    """`2026-11-27T10:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(ts: str) -> datetime:
    """What `text` wrote.

    Raises:
        ValueError: it is no such time.
    """
    return datetime.strptime(ts, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
