"""A kit in the city's register, and the states of its life."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from agent.kitid import ALPHABET, LENGTH, check_character

if TYPE_CHECKING:
    from agent.config import Site


class State(StrEnum):
    """Where a kit is in its life."""

    MANUFACTURED = "manufactured"
    """It has an id and a place; no card of it has asked for a certificate yet."""
    CLAIMED = "claimed"
    """It traded its claim for a certificate: the broker lets it in."""
    COMMISSIONED = "commissioned"
    """It hangs on its wall, and whoever hung it there signed for it."""
    ACTIVE = "active"
    """The platform takes its events for what they say."""
    QUARANTINED = "quarantined"
    """Its claim and its certificates were taken back; a new claim and a new card bring it back."""
    RETIRED = "retired"
    """It is gone for good, and so is its id."""


MOVES: dict[State, frozenset[State]] = {
    State.MANUFACTURED: frozenset({State.CLAIMED, State.QUARANTINED, State.RETIRED}),
    State.CLAIMED: frozenset({State.CLAIMED, State.COMMISSIONED, State.QUARANTINED, State.RETIRED}),
    State.COMMISSIONED: frozenset({State.CLAIMED, State.ACTIVE, State.QUARANTINED, State.RETIRED}),
    State.ACTIVE: frozenset({State.CLAIMED, State.COMMISSIONED, State.QUARANTINED, State.RETIRED}),
    State.QUARANTINED: frozenset({State.CLAIMED, State.RETIRED}),
    State.RETIRED: frozenset(),
}
"""What may follow. A new claim leads back to CLAIMED: what a new card sees has to be commissioned anew."""

BY_HAND = frozenset({State.COMMISSIONED, State.ACTIVE})
"""What somebody may say of a kit; the other states come about by a claim, or by taking certificates back."""

LET_IN = frozenset({State.CLAIMED, State.COMMISSIONED, State.ACTIVE})
"""States in which a kit has certificates that count."""


@dataclass(frozen=True, slots=True)
class Kit:
    """One kit.

    `former` are the territories where it may still listen, since it was moved by the register only; `rev` is
    the revision of the last configuration that was signed for it, 0 for none.
    """

    kit: str
    state: State
    site: Site
    purpose: str
    retention_h: float
    former: tuple[Site, ...]
    rev: int
    added: str


def new_id() -> str:
    """A kit id by chance: of 2**45, so two of ten thousand are alike once in a million fleets."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH - 1))
    return body + check_character(body)
