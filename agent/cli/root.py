"""`stairwell root`: a kit's read-only root, opened for a repair and closed again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agent.app.opening import Opening
from agent.cli.language import Lang, language
from agent.cli.options import ConfigFile, config_path
from agent.device.account import asker
from agent.device.clock import SystemClock
from agent.device.systemroot import Opened, SystemRoot
from agent.words import Language, Text, say

if TYPE_CHECKING:
    from pathlib import Path

app = typer.Typer(help="The read-only root of this kit: how it stands, open it for a repair, close it.")
RESTART = say("In force after a restart: sudo systemctl reboot")


@app.command()
def show(lang: Lang = None) -> None:
    """How the root of this kit stands, and what keeps it open."""
    speech, system = language(lang), SystemRoot()
    if not system.meant:
        typer.echo(say("this kit was made with a writable root").told(speech))
        return
    typer.echo((say("writable now") if system.writable else say("read-only now")).told(speech))
    _tell(system.opened, speech)


@app.command("open")
def open_(
    why: Annotated[
        str, typer.Option("--why", metavar="TEXT", help="What has to be mended; the doctor tells it.")
    ],
    config: ConfigFile = None,
    lang: Lang = None,
) -> None:
    """Let the root be writable from the next start on, until it is closed again; the doctor warns meanwhile.

    For example: `sudo stairwell root open --why "new kernel" && sudo systemctl reboot`
    """
    speech, system = language(lang), SystemRoot()
    _opening(system, config, speech).open(asker(), why)
    _tell(system.opened, speech)
    typer.echo(RESTART.told(speech))


@app.command()
def close(config: ConfigFile = None, lang: Lang = None) -> None:
    """Let the root be read-only from the next start on: the repair is over."""
    speech = language(lang)
    _opening(SystemRoot(), config, speech).close(asker())
    typer.echo(RESTART.told(speech))


def _opening(system: SystemRoot, config: Path | None, speech: Language) -> Opening:
    def tell(why: Text) -> None:
        typer.echo(say("Not noted in the audit: {why}", why=why).told(speech), err=True)

    return Opening(system, config_path(config), SystemClock(), tell)


def _tell(repair: Opened | None, speech: Language) -> None:
    if repair is None:
        return
    told = say("open for a repair: {why} ({by}, {ts})", why=repair.why, by=repair.by, ts=repair.ts or "?")
    typer.echo(told.told(speech))
