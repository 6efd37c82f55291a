"""The kit's own agent.toml, made from what its card carries: nothing is left to edit by hand."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Any

from agent.config import State, load, settled
from agent.config_layers import Layers
from agent.device.enrolfile import toml
from agent.device.wallet import CERTIFICATE, DIRECTORY, KEY, LINK, ROOTS
from agent.durable import write_whole
from agent.errors import StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from pathlib import Path

    from agent.device.enrolfile import EnrolFile

MODE = 0o640  # a camera's address may hold its password
HEAD = """\
# Written by the first boot from what the card carried. All keys, with meaning and default, are in
# /usr/share/doc/stairwell-agent/agent.toml; the city may set some of them from afar.
"""


def values(file: EnrolFile, state: Path) -> dict[str, dict[str, Any]]:
    """The sections and keys of the kit that `file` is for, whose state lies in `state`."""
    papers = state / DIRECTORY / LINK
    settings = {name: dict(table) for name, table in file.settings.items()}
    settings["kit"] = {**settings.get("kit", {}), "id": file.kit}
    settings["backbone"] = {
        **settings.get("backbone", {}),
        "ca_file": str(papers / ROOTS),
        "cert_file": str(papers / CERTIFICATE),
        "key_file": str(papers / KEY),
        "enrol_url": file.url,
    }
    if state != State().dir:
        settings["state"] = {**settings.get("state", {}), "dir": str(state)}
    return settings


def check(path: Path, file: EnrolFile) -> None:
    """Hold the settings of `file`, which was read from `path`, against what a kit takes.

    Raises:
        ConfigError: a setting is wrong; the text names each with its file and value.
    """
    settled(Layers(path, values(file, State().dir), {}))


def write(path: Path, file: EnrolFile, state: Path) -> bool:
    """Have the settings of `file` at `path`; whether they had to be written.

    Raises:
        ConfigError: a setting of the card is wrong; nothing is written.
        StorageError: the disk refused; what was there is untouched.
    """
    wanted = values(file, state)
    load(None, wanted)
    written = _held(path) != wanted
    text = HEAD + "".join(
        f"\n[{section}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in table.items())
        for section, table in wanted.items()
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = path.parent.stat()
        if written:
            write_whole(path, text.encode(), MODE)
        # Each time, for a cut may have been right here. The directory is the agent's group's, so is the file.
        os.chown(path, folder.st_uid, folder.st_gid)
        path.chmod(MODE)  # whatever the umask is
    except OSError as error:
        raise StorageError(
            say("{path}: cannot be written ({reason})", path=path, reason=reason(error)),
            fix=say("run it as root"),
            errno=error.errno,
        ) from None
    return written


def _held(path: Path) -> dict[str, Any] | None:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
