"""`stairwell models`: the detector models that are there, and whether they see."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from agent.app import models
from agent.cli.options import ConfigFile, config_path
from agent.config import load

app = typer.Typer(help="Detector models.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """The models shipped with the agent, from their cards. A model of your own is a card beside its file."""
    cards = models.shipped()
    if as_json:
        typer.echo(json.dumps([models.described(card) for card in cards], indent=2, ensure_ascii=False))
        return
    table = Table("name", "input", "threshold", "licence", "what for", box=None, pad_edge=False)
    for card in cards:
        table.add_row(card.label, f"{card.side}x{card.side}", str(card.threshold), card.licence, card.purpose)
    Console().print(table)


@app.command()
def check(
    name: Annotated[
        str | None, typer.Argument(help="A shipped model or a card; without it the configured one.")
    ] = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Check a model whole: its card, its hash, its input, and that it finds the person of a shipped picture.

    Exit code 5 when it does not, with the reason.
    """
    settings = load(config_path(config)).detector
    if name is not None:
        settings = settings.model_copy(update={"model": name})
    outcome = models.check(settings)
    if as_json:
        typer.echo(json.dumps(outcome, ensure_ascii=False))
    else:
        score, ms = outcome["score"], outcome["ms"]
        typer.echo(f"{outcome['model']}: good; finds the person with {score:.2f} in {ms:.0f} ms")
