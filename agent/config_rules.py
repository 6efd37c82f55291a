"""Settings of what the view means and what is watched for in it: zones, lines, rules."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from agent.config_fields import Fraction01, Point, Polygon, Section, Slug
from agent.config_words import UnfitError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN = 24 * 60
SMALLEST_AREA = 1e-4
"""Of the picture: less is a slip of the pen, not a place where a foot can stand."""

_DAY = "|".join(DAYS)
_HOURS = re.compile(rf"(?:({_DAY})(?:-({_DAY}))? )?([0-2]\d):([0-5]\d)-([0-2]\d):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Hours:
    """A stretch of local time that comes back every week; `start` and `end` are minutes of the day.

    `end` is on the next day unless it is later than `start`. `days` (0 is Monday) are those it begins on.
    """

    days: frozenset[int]
    start: int
    end: int

    @classmethod
    def of(cls, text: str) -> Hours:
        """What `22:00-06:00` or `sat-sun 00:00-24:00` says.

        Raises:
            ValueError: it says something else.
        """
        match = _HOURS.fullmatch(text)
        if match is None:
            raise UnfitError(say('write it as "22:00-06:00" or "sat-sun 00:00-24:00"'))
        first, last = match[1] or DAYS[0], match[2] or match[1] or DAYS[-1]
        start, end = 60 * int(match[3]) + int(match[4]), 60 * int(match[5]) + int(match[6])
        if start >= DAY_MIN or end > DAY_MIN:
            raise UnfitError(say("a day has 24 hours"))
        if start == end:
            raise UnfitError(say('the end is the start; a whole day is "00:00-24:00"'))
        begin, count = DAYS.index(first), (DAYS.index(last) - DAYS.index(first)) % len(DAYS) + 1
        return cls(frozenset((begin + i) % len(DAYS) for i in range(count)), start, end)


def _encloses(polygon: tuple[Point, ...]) -> tuple[Point, ...]:
    pairs = zip(polygon, (*polygon[1:], polygon[0]), strict=True)
    # Half the sum of cross products (the shoelace formula); a bow tie encloses less than it seems to.
    if abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairs)) / 2 < SMALLEST_AREA:
        raise UnfitError(say("the polygon encloses nothing"))
    return polygon


def _time_zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise UnfitError(say("no such IANA time zone; one is Europe/Kyiv")) from None
    return name


def _hours(text: str) -> str:
    Hours.of(text)
    return text


Places = tuple[Slug, ...]
"""Names of zones; none means the whole picture."""


class Zone(Section):
    """A part of the floor. A person is in it by the middle of the box's lower edge."""

    name: Slug
    polygon: Annotated[Polygon, AfterValidator(_encloses)]
    persons: Literal["include", "exclude"] | None = None
    motion: Literal["include", "exclude"] | None = None
    min_height: Fraction01 = 0.0
    max_height: Fraction01 = 1.0

    @model_validator(mode="after")
    def _heights(self) -> Self:
        if self.min_height >= self.max_height:
            raise UnfitError(say("min_height must be below max_height"))
        return self


class Line(Section):
    """A line on the floor; `left` and `right` name the ways across it for who looks from start to end."""

    name: Slug
    start: Point
    end: Point
    left: Slug
    right: Slug
    zones: Places = ()

    @model_validator(mode="after")
    def _two_ends(self) -> Self:
        if self.start == self.end:
            raise UnfitError(say("start and end are one point"))
        if self.left == self.right:
            raise UnfitError(say("left and right must differ, or nobody can tell the ways apart"))
        return self


_Named = TypeVar("_Named", Zone, Line)


def _unlike(items: tuple[_Named, ...]) -> tuple[_Named, ...]:
    names = [item.name for item in items]
    for name in names:
        if names.count(name) > 1:
            raise UnfitError(say("two are named {name}", name=name))
    return items


class View(Section):
    """What is where in the picture."""

    zones: Annotated[tuple[Zone, ...], AfterValidator(_unlike)] = Field(
        default=(),
        max_length=16,
        description="[[view.zones]] tables with name, polygon and what counts there",
    )
    lines: Annotated[tuple[Line, ...], AfterValidator(_unlike)] = Field(
        default=(), max_length=16, description="[[view.lines]] tables with name, start, end, left and right"
    )


class Loitering(Section):
    """Somebody who stays."""

    enabled: bool = Field(default=False, description="raise loitering events")
    dwell_s: float = Field(default=120.0, gt=0, description="a person who stays so long loiters")
    zones: Places = Field(default=(), description="only in these zones; none: anywhere")


class Gathering(Section):
    """Several persons who stay together."""

    enabled: bool = Field(default=False, description="raise gathering events")
    persons: int = Field(default=4, ge=2, le=50, description="so many persons are a gathering")
    hold_s: float = Field(default=60.0, ge=0, description="once they are together for so long")
    zones: Places = Field(default=(), description="only in these zones; none: anywhere")


class AfterHours(Section):
    """Anybody while the place is closed."""

    closed: tuple[Annotated[str, AfterValidator(_hours)], ...] = Field(
        default=(),
        max_length=32,
        description='local times in which nobody should be there, as "22:00-06:00" or "sat-sun 00:00-24:00"; '
        "none: the rule is off",
    )
    timezone: Annotated[str, AfterValidator(_time_zone)] = Field(
        default="Europe/Kyiv", description="IANA name of the local time"
    )
    zones: Places = Field(default=(), description="only in these zones; none: anywhere")


def named_zones(
    view: View, loitering: Loitering, gathering: Gathering, after_hours: AfterHours
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every zone that a line or a rule names, with the key that names it."""
    for i, line in enumerate(view.lines):
        for name in line.zones:
            yield ("view", "lines", i, "zones"), name
    for key, rule in (("loitering", loitering), ("gathering", gathering), ("after_hours", after_hours)):
        for name in rule.zones:
            yield (key, "zones"), name
