"""agent.events.schedule: closed hours, over midnight and over the week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config_rules import Hours
from agent.events.schedule import closed

KYIV = ZoneInfo("Europe/Kyiv")
MONDAY = datetime(2026, 11, 23, tzinfo=KYIV)


def at(days: int, clock: str) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return MONDAY + timedelta(days=days, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("text", "day", "clock", "expected"),
    [
        ("22:00-06:00", 0, "21:59", False),
        ("22:00-06:00", 0, "22:00", True),
        ("22:00-06:00", 1, "05:59", True),
        ("22:00-06:00", 1, "06:00", False),
        ("08:30-09:15", 3, "08:30", True),
        ("08:30-09:15", 3, "09:15", False),
        ("00:00-24:00", 2, "23:59", True),
        ("sat-sun 00:00-24:00", 5, "00:00", True),
        ("sat-sun 00:00-24:00", 6, "23:59", True),
        ("sat-sun 00:00-24:00", 4, "23:59", False),
        ("sat-sun 00:00-24:00", 7, "00:00", False),
        ("fri 22:00-06:00", 4, "23:00", True),
        ("fri 22:00-06:00", 5, "05:00", True),
        ("fri 22:00-06:00", 4, "05:00", False),
        ("fri 22:00-06:00", 5, "23:00", False),
        ("sun-mon 23:00-01:00", 0, "00:30", True),
        ("sun-mon 23:00-01:00", 1, "00:30", True),
        ("sun-mon 23:00-01:00", 6, "00:30", False),
    ],
)
def test_hours(text: str, day: int, clock: str, expected: bool) -> None:
    """From the first minute up to the last; the day named is the one that the night begins on."""
    assert expected == closed([Hours.of(text)], at(day, clock))


def test_any_of_the_hours_will_do() -> None:
    """Without hours nothing is closed; with several, each counts."""
    hours = [Hours.of("01:00-02:00"), Hours.of("03:00-04:00")]

    assert not closed([], MONDAY)
    assert [True, False, True] == [closed(hours, at(0, clock)) for clock in ("01:30", "02:30", "03:30")]


def test_summer_time_goes_by_the_clock_on_the_wall() -> None:
    """The hour that comes twice is closed twice; in UTC the night is an hour longer."""
    hours = [Hours.of("22:00-06:00")]
    start = datetime(2026, 10, 24, 0, 0, tzinfo=UTC)
    night = [closed(hours, (start + timedelta(minutes=i)).astimezone(KYIV)) for i in range(12 * 60, 36 * 60)]

    assert 9 * 60 == sum(night)


minutes = st.integers(0, 24 * 60 - 1)


@given(minutes, minutes, st.integers(0, 6), st.integers(0, 7 * 24 * 60 - 1))
def test_a_stretch_lasts_as_long_as_it_says(start: int, end: int, day: int, moment: int) -> None:
    """Within a week a daily stretch and its rest fill the day, and never overlap."""
    if start == end:
        return
    now = MONDAY.replace(tzinfo=None) + timedelta(minutes=moment)
    days = frozenset(range(7))
    one, other = Hours(days, start, end), Hours(days, end, start)

    assert closed([one], now) != closed([other], now)
    single = [closed([Hours(frozenset({day}), start, end)], now + timedelta(days=i)) for i in range(7)]
    assert sum(single) == closed([one], now)
