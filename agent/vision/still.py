"""Things that look like persons and are none: a coat, a poster, a hydrant. They never move.

A person arrives: something moves where one is found, or the box itself walks. A find without such a sign of
life must be much surer to count; a place where one stayed without any for long is learned, and what is
found there is muted until it walks. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.types import Box

SURE = 0.5
"""How far a lifeless find must be above the person score, of what is left to 1. At 0.5 that is 0.75: a
hydrant scores up to 0.7, a person who stands in plain view 0.8 and more."""

RECENT_S = 2.0  # motion before a find counts for it: it may have been looked at late
TOUCHED = 0.1  # of the box must move: an arm does it
WALKED_IOU = 0.4  # a box that overlaps the place where it was less has walked: jitter stays above 0.6
LEARN_S = 10.0  # a doubtful find without life for so long is a thing
MUTE_S = 600.0  # a sure one needs this long: nobody sits for ten minutes without moving at all
AT_PLACE_IOU = 0.5  # a find that overlaps a learned place more is the thing itself
REST_S = 10.0  # who walked to a learned place and rests there for longer is the thing again: ids are swapped
FORGET_S = 86400.0  # a thing that was not seen for a day is gone
MOST_PLACES = 32  # a stairwell has fewer; the longest unseen goes first


@dataclass(slots=True)
class Signs:
    """The signs of life of one track."""

    born: float
    anchor: Box
    alive: float | None = None
    """When there was one last."""
    moved: float | None = None
    """When something moved in it last."""


@dataclass(slots=True)
class _Place:
    box: Box
    seen: float


class StillLife:
    """Learns the places of lifeless finds."""

    def __init__(self, person_score: float) -> None:
        self._sure = person_score + SURE * (1 - person_score)
        self._places: list[_Place] = []
        self._free: list[tuple[float, Box]] = []
        self._blind = True

    def observe(self, t: float, moving: Sequence[Box] | None, tracks: Sequence[tuple[Signs, Box]]) -> None:
        """Note what moves in the frame at `t` and in whom; None when nobody knows: all count as alive then.

        A region is a sign of life of the one track that covers most of it: who walks past a coat does not
        bring it to life. A region without a track is kept for the find that may follow.
        """
        self._blind = moving is None
        self._free = [(at, box) for at, box in self._free if t - at <= RECENT_S]
        for region in moving or ():
            owner = max(tracks, key=lambda track: region.intersection(track[1]), default=None)
            if owner is None or not region.intersection(owner[1]):
                self._free.append((t, region))
            elif region.intersection(owner[1]) >= TOUCHED * owner[1].area:
                owner[0].moved = t
        for signs, box in tracks:
            if signs.born == t and any(
                box.intersection(free) >= TOUCHED * box.area for _, free in self._free
            ):
                signs.moved = t

    def mutes(self, signs: Signs, box: Box, score: float, t: float) -> bool:
        """Whether the track that was found at `box` at `t`, and looks like a person, is a thing for now."""
        if self._blind:
            return False
        place = self._place(box)
        if place is not None:
            place.seen = t
        if box.iou(signs.anchor) < WALKED_IOU:
            signs.anchor, signs.alive = box, t
        elif place is None and signs.moved is not None:
            signs.alive = signs.moved if signs.alive is None else max(signs.alive, signs.moved)
        if signs.alive is None:
            if t - signs.born >= (MUTE_S if score >= self._sure else LEARN_S):
                self._learn(place, box, t)
            return place is not None or score < self._sure
        if t - signs.alive >= MUTE_S:
            self._learn(place, box, t)
            return True
        return place is not None and t - signs.alive >= REST_S

    def _place(self, box: Box) -> _Place | None:
        return next((place for place in self._places if place.box.iou(box) >= AT_PLACE_IOU), None)

    def _learn(self, place: _Place | None, box: Box, t: float) -> None:
        if place is None:
            self._places = [one for one in self._places if t - one.seen < FORGET_S]
            self._places.append(_Place(box, t))
            self._places = sorted(self._places, key=lambda one: one.seen)[-MOST_PLACES:]
