"""`stairwell clips`: what the kit recorded, and what becomes of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.app.archive import Archive
from agent.app.configured import in_force
from agent.app.inspection import inspect
from agent.cli import clip_tables
from agent.cli.bars import bars
from agent.cli.clip_tables import MB
from agent.cli.language import Lang, agreed
from agent.cli.language import language as spoken_in
from agent.cli.options import ConfigFile, config_path
from agent.clips.export import target_of
from agent.clips.unseal import read_keys
from agent.clips.verify import size_of
from agent.clips.verify import verify as verify_clips
from agent.config import load
from agent.device.clock import SystemClock
from agent.device.identity import PublicKey
from agent.errors import StorageError
from agent.reasons import reason
from agent.words import counted, say

if TYPE_CHECKING:
    from agent.app.inspection import Inspection
    from agent.words import Language, Text

app = typer.Typer(
    help="The clips: look, hand out, prove, hold, erase. Works beside a running agent; run it as its user.",
    no_args_is_help=True,
)

NOT_SOUND = StorageError.exit_code
STEPS = {"clips": say("clips"), "open footage": say("open footage")}
"""What the bars of a check are called."""

Clips = Annotated[
    list[str], typer.Argument(metavar="CLIP...", help="Ids of clips, or a part of an id that fits only one.")
]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--identity",
        "-i",
        metavar="FILE",
        help="The city's age identity file (AGE-SECRET-KEY-1…). It opens every clip: leave it on no kit.",
    ),
]
PublicKeyFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="The kit's public key (kit.pub, or the key of its birth); default: this kit's."
    ),
]
Sure = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("list")
def list_(
    config: ConfigFile = None,
    event: Annotated[str | None, typer.Option(metavar="ID", help="Only the clips of this event.")] = None,
    held: Annotated[bool, typer.Option("--held", help="Only the clips on hold.")] = False,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """List the clips, oldest first.

    A clip without a time was recorded before the clock was set: its place in the list is right, and `show`
    tells its boot and the seconds since. Marks: **held** is kept whatever happens, **cut** ends early after a
    power loss, **unsent** says that the city has not been told yet, **open** is not sealed, and **DAMAGED**
    came back from the card otherwise than it was written.
    """
    language = spoken_in(lang)
    archive = _archive(config)
    found = archive.described(archive.clips(event=event))
    if held:
        found = [clip for clip in found if clip["held"]]
    if as_json:
        _json(found)
        return
    clip_tables.wide().print(clip_tables.listed(found, language))
    total = sum(clip["file"]["bytes"] for clip in found)
    told = counted("{n} clip, {mb:.1f} MB", "{n} clips, {mb:.1f} MB", len(found), mb=total / MB)
    typer.echo(told.told(language), err=True)


@app.command()
def show(clips: Clips, config: ConfigFile = None, lang: Lang = None, as_json: Json = False) -> None:
    """Show all that is known of clips."""
    spoken_in(lang)
    archive = _archive(config)
    found = archive.described(archive.find(clips))
    if as_json:
        _json(found)
        return
    for clip in found:
        clip_tables.wide().print(clip_tables.shown(clip), "")


@app.command()
def export(
    clips: Clips,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where to put them.")] = Path(),
    identity: KeyFile = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    config: ConfigFile = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Copy clips out of the store, with their manifests; each byte is checked on the way.

    As they lie there, sealed; with **--identity** opened. Examples:

        stairwell clips export 01KB3Q --out /media/usb

        stairwell clips export 01KB3Q --out . --identity city.key

    What was exported sealed, `age --decrypt -i city.key -o clip.mp4 CLIP.mp4.age` opens anywhere.
    """
    language = spoken_in(lang)
    archive = _archive(config)
    keys = read_keys(identity) if identity else []
    found = archive.find(clips)
    done = []
    with bars(say("exporting").told(language), quiet=as_json) as progress:
        total = sum(row.record.bytes for row in found)
        for row in found:
            target = target_of(row.record, out, opened=bool(keys))
            advance = progress.of(STEPS["clips"].told(language), total)
            done.append(archive.export(row, target, keys, force=force, progress=advance))
    if as_json:
        _json([{"file": str(d.path), "bytes": d.bytes, "sha256": d.sha256, "opened": d.opened} for d in done])
    for each in () if as_json else done:
        how = say("opened") if each.opened else say("as it lies there")
        told = say("{path}  {mb:.1f} MB, {how}", path=each.path, mb=each.bytes / MB, how=how)
        typer.echo(told.told(language))


