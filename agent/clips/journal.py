"""What the recorder tells, and to whom: an intent before a file exists, the row once it is on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agent.clips.fragment import Plaintext
    from agent.types import ClipRecord, ClockState

SUFFIX = ".mp4"
SEALED_SUFFIX = ".mp4.age"


@dataclass(frozen=True, slots=True)
class OpenClip:
    """A clip under way; fields as in ClipRecord."""

    id: str
    path: str
    events: tuple[str, ...]
    started: float
    boot: str
    ts: str | None
    clk: ClockState
    codec: str
    width: int
    height: int
    sealed: str
    part: int = 1


class ClipJournal(Protocol):
    """Keeps what a power cut must not take. Both calls return once it is on disk.

    Each raises StorageError when it cannot be kept.
    """

    def opened(self, clip: OpenClip) -> None:
        """A clip's file is about to be created. Called again, same id, when an event joins the clip."""
        ...

    def closed(self, clip: ClipRecord, plain: Plaintext) -> None:
        """A clip's file is complete and on disk, `plain` is what is in it; ends the intent of the same id."""
        ...
