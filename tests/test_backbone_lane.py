"""One thing after the other, in its time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from broker import wait_for

from agent.backbone import lane as lane_module
from agent.backbone.allowance import Allowance
from agent.backbone.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lane() -> Iterator[Lane]:
    made = Lane("test")
    yield made
    assert made.close(5.0)


def test_work_is_done_in_its_order_and_its_time(lane: Lane) -> None:
    """What is due later waits, and lets the others by."""
    done: list[str] = []
    lane.put(lambda: done.append("later"), 0.3)
    for word in ("a", "b", "c"):
        lane.put(lambda word=word: done.append(word))
    lane.start()
    wait_for(lambda: len(done) == 3)
    lane.put(lambda: done.append("d"))
    wait_for(lambda: len(done) == 5)
    assert ["a", "b", "c"] == done[:3]
    assert {"d", "later"} == set(done[3:])


def test_a_stop_leaves_the_rest_undone(lane: Lane) -> None:
    """What is under way is told, and ends; nothing begins after it."""
    done: list[str] = []
    begun = threading.Event()

    def long() -> None:
        begun.set()
        done.append("told" if lane.stopping.wait(10) else "not told")

    lane.put(long)
    lane.put(lambda: done.append("too late"))
    lane.start()
    assert begun.wait(10)
    assert lane.close(5.0)
    assert ["told"] == done


def test_a_fault_ends_it_and_is_kept(lane: Lane) -> None:
    """For whoever ends the process."""
    lane.put(lambda: 1 / 0)
    lane.start()
    wait_for(lambda: lane.error is not None)
    assert isinstance(lane.error, ZeroDivisionError)


def test_it_says_when_it_is_full(lane: Lane) -> None:
    """So that no more is promised."""
    for _ in range(lane_module.WAITING_MAX):
        assert not lane.full
        lane.put(lambda: None, 60.0)
    assert lane.full


def test_an_allowance_fills_up_again() -> None:
    """So many at once, then so many in a time, and never more than the burst."""
    allowance = Allowance(3, 0.5)
    assert [True, True, True, False] == [allowance.take(100.0) for _ in range(4)]
    assert [False, True, False] == [allowance.take(t) for t in (101.0, 102.0, 102.5)]
    assert [True, True, True, False] == [allowance.take(1000.0) for _ in range(4)]
