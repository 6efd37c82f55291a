"""`stairwell commission power`: the plug is pulled while the kit records, and nothing may be lost."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.app import powercut
from agent.app.steps import Step
from agent.cli.commission_desk import NOT_PASSED, Desk, Json
from agent.cli.language import Lang  # noqa: TC001 - typer reads it
from agent.cli.options import ConfigFile  # noqa: TC001 - the same
from agent.device.reset import BootRecord
from agent.words import joined, say, verbatim

if TYPE_CHECKING:
    from agent.app.powercut import Finding
    from agent.app.steps import Entry

RECORD_S = 90.0  # to get somebody into the picture
SYNCED_S = 1.0  # at least so much of the recording has to outlive the plug
LOOK_S = 0.5


def power(
    config: ConfigFile = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, max=600, help="How long to wait for a recording.")
    ] = RECORD_S,
    again: Annotated[
        bool, typer.Option("--again", help="Begin anew, whatever an earlier test was waiting for.")
    ] = False,
    as_json: Json = False,
    lang: Lang = None,
) -> None:
    """Test a power cut: pull the plug while the kit records; run this again once it is back.

    The first run waits until the kit records (somebody has to be in the picture), notes what there is, and
    says when to pull. The second judges: the agent came back by itself, its camera too, the clip was
    recovered, no message and no clip was lost.

    Exit code 0: it is begun, pull the plug; or, when it judges, passed. 2: nothing was recorded, the plug was
    not pulled yet, or something was lost.
    """
    desk = Desk.open(config, lang, quiet=as_json)
    entry = desk.steps.entries().get(Step.POWER)
    if again or entry is None or entry.state != "begun":
        found = begun(desk, seconds)
        if as_json:
            typer.echo(json.dumps({"v": 1, "passed": False, "begun": found is not None}))
        raise typer.Exit(0 if found is not None else NOT_PASSED)
    findings = judged(desk, entry)
    if as_json:
        points = [
            {"point": finding.point, "ok": finding.ok, "text": finding.text.told(desk.language)}
            for finding in findings
        ]
        passed = all(finding.ok for finding in findings)
        typer.echo(json.dumps({"v": 1, "passed": passed, "points": points}, ensure_ascii=False))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(NOT_PASSED)


def begun(desk: Desk, seconds: float = RECORD_S) -> dict[str, Any] | None:
    """Wait for a recording, note what there is, say to pull the plug; None: nothing was recorded."""
    desk.tell(say("Step into the picture and stay there: the kit has to record …"))
    settled_s = desk.settings.clips.sync_s + powercut.LAG_S + SYNCED_S
    until = desk.clock.mono() + seconds
    while desk.clock.mono() < until:
        found = powercut.begin(desk.settings, desk.clock, desk.status())
        if found is not None and found["recorded_s"] >= settled_s:
            desk.note(Step.POWER, "begun", found)
            desk.tell(say("Pull the plug NOW, while somebody is in the picture."), "bold")
            desk.tell(
                say(
                    "Wait ten seconds, put it back, wait two minutes, log in again and run: "
                    "sudo stairwell commission"
                )
            )
            return found
        time.sleep(LOOK_S)
    desk.tell(say("Not passed: {what}", what=say("the kit records nothing")), "red")
    desk.tell(
        joined(
            " ", (verbatim("→"), say("Do the walk test; is recording on? stairwell doctor --only 'clips.*'"))
        )
    )
    return None


def judged(desk: Desk, entry: Entry) -> list[Finding]:
    """Judge the test that `entry` began, tell and keep what was found; without a cut it waits on."""
    status = desk.status()
    boot = BootRecord(desk.settings.state.dir, desk.clock).boot
    findings = powercut.judge(desk.settings, desk.clock, status, boot, entry.found)
    for finding in findings:
        desk.tell(
            joined(" ", (verbatim("✔" if finding.ok else "✘"), finding.text)),
            "green" if finding.ok else "red",
        )
        if finding.fix is not None:
            desk.tell(joined(" ", (verbatim("→"), finding.fix)))
    if desk.clock.boot != entry.found["boot"]:
        passed = all(finding.ok for finding in findings)
        desk.note(
            Step.POWER, "passed" if passed else "failed", entry.found | powercut.figures(status, findings)
        )
    return findings
