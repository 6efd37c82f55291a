"""`stairwell config`: look at and check settings."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from agent.app.configured import fitted, next_start
from agent.app.redaction import redacted
from agent.app.usable import complete
from agent.cli.options import ConfigFile, config_path
from agent.config import Settings, settled

app = typer.Typer(help="Look at and check the settings.", no_args_is_help=True)


@app.command()
def show(
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print the settings in force, each with its layer: default, file, drawn, environment or remote.

    Drawn are masks and zones that were drawn on the picture on the spot. Remote is what the city has set
    (cfg/des), as of the agent's next start. A password in an address is not shown.
    """
    layers = next_start(config_path(config))
    values = redacted(settled(layers))
    if as_json:
        typer.echo(json.dumps(values, indent=2, ensure_ascii=False))
        return
    table = Table("key", "value", "from", box=None, pad_edge=False)
    for section, keys in values.items():
        for key, value in keys.items():
            shown = json.dumps(value, ensure_ascii=False)
            table.add_row(f"{section}.{key}", shown, layers.origin(section, key))
    Console().print(table)


@app.command()
def check(config: ConfigFile = None) -> None:
    """Check that the agent can run with the settings; every wrong key is named at once (exit code 3).

    That includes the files that they name: certificates, the detector's card (exit code 5), a video (4); and
    what the city has set, with which they must go together.
    """
    path = config_path(config)
    layers = next_start(path)
    complete(fitted(layers, layers.remote))
    typer.echo(f"{path or 'defaults'}: good" + (", with what the city has set" if layers.remote else ""))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the settings: every key, its type, limits, default and meaning."""
    typer.echo(json.dumps(Settings.model_json_schema(), indent=2, ensure_ascii=False))
