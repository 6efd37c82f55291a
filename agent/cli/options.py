"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.config import DEFAULT_PATH

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help=f"Settings (TOML); without it {DEFAULT_PATH} if it is there, else the defaults. "
        "Variables STAIRWELL_SECTION__KEY stand over the file.",
    ),
]


def config_path(given: Path | None) -> Path | None:
    """The file to read: the one given, else the installed one, else none."""
    return given or (DEFAULT_PATH if DEFAULT_PATH.exists() else None)
