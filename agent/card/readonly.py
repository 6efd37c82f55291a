"""The files of a kit whose root is read-only: its units, and the list of what is kept (persist.toml)."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, ValidationError

from agent.card.template import fill
from agent.config_fields import Section
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

FOLDER, LIST = "read-only", "persist.toml"
EACH = "keep.mount"
"""The template of the mount unit of one directory that is kept."""
UNITS = "etc/systemd/system"
KEEP = "etc/stairwell-keep"
"""What /usr/lib/stairwell/keep reads. That it is there says that this kit's root is meant to be read-only."""
HEAD = "# What this kit keeps on its data partition, for /usr/lib/stairwell/keep: path, mode, owner.\n"


class Kept(Section):
    """A directory of the system that lies on the data partition."""

    path: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9][A-Za-z0-9._-]*)+$")]
    mode: Annotated[str, Field(pattern=r"^[0-7]{4}$")]
    owner: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]*$")]
    why: Annotated[str, Field(pattern=r"^[ -~]+$")]


class _List(Section):
    persist: tuple[Kept, ...]


def kept(source: Path) -> tuple[Kept, ...]:
    """What persist.toml in `source` lists.

    Raises:
        ConfigError: it is not there, or an entry is wrong.
    """
    path = source / LIST
    try:
        return _List(**tomllib.loads(path.read_text(encoding="utf-8"))).persist
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigError(
            f"{path}: cannot be used ({error})", fix="take firmware-config/ as it is in a checkout"
        ) from None


def escaped(path: str) -> str:
    """The name of a path within a unit's, as `systemd-escape --path` makes it (systemd.unit(5))."""
    parts = [
        re.sub(r"[^A-Za-z0-9:_.]", lambda found: f"\\x{ord(found[0]):02x}", part) for part in path.split("/")
    ]
    return "-".join(part for part in parts if part)


def files(source: Path, values: dict[str, str]) -> dict[str, str]:
    """Texts by their paths below the root, absolute without the leading slash.

    Raises:
        ConfigError: the list or a template cannot be used.
    """
    folder = source / FOLDER
    units = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.*"))}
    each = units.pop(EACH)
    found = {f"{UNITS}/{name}": fill(text, values, str(folder / name)) for name, text in units.items()}
    listed = kept(source)
    for one in listed:
        place = {"path": one.path, "why": one.why}
        found[f"{UNITS}/{escaped(one.path)}.mount"] = fill(each, {**values, **place}, str(folder / EACH))
    found[KEEP] = HEAD + "".join(f"{one.path} {one.mode} {one.owner}\n" for one in listed)
    return found
