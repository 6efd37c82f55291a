"""`stairwell commission sign` and `label`: the end of it, for the city and for the wall."""

from __future__ import annotations

import json
import time
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from agent.app import label as labels
from agent.app import signoff
from agent.app.chronicle import database_of
from agent.app.configured import in_force
from agent.backbone.fields import NAME_MAX, TEXT_MAX
from agent.cli.commission_desk import NOT_PASSED, Desk, Json, worded
from agent.cli.language import Lang  # noqa: TC001 - typer reads it
from agent.cli.options import ConfigFile, config_path
from agent.device.account import asker
from agent.durable import write_whole
from agent.errors import StorageError
from agent.reasons import reason
from agent.words import say

if TYPE_CHECKING:
    from agent.config_fields import Receipt
    from agent.words import Text

ACKNOWLEDGED_S = 30.0  # a kit whose walk test passed needs two
LOOK_S = 0.25
MODE = 0o644  # what is on a label is for everybody
DONE: dict[Receipt, Text] = {
    "watermark": say("The city has acknowledged it: the kit is in service."),
    "puback": say(
        "The broker has taken it: the kit is in service. Whether the platform has it is not known "
        "(backbone.delivery)."
    ),
}
NOT_YET: dict[Receipt, Text] = {
    "watermark": say("The city has not acknowledged it yet; the kit goes on trying by itself."),
    "puback": say("The broker has not taken it yet; the kit goes on trying by itself."),
}
FORMATS = {".svg": labels.svg, ".png": labels.png, ".pdf": labels.pdf}


def sign(
    name: Annotated[str, typer.Option("--by", metavar="NAME", help="Who signs: first name and surname.")],
    despite: Annotated[
        str | None,
        typer.Option("--despite", metavar="REASON", help="Sign although a check fails, for this reason."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Sign anew what was signed for already.")] = False,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0, help="How long to wait for the city's acknowledgement.")
    ] = ACKNOWLEDGED_S,
    as_json: Json = False,
    lang: Lang = None,
    config: ConfigFile = None,
) -> None:
    """Sign for the kit, and have the city acknowledge that.

    Each step has to be done, or waived for a reason; the doctor is asked once more. The record is published
    (`accept`), kept as `acceptance.json` in the state directory, and stands in the passport. Run again, it
    puts the record down where it is missing, and waits for an acknowledgement that had not come. With
    `backbone.delivery = "puback"` the broker's word stands for the city's, and is called so. Exit code 2: it
    has not come yet.
    """
    by = worded(name, NAME_MAX, "--by", "whose name?")
    despite = None if despite is None else worded(despite, TEXT_MAX, "--despite", "what reason?")
    desk = Desk.open(config, lang, quiet=as_json)
    signed = None if again else signoff.signed(desk.steps.entries())
    if signed is None:
        signed = signoff.sign(desk.settings, desk.clock, by, asker(), despite)
    acknowledged = awaited(desk, signed, seconds)
    if as_json:
        found = {"v": 1, "by": signed.by, "ts": signed.ts, "seq": signed.seq, "acknowledged": acknowledged}
        found["delivery"] = desk.settings.backbone.delivery
        typer.echo(json.dumps(found, ensure_ascii=False))
    if not acknowledged:
        raise typer.Exit(NOT_PASSED)


def awaited(desk: Desk, signed: signoff.Signed, seconds: float = ACKNOWLEDGED_S) -> bool:
    """Tell who signed, put the record down, and wait until the city has it; whether it came in time.

    Raises:
        StorageError: the disk refuses the record, or the database cannot be read.
    """
    when = (signed.ts or "?")[:16].replace("T", " ")
    desk.tell(say("Signed by {who}, {when} UTC.", who=signed.by, when=when))
    signoff.put_down(desk.settings.state.dir, signed)
    database, until = database_of(desk.settings), desk.clock.mono() + seconds
    while not (done := signoff.delivered(database, signed.seq)) and desk.clock.mono() < until:
        time.sleep(LOOK_S)
    told = DONE if done else NOT_YET
    desk.tell(told[desk.settings.backbone.delivery], "green" if done else "yellow")
    return done


def label(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to: .svg, .png or .pdf.")
    ],
    config: ConfigFile = None,
) -> None:
    """Make the kit's label: a QR code of its id and of its key's fingerprint, and its place, for eyes too."""
    make = FORMATS.get(output.suffix.lower())
    if make is None:
        raise typer.BadParameter(f"{output}: .svg, .png and .pdf are known", param_hint="--output")
    made = labels.label(in_force(config_path(config)))
    try:
        write_whole(output, make(made), MODE)
    except OSError as error:
        raise StorageError(
            say("{path}: cannot be written ({reason})", path=output, reason=reason(error)),
            fix=say("name a place that may be written"),
        ) from None
    typer.echo(str(output))
