"""From the camera's threads to the one that reads the source; bounded, and nobody waits in the camera."""

from __future__ import annotations

import logging
import queue
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.picture import Picture
    from agent.types import Luma

log = logging.getLogger(__name__)

PICTURES_WAITING = 8  # half a second at 15 fps and 11 MB at 720p: an encoder that lags more does not catch up
PACKETS_WAITING = 128  # some seconds; the reader only hands on


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A frame, out of the camera's memory. `luma` is there when it is to be analysed."""

    index: int
    t: float
    picture: Picture
    luma: Luma | None


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A picture from the hardware encoder."""

    data: bytes
    t: float
    keyframe: bool


class Handover:
    """A queue that drops pictures, and packets up to the next key frame, where it is full.

    `records`: its reader encodes the pictures, so that one that is dropped is missing from the recording.
    """

    def __init__(self, *, records: bool) -> None:
        self._records = records
        self._queue: queue.SimpleQueue[Shot | Encoded | BaseException | None] = queue.SimpleQueue()
        self._await_key = False
        self._told = False
        self.unseen = 0
        """Frames that found no room on their way to analysis."""
        self.unrecorded = 0
        """Pictures that found none on their way to the recording."""

    def shot(self, shot: Shot) -> None:
        """Hand a frame over."""
        if self._queue.qsize() >= PICTURES_WAITING:
            self.unseen += shot.luma is not None
            self._drop("a picture", recorded=self._records)
        else:
            self._queue.put(shot)

    def encoded(self, encoded: Encoded) -> None:
        """Hand a packet over."""
        self._await_key &= not encoded.keyframe
        if self._await_key or self._queue.qsize() >= PACKETS_WAITING:
            self._await_key = True
            self._drop("a packet", recorded=True)
        else:
            self._queue.put(encoded)

    def fail(self, error: BaseException) -> None:
        """Hand over what ended the camera's thread."""
        self._queue.put(error)

    def wake(self) -> None:
        """End a wait."""
        self._queue.put(None)

    def take(self, seconds: float) -> Shot | Encoded | None:
        """The next in order; None after so many seconds, or when woken. Raises what `fail` was given."""
        try:
            item = self._queue.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(item, BaseException):
            raise item
        return item

    def _drop(self, what: str, *, recorded: bool) -> None:
        self.unrecorded += recorded
        level = logging.DEBUG if self._told else logging.WARNING
        self._told = True
        log.log(level, "%s from the camera found no room: this board is too slow", what)
