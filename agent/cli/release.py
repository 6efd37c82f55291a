"""`stairwell ca release-key` and `sign-release`: releases of the agent, as the city vouches for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from agent.city import keyfile, releasekey
from agent.cli.city_options import DEFAULT, PassphraseFile, passphrase
from agent.device import release
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Key = Annotated[Path, typer.Option("--key", metavar="FILE", help="The key that signs releases.")]
WHERE = DEFAULT / releasekey.NAME


def release_key(
    key: Key = WHERE,
    passphrase_file: PassphraseFile = None,
    open_key: Annotated[
        bool, typer.Option("--open-key", help="No passphrase: nothing but its mode guards the key.")
    ] = False,
) -> None:
    """Show the public half of the key that signs releases; the key is made if there is none.

    Put it into `release_keys` of city.toml before cards are made, or on a kit into `update.release_keys`.
    Keep it off the machines that send orders: whoever has it decides what runs on every kit.
    """
    if not key.exists():
        releasekey.make(key, None if open_key else passphrase(passphrase_file, new=True))
        typer.echo(f"{key}: made. Back it up, and keep it where no network reaches it.", err=True)
    typer.echo(releasekey.public(_opened(key, passphrase_file)))


def sign_release(
    tree: Annotated[
        Path, typer.Argument(metavar="DIR", help="The release's files: a package's usr/lib/stairwell.")
    ],
    version: Annotated[str, typer.Option(help="As the release calls itself.")],
    counter: Annotated[int, typer.Option(help="Higher than that of every release before.")],
    suite: Annotated[str, typer.Option(metavar="bookworm|trixie", help="The Debian that it is for.")],
    architecture: Annotated[str, typer.Option("--arch", metavar="amd64|arm64", help="The processor.")],
    python: Annotated[str, typer.Option(help="The Python of that Debian: 3.11, 3.13.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The bundle.")],
    level: Annotated[int, typer.Option(min=0, max=9, help="How hard xz tries.")] = release.LEVEL,
    key: Key = WHERE,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make one signed file of a release's files, for `stairwell update`. The same files give the same bytes.

    `scripts/build-bundle` calls it with what a package says of itself.
    """
    said: dict[str, Any] = {"version": version, "counter": counter, "suite": suite}
    try:
        facts = release.Facts.model_validate({**said, "architecture": architecture, "python": python})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"--{first['loc'][0]} {first['input']}: {first['msg']}",
            fix="see stairwell ca sign-release --help",
        ) from None
    if not tree.is_dir():
        raise ConfigError(f"{tree}: no directory", fix="name the files of a release")
    try:
        made = release.pack(tree, facts, _opened(key, passphrase_file), out, level)
    except OSError as error:
        raise StorageError(
            f"{error.filename or out}: {error.strerror}", fix="see that it may be written", errno=error.errno
        ) from None
    typer.echo(f"{out}: {made.name}, {len(made.files)} files, {out.stat().st_size / 1e6:.1f} MB")


def _opened(key: Path, passphrase_file: Path | None) -> Ed25519PrivateKey:
    sealed = keyfile.is_sealed(key)
    return releasekey.read(key, passphrase(passphrase_file, new=False) if sealed else None)
