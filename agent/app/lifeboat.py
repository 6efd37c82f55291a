"""Where a kit goes on whose disk takes nothing any more: its state in memory, its eyes open.

A worn card is found read-only at the start more often than under a running agent. The city shall hear that,
and of persons in the stairwell too, as long as the broker is there to tell: nothing is kept over a restart,
so the stream of messages begins anew with each, and no clip is recorded.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.app import moves
from agent.backbone import revisions
from agent.device.identity import KEYS
from agent.device.volatile import memory_dir
from agent.errors import StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Settings

log = logging.getLogger(__name__)

STATE = "state"
"""The directory's name in memory."""
OUTBOX_MB = 8.0  # of messages at most: they are in memory, of which a small kit has 512 MB
_DEAD = {errno.EROFS, errno.EIO, errno.ENODEV, errno.ENXIO}
"""What says that the disk is of no use. One that is full is another matter, and so are missing rights."""


@dataclass(frozen=True, slots=True)
class Lifeboat:
    """`directory` holds the state, in memory; `refusal` is what the disk said."""

    directory: Path
    refusal: StorageError

    def settings(self, chosen: Settings) -> Settings:
        """The settings less all that needs a disk."""
        return chosen.model_copy(
            update={
                "state": chosen.state.model_copy(update={"dir": self.directory}),
                "clips": chosen.clips.model_copy(update={"dir": None, "enabled": False}),
                "outbox": chosen.outbox.model_copy(update={"max_mb": min(OUTBOX_MB, chosen.outbox.max_mb)}),
            }
        )


def lifeboat(state: Path) -> Lifeboat | None:
    """What to start in; None where the disk of `state` takes writes, or there is nothing to get into.

    The kit's signing key is taken along, so that it stays the same kit, and what the city has set: a mask
    that it wanted must not fall away with the card. What the boat has of that is newer than the card's.
    """
    refusal, memory = _refusal(state), memory_dir()
    if refusal is None or memory is None:
        return None
    log.error("%s", refusal)
    boat = Lifeboat(memory / STATE, refusal)
    boat.directory.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(OSError):  # what cannot be read is made anew, and told by an alarm
        shutil.copytree(state / KEYS, boat.directory / KEYS, dirs_exist_ok=True)
    for name in (revisions.STATE, revisions.GOOD, moves.NAME):
        if not (boat.directory / name).exists():
            with contextlib.suppress(OSError):  # as above; the broker has it still, and delivers it again
                shutil.copyfile(state / name, boat.directory / name)
    return boat


def _refusal(state: Path) -> StorageError | None:
    """What the disk says to a file that has to be on it."""
    probe = state / "agent.probe"
    try:
        state.mkdir(mode=0o750, parents=True, exist_ok=True)
        file = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fsync(file)
        finally:
            os.close(file)
            probe.unlink()
    except OSError as error:
        if error.errno in _DEAD:
            return StorageError(
                say(
                    "{path}: takes no writes ({reason}); all is kept in memory, nothing is recorded",
                    path=state,
                    reason=reason(error),
                ),
                fix=say("replace the card, it is worn out or torn; then restart the kit"),
                errno=error.errno,
            )
    return None
