"""Calls into drivers that may hang."""

from __future__ import annotations

import threading

import pytest

from agent.capture.bounded_call import BoundedCall
from agent.errors import StallError


def test_it_gives_what_the_call_gives() -> None:
    """The result, or the very error."""
    assert 7 == BoundedCall("counting", lambda: 7).wait(5)
    with pytest.raises(ZeroDivisionError):
        BoundedCall("dividing", lambda: 1 // 0).wait(5)


def test_a_call_that_hangs() -> None:
    """It ends the waiting by name, and keeps no process alive: its thread is a daemon."""
    release = threading.Event()
    call = BoundedCall("opening the camera", release.wait)
    with pytest.raises(StallError, match=r"opening the camera: has not returned for 0\.2 s"):
        call.wait(0.2)
    assert call._thread.daemon
    release.set()


def test_a_call_that_nobody_wants_any_more() -> None:
    """A stop does not wait for it."""
    release = threading.Event()
    assert BoundedCall("opening the camera", release.wait).wait(60, lambda: True) is None
    release.set()
