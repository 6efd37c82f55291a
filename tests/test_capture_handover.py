"""The queue between the camera's threads and the reader's."""

from __future__ import annotations

import numpy as np
import pytest

from agent.capture.handover import PACKETS_WAITING, PICTURES_WAITING, Encoded, Handover, Shot
from agent.picture import Picture


def shot(index: int, *, analysed: bool = False) -> Shot:
    plane = np.zeros((2, 2), np.uint8)
    return Shot(index, index / 10, Picture(plane), plane if analysed else None)


def packet(index: int, *, keyframe: bool = False) -> Encoded:
    return Encoded(b"x", index / 10, keyframe)


def drain(handover: Handover) -> list[Shot | Encoded]:
    found = []
    while (item := handover.take(0)) is not None:
        found.append(item)
    return found


@pytest.mark.parametrize(("records", "lost"), [(True, 3), (False, 0)])
def test_pictures_that_find_no_room_are_dropped(records: bool, lost: int) -> None:
    """The oldest are kept: they are next, and the encoder needs their order. What lacks them is counted."""
    handover = Handover(records=records)
    for index in range(PICTURES_WAITING + 3):
        handover.shot(shot(index, analysed=index == PICTURES_WAITING))
    assert (1, lost) == (handover.unseen, handover.unrecorded)
    assert list(range(PICTURES_WAITING)) == [s.index for s in drain(handover)]


def test_packets_are_dropped_up_to_the_next_key_frame() -> None:
    """What follows a hole does not decode."""
    handover = Handover(records=False)
    for index in range(PACKETS_WAITING + 1):
        handover.encoded(packet(index, keyframe=index == 0))
    assert PACKETS_WAITING == len(drain(handover))
    handover.encoded(packet(900))
    handover.encoded(packet(901, keyframe=True))
    handover.encoded(packet(902))
    assert [90.1, 90.2] == [p.t for p in drain(handover)]
    assert (0, 2) == (handover.unseen, handover.unrecorded)


def test_a_failure_comes_in_its_turn() -> None:
    """What came before it is still read."""
    handover = Handover(records=False)
    handover.shot(shot(1))
    handover.fail(ZeroDivisionError("camera's thread"))
    assert isinstance(handover.take(1), Shot)
    with pytest.raises(ZeroDivisionError):
        handover.take(1)


def test_a_wait_can_be_ended() -> None:
    """By the time, or by whoever closes the source."""
    handover = Handover(records=False)
    assert handover.take(0.01) is None
    handover.wake()
    assert handover.take(60) is None
