"""What hands do for one kit, from a blank card to the city's list: a model, not a measurement.

Nobody with a stopwatch has done it yet. Each figure is generous for somebody who does tens of kits a day, and
stands here to be corrected by who measures it. Not counted: the ladder, screws and cables of the mounting
itself, and what is done once for a whole batch (the list, the city, the packages).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that hands do. `waits` names measured steps that nothing else can be done during."""

    what: str
    s: float
    waits: tuple[str, ...] = ()


ACTIONS = (
    Action("depot: put the card into the reader", 10),
    Action("depot: prepare-card, look at model and size, say yes", 20, ("claim", "card")),
    Action("depot: put the card into the kit, stick the kit's id on", 20),
    Action("site: plug the power in", 10),
    Action("site: watch the lamp until it stops to flash", 5, ("start", "install")),
    Action("site: until the agent runs", 5, ("settings", "burn_in", "enrolment", "handover", "agent_ready")),
    Action("site: ssh to the kit, `stairwell commission`", 20),
    Action("site: aim by the picture", 45, ("aim",)),
    Action("site: draw the masks of two doors", 60, ("view",)),
    Action("site: take the reference", 10, ("reference",)),
    Action("site: walk through the picture", 15, ("walk",)),
    Action("site: pull the plug, put it in again, ssh again", 35, ("power",)),
    Action("site: sign", 15, ("sign",)),
    Action("site: print the label and stick it on", 30, ("label",)),
    Action("depot: take the kit's record into the list", 10, ("accept",)),
)


def seconds() -> float:
    """All that hands do."""
    return sum(action.s for action in ACTIONS)


def waits(took: Mapping[str, float]) -> float:
    """What they wait for, by the measured seconds of steps; a step that was not run counts nothing."""
    return sum(took.get(name, 0.0) for action in ACTIONS for name in action.waits)


def unknown(took: Mapping[str, float]) -> list[str]:
    """The steps that hands may wait for and that were not run."""
    return [name for action in ACTIONS for name in action.waits if name not in took]
