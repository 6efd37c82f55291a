"""`stairwell run`: one agent, by the settings of its time, and what is to be made of its end.

When the city wants other settings the agent ends in order, and a new process begins with them under the same
process id (`agent.device.process`): a camera that is opened again and again in one process costs memory that
only the kernel gets back. What an agent dies of ends the process, and the service manager starts it anew.
Either way a start with a revision on trial is counted before it is made (`agent.backbone.revisions`).
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.app.configured import fitted
from agent.app.lifeboat import lifeboat
from agent.app.live import Agent
from agent.app.reconfiguration import RECONFIGURE, Terms
from agent.app.statelock import StateLock
from agent.backbone.revisions import OWN, Revisions
from agent.config import Settings, settled
from agent.config_layers import Layers
from agent.device import systemd
from agent.device.reset import BootRecord
from agent.device.savedtime import recall
from agent.device.watchdog import Hang
from agent.errors import ConfigError, StallError, StorageError
from agent.words import say

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from agent.device.clock import SystemClock

log = logging.getLogger(__name__)


def serve(path: Path | None, clock: SystemClock, stop: threading.Event) -> bool:
    """Be a kit until `stop` is set, its source has ended, or other settings are due: then True.

    Raises:
        ConfigError: the kit's own file or environment is wrong.
        StairwellError: as Agent; and StallError when a revision on trial turned out to be of no use.
    """
    systemd.feed_watchdog()  # it knows nothing of a new process, which has taken its time until here
    layers = Layers.read(Settings, path)
    own = settled(layers)
    boat = lifeboat(own.state.dir)
    state = boat.directory if boat else own.state.dir
    lock = StateLock(state)
    recall(state, clock)
    Hang(state, clock).judge()
    record = BootRecord(state, clock)
    record.open()
    try:
        terms = _terms(Terms(own, layers, Revisions(state), lock=lock))
        if boat:
            terms = replace(terms, settings=boat.settings(terms.settings), refusal=boat.refusal)
        logging.getLogger().setLevel(terms.settings.log.level.upper())
        try:
            why = Agent(terms.settings, clock, terms).run(stop)
        except Exception as error:
            _note_failure(terms, error)
            raise
        with contextlib.suppress(StorageError):  # then it counts as a failure, and can be given anew
            terms.revisions.forgive(terms.running)
    finally:
        record.close()
        lock.release()
    return why == RECONFIGURE and not stop.is_set()


def _terms(own: Terms) -> Terms:
    """What to start with, counted; `own` are the terms of the kit's own file."""
    revisions = own.revisions
    running = revisions.begin()
    if running == OWN:
        return own
    try:
        return replace(own, settings=fitted(own.layers, running.values), running=running)
    except ConfigError as error:  # the kit's own file has changed since, or the agent
        if running == revisions.good:
            log.error("configuration %d fits no more: %s", running.rev, error)  # noqa: TRY400 - for people
            return replace(own, misfit=error)
        revisions.roll_back(running, str(error))
        return _terms(own)


def _note_failure(terms: Terms, error: Exception) -> None:
    """Keep how a trial ended. With settings that cannot be run with there is no second try.

    Raises:
        StallError: they are rolled back. The service manager starts no agent anew whose configuration is
            wrong, and must start this one.
    """
    running, revisions = terms.running, terms.revisions
    if running == revisions.good:
        return
    try:
        if not isinstance(error, ConfigError):
            revisions.note(running, str(error))
            return
        revisions.roll_back(running, str(error))
    except StorageError as refusal:
        log.warning("configuration %d: %s", running.rev, refusal)
        return
    raise StallError(
        say("configuration {rev} cannot be run with: {why}", rev=running.rev, why=error.words[0]),
        fix=say("none needed: the next start has configuration {rev} again", rev=revisions.good.rev),
    ) from error
