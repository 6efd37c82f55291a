"""`stairwell enrol`: how a kit gets its certificate. `serve` is the city's side, the rest the kit's."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from agent.city.service import Service
from agent.cli.city_options import DEFAULT, CityDirectory, PassphraseFile, office
from agent.cli.options import ConfigFile, config_path
from agent.config import State, load
from agent.device.clock import SystemClock
from agent.device.enrolfile import EnrolFile
from agent.device.enrolment import join as join_city
from agent.device.enrolment import renew as renew_papers
from agent.device.wallet import CERTIFICATE, DIRECTORY, LINK, Wallet
from agent.errors import ConfigError
from agent.words import say

app = typer.Typer(
    help="Enrolment: a claim becomes a certificate, and that the next one.", no_args_is_help=True
)

CardFile = Annotated[
    Path, typer.Option("--file", "-f", metavar="FILE", help="What the card carries: enrol.toml.")
]
STATE = State().dir
StateDirectory = Annotated[Path, typer.Option("--state", metavar="DIR", help="The kit's state directory.")]


@app.command()
def serve(
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where kits reach it.")] = "0.0.0.0:8443",
    passphrase_file: PassphraseFile = None,
    city: CityDirectory = DEFAULT,
) -> None:
    """Answer kits that enrol or renew, at the city (EST, RFC 7030), until stopped.

    It gives itself its own certificate, for the host in `url` of city.toml, and writes `crl.pem` once a day.
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise typer.BadParameter(f"{listen}: HOST:PORT is needed")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    service = Service(office(city, passphrase_file, signs=True), host.strip("[]"), int(port), SystemClock())
    service.start()
    typer.echo(f"answers at {host}:{service.port}")
    stopped.wait()
    service.close()


@app.command()
def join(file: CardFile, state: StateDirectory = STATE) -> None:
    """Trade the claim of a new card for the kit's certificate; nothing when it has one. Run it as its user.

    May be cut off anywhere and run again. Exit code 9 tells that the city could not be asked, or refused.
    """
    papers = join_city(EnrolFile.read(file), Wallet(state / DIRECTORY), SystemClock())
    typer.echo(f"{papers.kit}: until {papers.certificate.not_valid_after_utc.date()}, {papers.files[0]}")


@app.command()
def renew(
    config: ConfigFile = None,
    force: Annotated[bool, typer.Option("--force", help="Before it is due.")] = False,
) -> None:
    """Get the kit's next certificate once half of the life of this one is over.

    The running agent takes it up by itself. A timer of the package runs it once a day.
    """
    settings = load(config_path(config))
    directory = settings.state.dir / DIRECTORY
    expected = directory / LINK / CERTIFICATE
    if settings.backbone.enrol_url is None:
        raise ConfigError(
            say("backbone.enrol_url is not set"),
            fix=say("name the city's EST service, or renew by other means"),
        )
    if settings.backbone.cert_file != expected:
        raise ConfigError(
            say("backbone.cert_file = {path}: not what enrolment keeps", path=settings.backbone.cert_file),
            fix=say("set it to {expected}, with key_file and ca_file beside it", expected=expected),
        )
    done = renew_papers(
        settings.kit.id, settings.backbone.enrol_url, Wallet(directory), SystemClock(), force=force
    )
    typer.echo("renewed" if done else "not due")
