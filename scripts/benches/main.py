"""Measures the agent. Absolute times belong to the machine; the ratios of one run hold elsewhere too."""

from __future__ import annotations

import signal
import sys

import typer

import chaos
import crash
import device
import fleet
import kit
import mux
import pipeline
import vision
import writes
from agent.errors import StairwellError

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
app.command("chaos")(chaos.main)
app.command("crash")(crash.main)
app.command("device")(device.main)
app.command("fleet")(fleet.main)
app.command("kit")(kit.main)
app.command("mux")(mux.main)
app.command("pipeline")(pipeline.main)
app.command("vision")(vision.main)
app.command("writes")(writes.main)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what it started ends with it
    try:
        app()
    except StairwellError as error:
        sys.exit(f"bench: {error}")
