"""Root's part of an update that was ordered: its own copy, its own look at the signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.app.update import install
from agent.config import settled
from agent.device import installation
from agent.device.installation import Status
from agent.errors import StairwellError, StorageError, UpdateError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.config_layers import Layers
    from agent.device.release import Manifest
    from agent.device.releases import Releases
    from agent.words import Text


def install_asked(
    layers: Layers,
    releases: Releases,
    home: Path,
    prove: Callable[[Path, Manifest], None],
    tell: Callable[[Text], None],
) -> None:
    """Install what the agent asks for, and answer it; see `agent.app.update.install`.

    Nothing is started anew: the agent ends by itself, in a quiet moment. The keys are those of the kit's own
    settings, which no order and no configuration from afar can change (`agent.config_remote`). What was drawn
    on the picture is among the `layers` and the agent's user's: settings that are wrong are an answer, too.

    Raises:
        ConfigError, UpdateError, StorageError: as `install`; or nothing was asked for. The agent is told.
    """
    state = layers.state or settled(layers).state.dir
    request = installation.asked(state)
    if request is None:
        raise UpdateError(
            say("the agent asks for no release"), fix=say("name a bundle: `stairwell update BUNDLE`")
        )

    def begun(manifest: Manifest) -> None:
        installation.answer(home, request, Status.BEGUN, manifest.name)

    try:
        try:
            keys = settled(layers).update.release_keys
            with installation.taken(state, home) as bundle:
                done = install(bundle, keys, releases, prove, begun, tell)
        except StairwellError as error:
            installation.answer(home, request, Status.FAILED, error.problem)
            raise
        installation.answer(home, request, Status.OK, done.manifest.name)
    except OSError as error:
        raise StorageError(
            say("{path}: {reason}", path=error.filename or home, reason=reason(error)),
            fix=say("free space, or replace a card that is worn out"),
            errno=error.errno,
        ) from None
