"""What one stream owes the platform: which numbers are stored, which never come, which are missing. Pure.

The numbers of a stream begin at 1 and have no holes, so whoever stores them can tell what is missing. The
order of arrival says nothing: alarms overtake events, and the news overtakes a backlog of days.

The watermark is the highest number up to which each one is stored or excused. It may be told to the kit, for
the kit forgets what lies below it. An excused number that arrives all the same is news: `excused` says what
the kit gave up, not what the platform has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.backbone.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterable

HOLES_MAX = 1000
"""Ranges remembered of one stream. A kit that was full for a week leaves that many; a year of that must not
fill the platform's memory. Below the watermark nothing is sent again, so the oldest may be forgotten."""


class Account:
    """The account of one stream."""

    def __init__(self, saved: dict[str, Any] | None = None) -> None:
        saved = saved or {}
        self.stored = Runs(_pairs(saved.get("stored", ())))
        self.excused = Runs(_pairs(saved.get("excused", ())))
        self.highest: int = saved.get("highest", 0)
        """The highest number known to have been given."""
        self.watermark = 0
        self._advance()

    def save(self) -> dict[str, Any]:
        """All of it, as JSON can carry it."""
        return {"stored": list(self.stored), "excused": list(self.excused), "highest": self.highest}

    def store(self, seq: int) -> None:
        """This number is safe on the platform's disk."""
        self.stored.add(seq, seq)
        self.knows(seq)
        self._advance()
        if len(self.stored) > HOLES_MAX:
            self.stored.add(1, self.watermark)

    def excuse(self, ranges: Iterable[tuple[int, int]]) -> None:
        """These numbers will never come."""
        for first, last in ranges:
            self.excused.add(first, last)
            self.knows(last)
        self._advance()
        if len(self.excused) > HOLES_MAX:
            self.excused.add(1, self.watermark)

    def knows(self, seq: int) -> None:
        """This number was given."""
        self.highest = max(self.highest, seq)

    def missing(self, upto: int | None = None) -> list[tuple[int, int]]:
        """The ranges up to `upto` (all that were given when None) that are neither stored nor excused."""
        upto = self.highest if upto is None else upto
        return [
            hole
            for first, last in self.stored.missing(self.watermark + 1, upto)
            for hole in self.excused.missing(first, last)
        ]

    def _advance(self) -> None:
        while (end := max(self.stored.end(self.watermark + 1), self.excused.end(self.watermark + 1))) > (
            self.watermark
        ):
            self.watermark = end


def _pairs(ranges: Iterable[list[int]]) -> list[tuple[int, int]]:
    return [(first, last) for first, last in ranges]
