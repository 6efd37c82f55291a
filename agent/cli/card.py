"""`stairwell card`: at the depot, a new kit's card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.card.batch import enrolments
from agent.card.disk import check, disk_at
from agent.card.firmware import render
from agent.card.kits import Kits, Secrets
from agent.card.prepare import Outcome, base, to_disk, to_file
from agent.cli.bars import bars
from agent.device.clock import SystemClock
from agent.errors import ConfigError, StairwellError, StorageError
from agent.kitid import check_kit_id

if TYPE_CHECKING:
    from agent.card.prepare import Base
    from agent.device.enrolfile import EnrolFile

app = typer.Typer(help="Prepare the cards of new kits.", no_args_is_help=True)

KitNames = Annotated[list[str] | None, typer.Argument(metavar="[KIT]…", help="Kits whose cards are made.")]
KitsFile = Annotated[Path, typer.Option("--kits", help="What all kits of the city share.")]
DEVICES = Path("/dev")  # memory: no place for a directory of images
ENROLS = "The directory of enrolment files that `stairwell fleet claim` wrote."


@app.command()
def prepare(
    image: Annotated[Path, typer.Argument(help="Raspberry Pi OS Lite (64-bit), .img or .img.xz.")],
    names: KitNames = None,
    everything: Annotated[bool, typer.Option("--all", help="All kits of --claims, in turn.")] = False,
    claims: Annotated[Path, typer.Option(help=ENROLS)] = Path("claims"),
    kits: KitsFile = Path("kits.toml"),
    package: Annotated[
        list[Path] | None,
        typer.Option(help="A Debian package for the card; ours is needed. May be repeated."),
    ] = None,
    to: Annotated[Path, typer.Option(help="The card's disk, or a directory for images KIT.img.")] = Path(
        "cards"
    ),
    sha256: Annotated[
        str | None, typer.Option(help="The image's; default: IMAGE.sha256, if it is there.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="Where unpacked images are kept.")] = Path("build/images"),
    force: Annotated[bool, typer.Option("--force", help="Write to a disk that cannot be taken out.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a disk is overwritten.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Make cards: the image, with everything that a kit needs for its first boot, without internet.

    All input is checked before the first byte is written. What was written is read back; a card that was
    pulled out in the middle is recognised and written anew, one that is done already is only proved.
    """
    chosen = enrolments(claims, names or [], everything=everything, now=SystemClock().stamp().ts)
    with bars(image.name, quiet=quiet) as progress:
        size = image.stat().st_size if image.exists() else None
        common = base(
            image, kits, package or [], cache=cache, sha256=sha256, advance=progress.of("check", size)
        )
    for note in common.notes:
        typer.echo(f"note: {note}", err=True)
    disk = disk_at(to) is not None
    if not disk:
        _directory(to)
    for number, enrol in enumerate(chosen, 1):
        if disk:
            _ask(to, enrol.kit, common.layout.size, force=force, yes=yes, first=number == 1)
        outcome = _one(common, enrol, to, disk=disk, force=force, quiet=quiet)
        said = "written and read back" if outcome is Outcome.WRITTEN else "was ready; read back"
        typer.echo(f"{enrol.kit}: {said} ({number} of {len(chosen)})")


@app.command("render")
def render_command(
    kit: Annotated[str, typer.Argument(help="The kit's id.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="An empty or new directory.")],
    kits: KitsFile = Path("kits.toml"),
) -> None:
    """Write the settings of a kit's system into a directory, to look at: as a card has them, no claim."""
    try:
        check_kit_id(kit)
    except ValueError as error:
        raise ConfigError(f"{kit}: {error}", fix="`stairwell fleet list` shows the city's kits") from None
    settings = Kits.read(kits)
    files = render(settings, Secrets.read(settings, kits.parent), kit, "0" * 16)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out}: not empty", fix="name a new directory")
    try:
        for name, text in files.boot.items():
            _put(out / "boot" / name, text.encode(), 0o644)
        for file in files.root:
            _put(out / "root" / file.path, file.data, file.mode)
    except OSError as error:
        raise _unwritable(out, error) from None
    typer.echo(f"{out}: {len(files.boot)} files for the boot partition, {len(files.root)} for the system")


def _one(common: Base, enrol: EnrolFile, to: Path, *, disk: bool, force: bool, quiet: bool) -> Outcome:
    with bars(enrol.kit, quiet=quiet) as progress:

        def heard(step: str, count: int) -> None:
            progress.advance(step, count, common.layout.size)

        if disk:
            return to_disk(common, enrol, to, heard, force=force)
        return to_file(common, enrol, to / f"{enrol.kit}.img", heard)


def _ask(to: Path, kit: str, size: int, *, force: bool, yes: bool, first: bool) -> None:
    """Show which disk it is, and have it confirmed: what is on it will be gone."""
    if not first:
        typer.prompt(f"Put in the card of {kit} and press Enter", default="", show_default=False)
    found = disk_at(to)
    if found is None:
        raise StairwellError(f"{to}: no disk any more", fix="put the card in, and start again with the rest")
    check(found, size, force=force)
    typer.echo(str(found))
    if not yes and not typer.confirm(f"All that is on it will be gone. Make it the card of {kit}?"):
        raise typer.Exit(1)


def _directory(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise ConfigError(
            f"{path}: neither a disk nor a directory", fix="name the card's disk, or a directory"
        )
    if not path.exists() and path.resolve().is_relative_to(DEVICES):
        raise ConfigError(f"{path}: no such disk", fix="put the card in, and name its disk (lsblk shows it)")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path}: cannot be written ({error.strerror})", fix="name another directory")


def _put(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=mode)
    path.write_bytes(data)
    path.chmod(mode)
