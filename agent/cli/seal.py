"""`stairwell seal`: a secret that root keeps for the agent, sealed to the board's TPM."""

from __future__ import annotations

from os import geteuid
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.language import Lang, language
from agent.device import sealing
from agent.device.unit import NAME as UNIT
from agent.errors import StairwellError
from agent.words import say, verbatim

KEYS = {"key": "key_file", "password": "password_file"}


Secret = Annotated[
    Path, typer.Argument(metavar="FILE", help="The secret; it is destroyed once it is sealed.")
]
Use = Annotated[str, typer.Option("--as", metavar="key|password", help="What the broker is shown.")]


def seal(
    file: Secret,
    use: Use = "key",
    lang: Lang = None,
) -> None:
    """Seal a private key or a password to this board's TPM, for a kit whose papers were issued by hand.

        sudo stairwell seal kit.key && sudo systemctl restart stairwell-agent

    Without a TPM it is refused: a key on the same card would open it. Sealed, it opens on this board only.
    """
    speech = language(lang)
    if use not in sealing.NAMES:
        raise typer.BadParameter(f"{use}: there are {' and '.join(sealing.NAMES)}", param_hint="--as")
    if geteuid() != 0:  # systemd-creds would say that there is no TPM
        raise StairwellError(say("only root may use the TPM"), fix=verbatim(f"sudo stairwell seal {file}"))
    target = sealing.seal(file, use)
    typer.echo(say("sealed: {path}; {file} is destroyed", path=target, file=file).told(speech))
    setting = f'backbone.{KEYS[use]} = "/run/credentials/{UNIT}/{sealing.NAMES[use]}"'
    typer.echo(say("In agent.toml: {setting}", setting=setting).told(speech))
