"""Power that goes before a given step to the disk."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def killed_at(number: int, steps: tuple[str, ...]) -> Iterator[None]:
    """In this process call `number` of those `steps` of `os` is never made: SIGKILL comes before it."""
    left = [number]

    def counted(step: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **named: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*args, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for step in steps:
            patch.setattr(os, step, counted(getattr(os, step)))
        yield
