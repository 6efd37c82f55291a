"""Which numbers are missing, as the fewest messages that say so. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from agent.backbone.messages import GapBody, origin
from agent.backbone.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.device.clock import Stamp

Why = Literal["full", "corrupt", "too-large", "restart", "refused", "expired"]

REASONS: tuple[Why, ...] = get_args(Why)
RANGES_MAX = 500  # per gap, about 8 KB: beyond what brokers are set to accept lies 64 KB


def runs(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers as the fewest ranges, in order."""
    return list(Runs(ranges))


def bodies(kit: str, ranges: Sequence[tuple[int, int]], why: Why, now: Stamp) -> list[GapBody]:
    """The gaps that name these ranges, RANGES_MAX in each."""
    parts = [ranges[start : start + RANGES_MAX] for start in range(0, len(ranges), RANGES_MAX)]
    return [_body(kit, part, why, now) for part in parts]


def _body(kit: str, part: Sequence[tuple[int, int]], why: Why, now: Stamp) -> GapBody:
    fields = {
        **origin(kit, now),
        "from": part[0][0],
        "to": part[-1][1],
        "why": why,
        "count": sum(last - first + 1 for first, last in part),
        "ranges": [[first, last] for first, last in part],
    }
    return GapBody(**fields)
