"""Whether a kit records, and to where: said as alarms, and given to the recording stage."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agent.clips.recorder import Recorder
from agent.errors import StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.app.announcer import Announcer
    from agent.app.premises import Premises
    from agent.capture.ring import PacketRing
    from agent.config import Settings
    from agent.device.clock import Clock

log = logging.getLogger(__name__)


def open_recorder(
    settings: Settings,
    ring: PacketRing,
    mint: Callable[[], str],
    premises: Premises,
    clock: Clock,
    announcer: Announcer,
) -> tuple[Recorder | None, StorageError | None]:
    """The recorder, or None with an alarm where recording is off or not allowed.

    With it, what is wrong with the directory of clips: events go on, and a clip is tried with each of them.
    """
    clips = settings.clips
    refused = clips.enabled and clips.refused
    announcer.alarm("clips.disabled", active=refused)
    announcer.alarm("clips.unsealed", active=clips.enabled and clips.seal == "none")
    if refused:
        log.error("nothing is recorded: clips.recipients names nobody who could open sealed clips")
    if clips.seal == "none":
        log.warning('clips.seal = "none": a stolen card shows every clip; for development only')
    if not clips.enabled or refused:
        announcer.alarm("clips.failed", active=False)  # what an earlier run left: nobody tries now
        return None, None
    directory = settings.clips_dir
    refusal = None
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
    except OSError as error:
        refusal = StorageError(
            say("{path}: cannot be made ({reason})", path=directory, reason=reason(error)),
            fix=say("check clips.dir and its owner"),
            errno=error.errno,
        )
        log.error("clips: %s", refusal)  # noqa: TRY400 - for people
    return Recorder(clips, directory, ring.since, mint, premises, clock.stamp), refusal
