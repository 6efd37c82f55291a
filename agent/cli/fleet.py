"""`stairwell fleet`: the city's register of kits."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.app import city_acceptance
from agent.app.city_acl import acl as make_acl
from agent.app.city_desired import desired as sign_desired
from agent.app.city_desired import read_values
from agent.city import claims, fleet, inventory, issued, moment
from agent.city.authority import CRL
from agent.city.kits import BY_HAND, State
from agent.cli import fleet_tables
from agent.cli.bars import bars
from agent.cli.city_options import DEFAULT, CityDirectory, Json, PassphraseFile, office, who
from agent.cli.clip_tables import wide
from agent.cli.fleet_tables import counted
from agent.device.clock import SystemClock
from agent.durable import write_whole
from agent.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from cryptography.x509 import ReasonFlags

    from agent.city.kits import Kit
    from agent.city.office import Office

app = typer.Typer(
    help="The register of kits: where each hangs, what it was given, who is locked out. Run it at the depot.",
    no_args_is_help=True,
)

Kits = Annotated[list[str], typer.Argument(metavar="KIT...", help="Ids of kits.")]
ListFile = Annotated[Path, typer.Argument(metavar="FILE", help="CSV, or TOML with [[kit]] tables.")]
Cards = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="Where the files for the cards are put.")
]
SomeKits = Annotated[
    list[str] | None, typer.Argument(metavar="[KIT...]", help="Ids of kits; without them all.")
]
Values = Annotated[
    Path | None,
    typer.Option("--values", metavar="FILE", help="More that is wanted, as in agent.toml; masks, zones …"),
]
OutFile = Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Instead of printing it.")]
Reason = Annotated[str, typer.Option("--why", help="The reason, for the audit trail.")]
InState = Annotated[State | None, typer.Option("--state", help="Only kits in this state.")]
LIST_MODE = 0o644


@app.command("import")
def import_(
    path: ListFile,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: Json = False,
    city: CityDirectory = DEFAULT,
) -> None:
    """Take kits in from a list, or change what is known of them. One wrong row, and nothing is taken in.

    Columns: kit (empty for a new one), oblast, city, district, katotth, precinct, building, entrance, floor,
    purpose, retention_h. `stairwell fleet export` gives the list back with the ids.
    """
    opened = office(city)
    plan = inventory.plan(inventory.read(path), opened.registry.kits())
    if plan.flaws:
        if as_json:
            _json([asdict(flaw) for flaw in plan.flaws])
        else:
            wide().print(fleet_tables.flaws(plan.flaws))
        rows = len({flaw.row for flaw in plan.flaws})
        raise ConfigError(
            f"{path}: {counted(rows, 'row')} wrong", fix="nothing was taken in; correct and retry"
        )
    new: list[Kit] = []
    if not dry_run:
        new = fleet.take_in(opened.registry, plan, who(), moment.now(SystemClock()))
    if as_json:
        _json([_described(kit) for kit in new])
    elif new:
        wide().print(fleet_tables.kits(new))
    typer.echo(
        f"{len(plan.new)} new, {len(plan.changed)} changed, {len(plan.same)} as before"
        + (", nothing done" if dry_run else ""),
        err=True,
    )


@app.command("list")
def list_(state: InState = None, as_json: Json = False, city: CityDirectory = DEFAULT) -> None:
    """List the kits by place."""
    found = office(city).registry.kits(state)
    if as_json:
        _json([_described(kit) for kit in found])
        return
    wide().print(fleet_tables.kits(found))
    typer.echo(counted(len(found), "kit"), err=True)


@app.command()
def show(
    kit: Annotated[str, typer.Argument(metavar="KIT", help="Its id.")],
    as_json: Json = False,
    city: CityDirectory = DEFAULT,
) -> None:
    """Show all that is known of a kit: its place, claims, certificates, and who did what with it."""
    registry = office(city).registry
    found = registry.kit(kit)
    with registry.transaction() as db:
        made, given = claims.of_kit(db, kit), issued.of_name(db, kit)
    lines = registry.trail(kit)
    if as_json:
        _json(
            _described(found)
            | {"claims": [asdict(one) for one in made]}
            | {"certificates": [asdict(one) for one in given]}
            | {"trail": [asdict(one) for one in lines]}
        )
        return
    for part in fleet_tables.shown(found, made, given, lines):
        wide().print(part)


@app.command()
def claim(
    out: Cards,
    kits: Annotated[list[str] | None, typer.Argument(metavar="[KIT...]", help="Ids of kits.")] = None,
    all_new: Annotated[
        bool, typer.Option("--all", help="All that have neither a certificate nor a claim, instead of ids.")
    ] = False,
    hours: Annotated[float, typer.Option(help="How long a claim counts.")] = claims.LIFE_H,
    city: CityDirectory = DEFAULT,
) -> None:
    """Make one-time claims, and with them the file that each new card carries: `KIT.toml`.

    A claim counts once, for its kit alone; the one before it counts no more. When a new card of a kit enrols,
    the certificates of the old card are taken back. With --all no kit loses a claim that still counts, since
    its card may be on its way: to replace one, name the kit.
    """
    opened, now = office(city), moment.now(SystemClock())
    if all_new == bool(kits):
        raise typer.BadParameter("give ids of kits, or --all")
    if all_new:
        with opened.registry.transaction() as db:
            counting = claims.counting(db, now)
        new = opened.registry.kits(State.MANUFACTURED)
        chosen = [kit for kit in new if kit.kit not in counting]
        if len(chosen) < len(new):
            passed = counted(len(new) - len(chosen), "kit")
            typer.echo(
                f"{passed} passed over: a claim of each still counts; name a kit to replace its", err=True
            )
    else:
        chosen = [opened.registry.kit(kit) for kit in dict.fromkeys(kits or ())]
    made = fleet.make_claims(opened.registry, [kit.kit for kit in chosen], who(), now, hours)
    with bars("writing", quiet=False, things=True) as progress:
        step = progress.of("cards", len(chosen))
        for path in fleet.write_cards(opened, chosen, made, out, step):
            typer.echo(path)
    typer.echo(f"{counted(len(made), 'claim')}, each counts once and for {hours:g} hours", err=True)


@app.command()
def move(
    kits: Kits,
    to: Annotated[State, typer.Option("--to", help=f"One of {', '.join(sorted(BY_HAND))}.")],
    why: Reason,
    city: CityDirectory = DEFAULT,
) -> None:
    """Say that kits were commissioned, or are active."""
    if to not in BY_HAND:
        raise typer.BadParameter(f"{to} comes about by a claim, `fleet revoke` or `fleet retire`")
    registry = office(city).registry
    now = moment.now(SystemClock())
    for kit in kits:
        registry.move(kit, to, who(), why, now)


@app.command()
def accept(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="A kit's acceptance.json, or its `accept` message."),
    ],
    city: CityDirectory = DEFAULT,
) -> None:
    """Take records of commissioning: each kit is commissioned, by who signed for it.

    The kit has to be in the register, claimed, and at the place for which it was signed; the trail keeps who
    signed, and the fingerprint of the key. A record that was taken already changes nothing.
    """
    registry, now = office(city).registry, moment.now(SystemClock())
    for path in files:
        record = city_acceptance.read(path)
        new = city_acceptance.take(registry, record, who(), now)
        typer.echo(f"{record.dev}: {'commissioned' if new else 'was taken already'}, signed by {record.by}")


@app.command()
def revoke(
    kits: Kits,
    why: Reason,
    passphrase_file: PassphraseFile = None,
    city: CityDirectory = DEFAULT,
) -> None:
    """Lock kits out: a stolen kit, a lost card. A new claim and a new card bring one back."""
    _lock_out(office(city, passphrase_file, signs=True), kits, State.QUARANTINED, why, issued.COMPROMISED)


@app.command()
def retire(
    kits: Kits,
    why: Reason,
    passphrase_file: PassphraseFile = None,
    city: CityDirectory = DEFAULT,
) -> None:
    """Let kits go for good. Their ids are never given again."""
    _lock_out(office(city, passphrase_file, signs=True), kits, State.RETIRED, why, issued.CESSATION)


@app.command()
def export(
    out: OutFile = None,
    state: InState = None,
    city: CityDirectory = DEFAULT,
) -> None:
    """Give the kits as a CSV list that `import` takes."""
    _give(inventory.text(office(city).registry.kits(state)), out)


@app.command()
def desired(
    kits: SomeKits = None,
    values: Values = None,
    out: OutFile = None,
    passphrase_file: PassphraseFile = None,
    city: CityDirectory = DEFAULT,
) -> None:
    """Sign a new configuration for kits, or for all: place, retention, recipients, and your values.

    Each line is a message as JSON: publish `payload` on `topic`, retained, with QoS 1. A configuration is the
    whole of what the city wants: a key that it does not name is the kit's own again.
    """
    over = read_values(values) if values else {}
    opened = office(city, passphrase_file, signs=True)
    if kits:
        chosen = [opened.registry.kit(kit) for kit in dict.fromkeys(kits)]
    else:
        chosen = [kit for kit in opened.registry.kits() if kit.state is not State.RETIRED]
    made = sign_desired(opened, chosen, over, who(), moment.now(SystemClock()))
    lines = [json.dumps(asdict(one), ensure_ascii=False) for one in made]
    _give("".join(f"{line}\n" for line in lines), out)
    typer.echo(f"{counted(len(chosen), 'kit')}, {counted(len(lines), 'message')}", err=True)


@app.command()
def acl(out: OutFile = None, city: CityDirectory = DEFAULT) -> None:
    """Write the broker's ACL with each kit at its place: stricter than the reference.

    Make it anew when kits come, move or go. Locked-out and retired ones are not in it.
    """
    _give(make_acl(office(city).registry.kits()), out)


@app.command()
def trail(
    last: Annotated[int, typer.Option("--last", min=1, help="So many lines of it.")] = 100,
    as_json: Json = False,
    city: CityDirectory = DEFAULT,
) -> None:
    """Show who did what, oldest first: kits, claims, certificates, refusals."""
    found = office(city).registry.trail(last=last)
    if as_json:
        _json([asdict(entry) for entry in found])
        return
    wide().print(fleet_tables.trail(found))


def _give(text: str, out: Path | None) -> None:
    """Into a file, whole or not at all, or printed."""
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        write_whole(out, text.encode(), LIST_MODE)
    except OSError as error:
        raise StorageError(f"--out {out}: {error.strerror}", fix="name a file that you may write") from None


def _lock_out(opened: Office, kits: list[str], state: State, why: str, reason: ReasonFlags) -> None:
    now = moment.now(SystemClock())
    count = sum(fleet.lock_out(opened, kit, state, reason, who(), why, now) for kit in dict.fromkeys(kits))
    typer.echo(
        f"{counted(count, 'certificate')} taken back; "
        f"give {opened.directory / CRL} to the broker and restart it"
    )


def _described(kit: Kit) -> dict[str, Any]:
    return asdict(kit) | {
        "site": kit.site.model_dump(),
        "former": [f"{place.oblast}/{place.city}/{place.district}" for place in kit.former],
    }


def _json(what: object) -> None:
    sys.stdout.write(json.dumps(what, indent=2, ensure_ascii=False) + "\n")
