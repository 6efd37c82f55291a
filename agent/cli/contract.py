"""`stairwell contract`: what the agent and the platform say to each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from agent.backbone.contract import published
from agent.backbone.contract.example import EXAMPLES
from agent.errors import StorageError
from agent.reasons import reason
from agent.words import say

app = typer.Typer(
    help="The contract with the platform: what is said where, and how it looks.",
    no_args_is_help=True,
)

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", help="Write into this directory instead of printing."),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="What the kit itself is held to: an unknown field is an error.")
]
One = Annotated[str | None, typer.Argument(metavar="[MESSAGE]", help=f"One of {', '.join(EXAMPLES)}.")]


@app.command()
def asyncapi(output: Output = None) -> None:
    """Print the contract whole, as an AsyncAPI 3.0 document: topics, messages, and the rules for a platform.

    Everything that it takes to build a platform is in it. `send` in it is what the kit publishes.
    """
    _give(published.asyncapi_files(), output)


@app.command()
def schema(output: Output = None, strict: Strict = False) -> None:
    """Print the JSON Schema (2020-12) of every message, by name under `$defs`.

    It is the consumer's: the contract grows by fields and by words, so what it does not know it lets pass.
    """
    _give(published.schema_files(strict=strict), output)


@app.command()
def examples(message: One = None, output: Output = None) -> None:
    """Print an example of one message, or of all by name.

    Of `snap` and `alm.cleared` it is the message in the user property `header`, not the payload.
    """
    if message is None:
        _give(published.example_files(), output, EXAMPLES)
    elif message in EXAMPLES:
        _give(published.example_files(message), output)
    else:
        raise typer.BadParameter(f"{message}: known are {', '.join(EXAMPLES)}")


def _give(made: dict[str, str], output: Path | None, all_of: dict[str, Any] | None = None) -> None:
    """Write the files and name them; or print the only one, or what all of them hold."""
    if output is None:
        [content] = made.values() if all_of is None else [published.text(all_of)]
        typer.echo(content, nl=False)
        return
    try:
        published.write(output, made)
    except OSError as error:
        raise StorageError(
            say("--output {output}: {reason}", output=output, reason=reason(error)),
            fix=say("name a directory that you may write to"),
            errno=error.errno,
        ) from error
    for name in made:
        typer.echo(output / name)
