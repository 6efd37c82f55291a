"""`stairwell firstboot` and `stairwell burnin`: a new kit on its first day."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from agent.app import burnin as burning
from agent.app.firstboot import FirstBoot
from agent.cli.options import ConfigFile, config_path
from agent.config import DEFAULT_PATH, State, load
from agent.device.clock import SystemClock
from agent.device.enrolment import join
from agent.device.host import Host
from agent.device.lamp import Lamp
from agent.doctor import runner

FAILED = 2  # as the doctor's


STATE = State().dir
StateDirectory = Annotated[Path, typer.Option("--state", metavar="DIR", help="The kit's state directory.")]
Written = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The settings to write.")]


def firstboot(state: StateDirectory = STATE, config: Written = DEFAULT_PATH) -> None:
    """Make a kit of a machine that was started from a new card: settings, name, burn-in, enrolment, services.

    Run by stairwell-firstboot.service, as root. It may be cut off anywhere and run again; it goes on until
    the city has answered. The green LED tells by its flashes what it waits for: see README.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    with Lamp() as lamp:
        passed = FirstBoot(state, config, Host(), lamp, SystemClock(), join, time.sleep).run()
    if not passed:
        typer.echo("the kit works, but did not pass its burn-in: `stairwell doctor` tells", err=True)


def burnin(
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="The proof as JSON.")] = False,
) -> None:
    """Prove this kit: camera, card, power, heat, watchdog, detector. It takes two minutes, and the camera.

    The agent must not run meanwhile. The proof is kept in the state directory; the doctor and every birth
    tell it. Exit code 2: something failed.
    """
    settings = load(config_path(config))
    clock = SystemClock()
    chosen = runner.chosen(burning.checks(settings, clock), only=("burn.*", *burning.BOARD))
    results = []
    for result in runner.run(chosen):
        results.append(result)
        if not as_json:
            typer.echo(f"{result.verdict.status.value:5} {result.check.code}: {result.verdict.text.en}")
    proof = burning.proof(settings, clock, results)
    proof.write(settings.state.dir)
    if as_json:
        typer.echo(json.dumps({"ok": proof.ok, "ts": proof.ts, "checks": proof.checks}, ensure_ascii=False))
    if not proof.ok:
        raise typer.Exit(FAILED)
