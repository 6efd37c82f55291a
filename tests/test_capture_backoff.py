"""How long a source waits before it is tried again."""

from __future__ import annotations

from random import Random

from agent.capture.backoff import Backoff
from agent.config import Capture


def test_the_wait_grows_with_jitter() -> None:
    """Never below the shortest nor above the longest wait, and spread in between."""
    backoff = Backoff(Capture(reconnect_min_s=1.0, reconnect_max_s=30.0), Random(1))  # noqa: S311 - jitter
    waits = [backoff.next_s() for _ in range(200)]
    assert waits[0] == 1.0
    assert min(waits) >= 1.0
    assert 25 < max(waits) <= 30
    assert len(set(waits[10:])) > 150
    assert 200 == backoff.tries


def test_a_success_begins_anew() -> None:
    """The next loss is tried at once."""
    backoff = Backoff(Capture(reconnect_min_s=0.5, reconnect_max_s=30.0), Random(1))  # noqa: S311 - jitter
    assert 0.5 < max(backoff.next_s() for _ in range(10))
    backoff.succeeded()
    assert 0.5 == backoff.next_s()


def test_a_longest_wait_below_the_shortest() -> None:
    """The shortest holds."""
    assert 5.0 == Backoff(Capture(reconnect_min_s=5.0, reconnect_max_s=1.0)).next_s()
