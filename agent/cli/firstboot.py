"""`stairwell firstboot` and `stairwell burnin`: a new kit on its first day."""

from __future__ import annotations

import json
import logging
import os
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
from agent.device.lamp import Code, Lamp, hold
from agent.device.watchdog import Hang, feeding
from agent.device.watchdog import hang as stop_the_kernel
from agent.doctor import runner
from agent.errors import StairwellError
from agent.reasons import reason
from agent.words import say, verbatim

FAILED = 2  # as the doctor's


STATE = State().dir
StateDirectory = Annotated[Path, typer.Option("--state", metavar="DIR", help="The kit's state directory.")]
Written = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The settings to write.")]


def firstboot(state: StateDirectory = STATE, config: Written = DEFAULT_PATH) -> None:
    """Make a kit of a machine that was started from a new card: settings, name, burn-in, enrolment, services.

    Run by stairwell-firstboot.service, as root. It may be cut off anywhere and run again; it goes on until
    the city has answered. The green LED tells by its flashes what it waits for (see README); what is wrong
    with card or kit it tells until the power is cut.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    with Lamp() as lamp:
        passed = FirstBoot(state, config, Host(), lamp, SystemClock(), join, time.sleep).run()
    if not passed:
        typer.echo("the kit works, but did not pass its burn-in: `stairwell doctor` tells", err=True)
        hold(Code.HARDWARE)


def burnin(
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="The proof as JSON.")] = False,
    hang: Annotated[
        bool, typer.Option("--hang", help="Hang this machine instead: its watchdog has to start it anew.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --hang: do not ask.")] = False,
) -> None:
    """Prove this kit: camera, card, power, heat, watchdog, detector. It takes two minutes, and the camera.

    The agent must not run meanwhile. The proof is kept in the state directory; the doctor and every birth
    tell it. Exit code 2: something failed.

    --hang is the one proof that a watchdog works: it stops the kernel, as root. The kit must be back within
    a minute; `stairwell doctor` then tells what had started it. If it stays dark, pull the plug: told, too.
    """
    settings = load(config_path(config))
    clock = SystemClock()
    if hang:
        _hang(Hang(settings.state.dir, clock), yes=yes)
        return
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


def _hang(trial: Hang, *, yes: bool) -> None:
    """Note it, and stop the kernel.

    Raises:
        StairwellError: no watchdog is fed, who asks is not root, or the kernel does not stop.
    """
    if os.geteuid() != 0:
        raise StairwellError(
            say("only root may stop the kernel"), fix=verbatim("sudo stairwell burnin --hang")
        )
    if feeding() is None:
        raise StairwellError(
            say("no watchdog is fed here: a kernel that was stopped would stay so"),
            fix=say("see `stairwell doctor --only boot.watchdog`"),
        )
    if not yes:
        typer.confirm("Stop the kernel now? What is being recorded ends as by a cut of the power", abort=True)
    trial.note()
    try:
        stop_the_kernel()
    except OSError as error:
        raise StairwellError(
            say("the kernel does not stop ({reason})", reason=reason(error)), fix=say("look into dmesg")
        ) from None
