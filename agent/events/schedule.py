"""When a place is closed. Pure: the local time is handed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.config_rules import DAYS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agent.config_rules import Hours


def closed(hours: Sequence[Hours], local: datetime) -> bool:
    """Whether `local`, as the clock on the wall shows it, lies in one of the hours; their end is open again.

    When clocks are put back an hour comes twice and is judged alike; the hour left out is never judged.
    """
    minute, today = local.hour * 60 + local.minute, local.weekday()
    yesterday = (today - 1) % len(DAYS)
    return any(_covers(one, minute, today, yesterday) for one in hours)


def _covers(hours: Hours, minute: int, today: int, yesterday: int) -> bool:
    if hours.start < hours.end:
        return today in hours.days and hours.start <= minute < hours.end
    return (today in hours.days and minute >= hours.start) or (yesterday in hours.days and minute < hours.end)
