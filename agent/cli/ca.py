"""`stairwell ca`: the city's certificate authority."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.table import Table

from agent.city import issued, moment
from agent.city.authority import CRL, INTERMEDIATE, ROOT_KEY, listed_until
from agent.city.office import Office
from agent.city.settings import CitySettings, explained
from agent.cli import release
from agent.cli.city_options import DEFAULT, CityDirectory, Json, PassphraseFile, office, passphrase, who
from agent.cli.clip_tables import wide
from agent.cli.fleet_tables import counted
from agent.config_fields import Receipt  # noqa: TC001 - typer reads it
from agent.device.clock import SystemClock
from agent.errors import ConfigError

ENDING = 2  # as the doctor's for what fails
LEFT_DAYS = 20  # half of a list's life: as long again to find out why the broker was brought none

app = typer.Typer(
    help="The city's certificate authority: who is let in, and who no more. Run it at the depot.",
    no_args_is_help=True,
)
app.command("release-key")(release.release_key)
app.command("sign-release")(release.sign_release)


@app.command()
def init(
    name: Annotated[str, typer.Option(help="The city's short name: lower case, digits, dashes.")],
    url: Annotated[str, typer.Option(help="Where kits will enrol: https://host:port")],
    broker: Annotated[str, typer.Option(metavar="HOST", help="The broker, by its certificate's name.")],
    port: Annotated[int, typer.Option(help="The broker's port.")] = 8883,
    recipient: Annotated[
        list[str] | None, typer.Option(metavar="AGE1…", help="Who can open clips; may be given twice.")
    ] = None,
    delivery: Annotated[
        Receipt, typer.Option(help="Whose word kits wait for: the platform's, or the broker's alone.")
    ] = "watermark",
    passphrase_file: PassphraseFile = None,
    open_keys: Annotated[
        bool, typer.Option("--open-keys", help="No passphrase: nothing but file modes guards the keys.")
    ] = False,
    city: CityDirectory = DEFAULT,
) -> None:
    """Make the city: authority, register, the key that signs orders, and settings for all kits.

    All private keys are sealed with one passphrase. `root.key` is needed again in three years, for
    `stairwell ca renew`: move it off this machine.
    """
    try:
        settings = CitySettings(
            name=name,
            url=url,
            broker_host=broker,
            broker_port=port,
            delivery=delivery,
            recipients=tuple(recipient or ()),
        )
    except ValidationError as error:
        raise ConfigError(explained(error), fix="`stairwell ca init --help` tells what is needed") from None
    secret = None if open_keys else passphrase(passphrase_file, new=True)
    Office.create(city, settings, secret, who(), moment.now(SystemClock()))
    typer.echo(f"{city}: made. Move {ROOT_KEY} to a safe, and back the rest up.")
    if open_keys:
        typer.echo("The keys have no passphrase: whoever reads these files is the city.", err=True)


@app.command()
def renew(passphrase_file: PassphraseFile = None, city: CityDirectory = DEFAULT) -> None:
    """Give the intermediate a new term of three years. The root's key must be back in its place for that."""
    opened = office(city, passphrase_file, signs=True)
    now = moment.now(SystemClock())
    made = opened.authority().renew(opened.passphrase, now)
    opened.write_crl(who(), now, made)
    typer.echo(f"{city / INTERMEDIATE}: until {made.signer.certificate.not_valid_after_utc.date()}")


@app.command()
def issue(
    name: Annotated[str, typer.Argument(help="The program's name, as the broker's ACL has it: platform …")],
    host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Of a server: its host name or address.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where to put them.")] = Path(),
    passphrase_file: PassphraseFile = None,
    city: CityDirectory = DEFAULT,
) -> None:
    """Make a key and a certificate for a server or a program; kits get theirs by enrolment.

        stairwell ca issue broker --host broker.odesa.example -o /etc/mosquitto/certs

        stairwell ca issue platform

    It lives for 90 days. A second one under the same name does not end the first.
    """
    opened = office(city, passphrase_file, signs=True)
    for path in opened.issue(name, host or (), out, who(), moment.now(SystemClock())):
        typer.echo(path)


@app.command()
def revoke(
    which: Annotated[str, typer.Argument(metavar="NAME|SERIAL", help="Of a program; kits: `fleet revoke`.")],
    compromised: Annotated[bool, typer.Option("--compromised", help="Its key is in wrong hands.")] = False,
    passphrase_file: PassphraseFile = None,
    city: CityDirectory = DEFAULT,
) -> None:
    """Take a program's certificates back, and write the list for the broker."""
    reason = issued.COMPROMISED if compromised else issued.CESSATION
    opened = office(city, passphrase_file, signs=True)
    count = opened.revoke(which, reason, who(), moment.now(SystemClock()))
    typer.echo(f"{counted(count, 'certificate')} taken back; give {city / CRL} to the broker and restart it")


@app.command()
def crl(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; tell for how long the list still counts.")
    ] = False,
    days: Annotated[
        int, typer.Option(min=0, help="With --check: fewer that are left are an error.")
    ] = LEFT_DAYS,
    passphrase_file: PassphraseFile = None,
    city: CityDirectory = DEFAULT,
) -> None:
    """Write the list of what was taken back anew, for 40 days. Give it to the broker, and restart that.

    A broker with an ended list lets no kit in. --check looks at crl.pem alone, so it works beside the broker,
    too; exit code 2: it ends within --days, which is then said on the standard error. For a cron job that
    mails what it hears:

        stairwell ca crl --check --city /etc/mosquitto/certs >/dev/null
    """
    if check:
        _check_list(city, days)
        return
    typer.echo(office(city, passphrase_file, signs=True).write_crl(who(), moment.now(SystemClock())))


def _check_list(directory: Path, days: int) -> None:
    end = listed_until(directory)
    left = (end - moment.now(SystemClock())).days
    ending = left < days
    typer.echo(f"{directory / CRL}: until {end.date()}, {counted(max(0, left), 'day')} left", err=ending)
    if ending:
        raise typer.Exit(ENDING)


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="Only those of this kit or program.")] = None,
    as_json: Json = False,
    city: CityDirectory = DEFAULT,
) -> None:
    """List the certificates that were given, oldest first."""
    opened = office(city)
    with opened.registry.transaction() as db:
        found = issued.of_name(db, name)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    table = Table("name", "serial", "issued", "ends", "taken back", box=None, pad_edge=False)
    for one in found:
        table.add_row(one.name, one.serial, one.issued, one.ends, one.revoked or "")
    wide().print(table)
    typer.echo(counted(len(found), "certificate"), err=True)
