"""`stairwell passport`: one page for the papers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.app.acceptance import accept as accept_by
from agent.app.configured import in_force
from agent.app.passport import passport as made_of
from agent.app.passport_page import html, pdf
from agent.cli.language import language as spoken_in
from agent.cli.options import ConfigFile, config_path
from agent.device.clock import SystemClock
from agent.durable import write_whole
from agent.errors import StorageError
from agent.reasons import reason
from agent.words import say

PRIVATE = 0o640  # the controller's papers: not a secret, nor for everybody
SUFFIXES = {".html", ".pdf"}


def passport(
    config: ConfigFile = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR|FILE", help="A directory for both, or a file (.pdf or .html)."
        ),
    ] = Path(),
    accept: Annotated[
        str | None,
        typer.Option(
            "--accept", metavar="NAME", help="Do the acceptance test first, and note it under this name."
        ),
    ] = None,
    lang: Annotated[str, typer.Option("--lang", metavar="uk|en", help="Language of the page.")] = "uk",
) -> None:
    """Make the camera's passport: one page, as PDF and as HTML, for the papers that a municipality keeps.

    It tells where the camera hangs, why, who answers for it, how long it keeps what, its masks on its
    picture, program and model, the key of its signatures, and the last acceptance test. What only people know
    stands in `[passport]` and `[site]`; what is missing there is marked. The picture is taken by the running
    agent while nobody is in it, and that is noted in the audit; else a drawing stands for it. Run it with
    sudo.

    The acceptance test is `stairwell doctor`, all of it. Example:

        sudo stairwell passport --accept "O. Kovalenko" --output /media/usb
    """
    language = spoken_in(lang)
    if output.suffix.lower() not in SUFFIXES and not output.is_dir():
        raise typer.BadParameter(
            f"{output}: name a directory that is there, a .pdf or an .html", param_hint="--output"
        )
    if accept is not None and not accept.strip():
        raise typer.BadParameter("whose name?", param_hint="--accept")
    settings, clock = in_force(config_path(config)), SystemClock()
    if accept is not None:
        done = accept_by(settings, clock, accept)
        typer.echo(done.told.told(language), err=True)
    page = made_of(settings, clock)
    whole = {".pdf": pdf(page, language), ".html": html(page, language).encode()}
    for suffix, data in whole.items():
        if output.is_dir():
            _write(output / f"passport-{page.kit}{suffix}", data)
        elif suffix == output.suffix.lower():
            _write(output, data)
    for row in page.rows:
        if row.lacking:
            typer.echo(f"! {row.label.told(language)}: {row.text.told(language)}", err=True)


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data, PRIVATE)
    except OSError as error:
        raise StorageError(
            say("{path}: cannot be written ({reason})", path=path, reason=reason(error)),
            fix=say("name a place that may be written"),
        ) from None
    typer.echo(str(path))
