"""Believing what lasts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.doctor.debounce import Debounce


def believed(debounce: Debounce, *seen: tuple[float, bool | None]) -> list[bool]:
    return [debounce.judge(what, now) for now, what in seen]


def test_a_blip_is_not_believed() -> None:
    """Shorter than the time, it never was."""
    assert believed(Debounce(10, 10), (0, True), (5, True), (9, False), (12, True), (21, True)) == [False] * 5


def test_what_lasts_is() -> None:
    """Raised after one time, cleared after the other."""
    steps = believed(Debounce(10, 30), (0, True), (10, True), (11, False), (40, False), (41, False))
    assert steps == [False, True, True, True, False]


def test_at_once_without_a_time() -> None:
    """Zero seconds are none."""
    assert Debounce(0, 30).judge(seen=True, now=5) is True


def test_not_knowing_changes_nothing() -> None:
    """It neither raises nor clears, and does not begin the count anew."""
    assert believed(Debounce(10, 10), (0, True), (6, None), (10, True)) == [False, False, True]


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=60))
def test_it_changes_only_after_its_time(story: list[tuple[float, bool]]) -> None:
    """Whatever comes: between two changes lies at least the time of the second."""
    debounce = Debounce(7, 13)
    now, last, changes = 0.0, False, [0.0]
    for wait, seen in story:
        now += wait
        if debounce.judge(seen, now) != last:
            last = not last
            assert now - changes[-1] >= (7 if last else 13)
            changes.append(now)
