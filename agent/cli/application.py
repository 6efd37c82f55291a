"""The command tree. Each group is a module; none has logic of its own."""

from __future__ import annotations

from typing import Annotated

import typer

import agent
from agent.cli import (
    audit,
    bundle,
    ca,
    card,
    clips,
    config,
    contract,
    demo,
    doctor,
    enrol,
    events,
    firstboot,
    fleet,
    logs,
    look,
    models,
    outbox,
    passport,
    replay,
    run,
    status,
)

app = typer.Typer(
    name="stairwell",
    help="Watches a stairwell: motion, persons, clips, and events over MQTT.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command("run")(run.run)
app.command("replay")(replay.replay)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("logs")(logs.logs)
app.command("events")(events.events)
app.command("outbox")(outbox.outbox)
app.command("audit")(audit.audit)
app.command("bundle")(bundle.bundle)
app.command("passport")(passport.passport)
app.command("look")(look.look)
app.command("status")(status.status)
app.add_typer(ca.app, name="ca")
app.command("firstboot")(firstboot.firstboot)
app.command("burnin")(firstboot.burnin)
app.add_typer(card.app, name="card")
app.add_typer(clips.app, name="clips")
app.add_typer(enrol.app, name="enrol")
app.add_typer(fleet.app, name="fleet")
app.add_typer(config.app, name="config")
app.add_typer(contract.app, name="contract")
app.add_typer(models.app, name="models")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(agent.__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version