@app.command()
def verify(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE|DIR...", help="Clips, manifests, or directories of them.")
    ],
    public_key: PublicKeyFile = None,
    identity: KeyFile = None,
    config: ConfigFile = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Say whether clips are what the kit recorded.

    Each is authentic, altered (and in which seconds), truncated, has a missing link before it, is signed by
    an unknown key, or has no manifest (unattested). Without **--identity** the sealed file is compared as it
    is; with it the pictures as well, second by second. Needs no database: it works on any copy. Exit code 0
    if all are authentic, 6 if one is not.
    """
    language = spoken_in(lang)
    key = _public_key(public_key, config)
    keys = read_keys(identity) if identity else []
    with bars(say("verifying").told(language), quiet=as_json) as progress:
        try:
            advance = progress.of(STEPS["clips"].told(language), size_of(paths))
            verdicts = verify_clips(paths, key, keys, progress=advance)
        except OSError as error:
            raise StorageError(
                say("{path}: cannot be read ({reason})", path=error.filename, reason=reason(error)),
                fix=say("check it"),
            ) from None
    if not verdicts:
        raise StorageError(
            say("{path}: no clip is there", path=paths[0]),
            fix=say("name clips, manifests or their directory"),
        )
    if as_json:
        _json(
            [
                {
                    "clip": v.clip,
                    "file": str(v.path),
                    "verdict": v.kind,
                    "detail": v.detail.en if v.detail else "",
                    "seconds": [list(span) for span in v.seconds],
                    "full": v.full,
                    "recovered": v.recovered,
                }
                for v in verdicts
            ]
        )
    else:
        clip_tables.wide().print(clip_tables.judged(verdicts, language))
    if any(v.kind != "authentic" for v in verdicts):
        raise typer.Exit(NOT_SOUND)


@app.command()
def hold(clips: Clips, config: ConfigFile = None, lang: Lang = None, as_json: Json = False) -> None:
    """Keep clips whatever happens: neither age nor a full disk deletes them.

    For evidence that the police have asked for. Held clips do not count in clips.max_mb, but they fill the
    disk: too many leave no room for new ones.
    """
    _hold(clips, config, spoken_in(lang), held=True, as_json=as_json)


@app.command()
def release(clips: Clips, config: ConfigFile = None, lang: Lang = None, as_json: Json = False) -> None:
    """Give clips back to retention; one that is too old goes within a minute."""
    _hold(clips, config, spoken_in(lang), held=False, as_json=as_json)


@app.command()
def erase(
    clips: Clips,
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, for the city's record.")] = "request",
    receipt: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the receipts (JSON lines) there too.")
    ] = None,
    yes: Sure = False,
    config: ConfigFile = None,
    lang: Lang = None,
) -> None:
    """Delete clips for good, and tell the city by a message.

    Prints a receipt for each, one JSON line: what was deleted, with its hashes and signature, when, and which
    message says so. A clip on hold must be released first.
    """
    language = spoken_in(lang)
    archive = _archive(config)
    found = archive.find(clips)
    if not yes:
        question = counted(
            "Erase {n} clip for good? y: yes, Enter: no",
            "Erase {n} clips for good? y: yes, Enter: no",
            len(found),
        )
        _confirm(question, language)
    lines = [json.dumps(each, ensure_ascii=False) for each in archive.erase(found, why)]
    for line in lines:
        typer.echo(line)
    if receipt is not None:
        try:
            receipt.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        except OSError as error:
            raise StorageError(
                say("{path}: cannot be written ({reason})", path=receipt, reason=reason(error)),
                fix=say("keep the receipts that were printed: the clips are gone"),
            ) from None


@app.command()
def check(
    public_key: PublicKeyFile = None,
    identity: KeyFile = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Mend what loses nothing: rows without files, half-done deletions."),
    ] = False,
    yes: Sure = False,
    config: ConfigFile = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Prove that the store keeps its promises, while the agent runs or not.

    Every clip of the index has its file, and it is what the kit signed; every file is known; no video or
    picture lies open anywhere in the state directory, the database included. With **--identity** every clip
    is opened and decoded, too. Shows as well how much the agent wrote to the card each day.

    Reads every byte once: a minute for each 2 GB of a usual card. Exit code 0 if all is sound, 6 if not.
    """
    language = spoken_in(lang)
    archive = _archive(config)
    keys = read_keys(identity) if identity else []
    if repair and not yes:
        question = say(
            "Clips whose files are gone will be forgotten. Is their disk mounted? y: yes, Enter: no"
        )
        _confirm(question, language)
    with bars(say("checking").told(language), quiet=as_json) as progress:
        found = inspect(
            archive,
            _public_key(public_key, config),
            keys,
            repair=repair,
            progress=lambda step, *done: progress.advance(STEPS[step].told(language), *done),
        )
    if as_json:
        _json(found.as_dict())
    else:
        for paragraph in clip_tables.found(found.findings, found.repaired, language):
            clip_tables.wide().print(paragraph)
        for day, count in found.wear:
            typer.echo(say("written on {day}: {mb:.0f} MB", day=day, mb=count / MB).told(language))
        typer.echo(_sum(found).told(language))
    if found.broken:
        raise typer.Exit(NOT_SOUND)


def _sum(found: Inspection) -> Text:
    """What was looked at, and whether all is well."""
    what = say(
        "{clips} ({mb:.1f} MB) {how}, {scanned:.1f} MB searched for open footage",
        clips=counted("{n} clip", "{n} clips", found.clips),
        mb=found.bytes / MB,
        how=say("opened and decoded") if found.decoded else say("compared with what was signed"),
        scanned=found.scanned / MB,
    )
    if found.broken:
        return counted("{what}: {n} finding", "{what}: {n} findings", len(found.broken), what=what)
    return say("{what}: sound", what=what)


def _hold(clips: list[str], config: Path | None, language: Language, *, held: bool, as_json: bool) -> None:
    archive = _archive(config)
    found = archive.find(clips)
    archive.hold(found, held=held)
    if as_json:
        _json([{"clip": row.record.id, "held": held} for row in found])
    for row in () if as_json else found:
        told = say("{clip}: on hold", clip=row.record.id)
        if not held:
            told = say("{clip}: no longer on hold", clip=row.record.id)
        typer.echo(told.told(language))


def _archive(config: Path | None) -> Archive:
    return Archive(in_force(config_path(config)), SystemClock())


def _public_key(given: Path | None, config: Path | None) -> PublicKey:
    return PublicKey.read(given or load(config_path(config)).state.dir / "keys" / "kit.pub")


def _confirm(question: Text, language: Language) -> None:
    """Ask, or refuse where nobody can answer."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody is there to be asked: give --yes")
    answer = typer.prompt(question.told(language), default="", show_default=False, err=True)
    if not agreed(str(answer), language):
        raise typer.Abort


def _json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
