"""What the commands of a city's directory share: where it is, who is at work, the passphrase of its keys."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from agent.city import keyfile
from agent.city.authority import INTERMEDIATE_KEY
from agent.city.office import Office
from agent.errors import ConfigError

DEFAULT = Path("/var/lib/stairwell-city")

CityDirectory = Annotated[
    Path, typer.Option("--city", metavar="DIR", help="The city's directory: authority, register, settings.")
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="The passphrase of the city's keys, on the first line; without it a terminal is asked.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


def office(directory: Path, passphrase_file: Path | None = None, *, signs: bool = False) -> Office:
    """The city; with the passphrase of its keys if it is going to sign and they are sealed.

    Raises:
        ConfigError: there is no city, or the passphrase cannot be had.
    """
    sealed = signs and keyfile.is_sealed(directory / INTERMEDIATE_KEY)
    return Office.open(directory, passphrase(passphrase_file, new=False) if sealed else None)


def passphrase(file: Path | None, *, new: bool) -> bytes:
    """From the file, else from the terminal, twice when it is a `new` one.

    Raises:
        ConfigError: the file cannot be read, or holds none.
    """
    if file is None:
        said: str = typer.prompt("Passphrase of the city's keys", hide_input=True, confirmation_prompt=new)
        return said.encode()
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(
            f"--passphrase-file {file}: {error.strerror}", fix="name a file that you may read"
        ) from None
    if not lines or not lines[0]:
        raise ConfigError(f"--passphrase-file {file}: is empty", fix="put the passphrase on its first line")
    return lines[0]


def who() -> str:
    """Who gives the command, for the audit trail."""
    return getpass.getuser()
