"""`stairwell contract`: what the agent says to the platform."""

from __future__ import annotations

import json

import typer

from agent.backbone import contract

app = typer.Typer(help="The contract with the platform.", no_args_is_help=True)


@app.command()
def schema() -> None:
    """Print the JSON Schema (2020-12) of every message, by name under `$defs`."""
    typer.echo(json.dumps(contract.schema(), indent=2, ensure_ascii=False))
