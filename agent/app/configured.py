"""The settings that a kit runs with: its own file and environment, and over them what the city wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.app.usable import usable
from agent.backbone.revisions import Revisions
from agent.config import Settings, load, settled
from agent.config_layers import CITY, Layers
from agent.config_remote import refusals
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config_remote import Tables


def fitted(layers: Layers, values: Tables) -> Settings:
    """The settings of a kit under the city's `values`, judged whole.

    Raises:
        ConfigError: a key is wrong, by itself or together with the kit's own file, or the agent cannot run
            with them; `keys` names each wrong key.
    """
    wrong = refusals(values)
    if wrong:
        raise ConfigError(
            "; ".join(f"{CITY}: {key}: {why}" for key, why in wrong.items()),
            fix="publish a higher revision without them",
            keys=wrong,
        )
    settings = settled(layers.with_remote(values))
    usable(settings)
    return settings


def in_force(path: Path | None) -> Settings:
    """The settings that an agent started now would run with, as far as whoever asks may know.

    Raises:
        ConfigError: the kit's own file or environment is wrong.
    """
    own = load(path)
    try:
        return settled(next_start(path))
    except (ConfigError, StorageError):  # it does not go with the kit's own file, or is not ours to read
        return own


def next_start(path: Path | None) -> Layers:
    """The layers that an agent started now would run with, those of the city among them; nothing is changed.

    Raises:
        ConfigError: the kit's own file or environment is wrong.
        StorageError: what the kit keeps of the city's configuration cannot be read.
    """
    layers = Layers.read(Settings, path)
    return layers.with_remote(Revisions.next(settled(layers).state.dir).values)
