"""Which part of the past: the options that every view of it has, and how its times are shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from agent.app.chronicle import Wanted
from agent.device.clock import SystemClock
from agent.words import say

if TYPE_CHECKING:
    from agent.device.clock import Stamp
    from agent.words import Language

COUNT = 50  # two screens: what is older is asked for
POLL_S = 2.0  # between two looks of who follows: a question costs the kit some milliseconds
TIME = len("2026-01-31 12:59:59")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}

_WHEN = "90s, 10m, 2h or 3d ago, or a time in UTC: 2026-11-27, 2026-11-27T10:15, 10:15 (today)."

Since = Annotated[str | None, typer.Option("--since", "-S", metavar="TIME", help=f"From then on: {_WHEN}")]
Until = Annotated[str | None, typer.Option("--until", "-U", metavar="TIME", help="Up to then; as --since.")]
Count = Annotated[
    int, typer.Option("--count", "-n", min=0, help="So many of the newest; 0 for all that there are.")
]
Follow = Annotated[
    bool,
    typer.Option("--follow", "-f", help="Go on and show what comes, until Ctrl-C. JSON is then one a line."),
]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


def wanted(count: int, since: str | None, until: str | None) -> Wanted:
    """The span that the options name.

    Raises:
        typer.BadParameter: a time is none, or the kit's clock cannot tell when that was.
    """
    return Wanted(count or None, seconds(since, "--since"), seconds(until, "--until"))


def seconds(when: str | None, option: str) -> float | None:
    """Seconds since the epoch of a time that a person named."""
    if when is None:
        return None
    if ago := re.fullmatch(r"(\d+)(s|m|min|h|d|w)", when.strip()):
        return _now(option).timestamp() - int(ago[1]) * _UNITS[ago[2]]
    try:
        if re.fullmatch(r"\d?\d:\d\d(:\d\d)?", when):
            when = f"{_now(option).date().isoformat()}T{when:0>5}"
        at = datetime.fromisoformat(when)
    except ValueError:
        raise typer.BadParameter(f"{when}: no time; {_WHEN}", param_hint=option) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def shown(at: Stamp, language: Language) -> str:
    """A moment within TIME columns; without a clock by its boot and the seconds since."""
    if at.ts is not None:
        return at.ts[:TIME].replace("T", " ")
    if not at.boot:
        return "?"
    return say("{boot} +{seconds:.0f} s", boot=at.boot, seconds=at.mono).told(language)


def _now(option: str) -> datetime:
    now = SystemClock().stamp().ts
    if now is None:
        raise typer.BadParameter("the kit's clock was never set: name no time", param_hint=option)
    return datetime.fromisoformat(now)
