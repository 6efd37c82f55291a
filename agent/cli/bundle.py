"""`stairwell bundle`: what support needs to know of this kit, in one file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.app.bundle import PRIVATE
from agent.app.bundle import bundle as make
from agent.app.configured import in_force
from agent.cli.language import Lang
from agent.cli.language import language as spoken_in
from agent.cli.options import ConfigFile, config_path
from agent.cli.span import Json  # noqa: TC001 - typer reads it
from agent.config import Settings
from agent.device.clock import SystemClock
from agent.durable import write_whole
from agent.errors import ConfigError, StorageError
from agent.reasons import reason
from agent.words import counted, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.app.bundle import Bundle
    from agent.words import Language, Text

STDOUT = Path("-")


def bundle(
    config: ConfigFile = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR|FILE|-", help="Where to put it; - is the standard output."
        ),
    ] = Path(),
    quick: Annotated[
        bool, typer.Option("--quick", help="Of the doctor's checks only those of five seconds.")
    ] = False,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Pack what support needs to know into one file of at most 5 MB, and print its id.

    In it are the doctor's findings, the agent's state, its journal and the kernel's warnings, counts of what
    the database holds, and figures of the machine, with hashes in a manifest. Not in it are pictures, clips,
    messages, keys, passwords, addresses and names: what is not known to be harmless is replaced by a
    pseudonym (`ip-3f9kq`), which is the same wherever the same thing stood.

    With `support.recipients` it is sealed; `age --decrypt -i support.key FILE | tar xz` opens it. It works
    with a broken configuration, too, and without an agent; what could not be gathered is said. Each bundle is
    noted in the kit's audit. Run it with sudo: with the group `stairwell` alone the journal and the database
    stay out, and nobody else takes one.
    """
    language = spoken_in(lang)
    trouble = None
    try:
        settings = in_force(config_path(config))
    except ConfigError as error:
        settings, trouble = Settings(), error
    made = make(settings, SystemClock(), trouble, quick=quick)
    where = output if output == STDOUT else _written(made, output)
    _report(made, where, language, as_json=as_json)
    if output == STDOUT:
        sys.stdout.buffer.write(made.data)
        sys.stdout.buffer.flush()


def _written(made: Bundle, output: Path) -> Path:
    path = output / made.name if output.is_dir() else output
    try:
        write_whole(path, made.data, PRIVATE)
    except OSError as error:
        raise StorageError(
            say("{path}: cannot be written ({reason})", path=path, reason=reason(error)),
            fix=say("name a place that may be written: -o /tmp"),
        ) from None
    return path


def _report(made: Bundle, where: Path, language: Language, *, as_json: bool) -> None:
    to_stderr = where == STDOUT
    if as_json:
        told = {
            "id": made.id,
            "file": str(where),
            "bytes": len(made.data),
            "sealed": made.sealed,
            "missing": {name: why.en for name, why in made.missing.items()},
            "audited": made.unnoted is None,
        }
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False), err=to_stderr)
        return
    for line in _told(made, where):
        typer.echo(line.told(language), err=True)
    typer.echo(made.id, err=to_stderr)


def _told(made: Bundle, where: Path) -> Iterator[Text]:
    for name, why in made.missing.items():
        yield say("without {name}: {why}", name=name, why=why)
    if made.unnoted is not None:
        yield say("Not noted in the audit: {why}", why=made.unnoted)
    if not made.sealed:
        yield say("not sealed: support.recipients is empty, so hand it to nobody else")
    yield counted("{path}: {n} byte", "{path}: {n} bytes", len(made.data), path=where)
