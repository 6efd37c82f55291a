"""A call into a driver that may never come back, with an end to the waiting."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from agent.errors import ANEW, StallError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LOOK_S = 0.1  # how soon a wait sees that nobody wants its result any more


class BoundedCall(Generic[T]):
    """`function` on a thread of its own, left behind when it hangs: only a new process helps then."""

    def __init__(self, what: str, function: Callable[[], T]) -> None:
        self._what = what
        self._function = function
        self._done = threading.Event()
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)

    def wait(self, seconds: float, unwanted: Callable[[], bool] = lambda: False) -> T | None:
        """Its result, or what it raised; None once `unwanted`.

        Raises:
            StallError: it did not return within so many seconds.
        """
        self._thread.start()
        for _ in range(max(1, round(seconds / LOOK_S))):
            if self._done.wait(LOOK_S):
                break
            if unwanted():
                return None
        if not self._done.is_set():
            raise StallError(
                say("{what}: has not returned for {seconds:g} s", what=self._what, seconds=seconds), fix=ANEW
            )
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _run(self) -> None:
        try:
            self._result.append(self._function())
        except BaseException as error:  # noqa: BLE001 - the top of a thread: raised again in wait()
            self._error = error
        finally:
            self._done.set()
