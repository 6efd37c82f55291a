"""`stairwell demo`: the main job, end to end, on shipped footage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from agent.app.demo import CITY_KEY, LAMPS, PEOPLE, PRE_ROLL_S, Outcome, demonstrate
from agent.errors import StairwellError
from agent.words import say

KIND_STYLES = {"st": "bold", "hb": "dim", "evt": "green", "snap": "cyan", "clip": "magenta", "alm": "red"}
SHOWN = 150  # characters of a payload on one line of a wide terminal


def demo(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where clip, snapshot, logs and database are left.")
    ] = Path("demo-output"),
) -> None:
    """Run the agent on the shipped sample against a private broker, and print what a subscriber receives.

    Needs Mosquitto (scripts/setup installs it); touches nothing but DIR. Takes as long as the sample: half
    a minute.
    """
    console = Console(highlight=False)
    console.print(f"Playing {PEOPLE.name} to the agent; listening on bm/# …", style="bold")
    outcome = demonstrate(out, lambda topic, payload: _print(console, topic, payload))
    _summary(console, outcome)
    if not outcome.convincing:
        raise StairwellError(
            say("the demonstration did not show what it should"),
            fix=say("read {path}, then report it", path=out / "agent.log"),
        )


def _print(console: Console, topic: str, payload: bytes) -> None:
    tail = topic.split("/", 5)[-1]
    kind = tail.split("/")[1]
    text = f"JPEG, {len(payload)} bytes" if kind == "snap" else payload.decode() or "(cleared)"
    console.print(f"{tail}  ", style=KIND_STYLES.get(kind, ""), end="")
    console.print(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…", markup=False, soft_wrap=True)


def _summary(console: Console, outcome: Outcome) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(overflow="fold")  # a path is to be copied, not to be cut
    for event, phases in outcome.events.items():
        table.add_row("person event", f"{event}: {' → '.join(phases)}")
    for clip in outcome.sealed:
        table.add_row("sealed clip", str(clip))
    for clip in outcome.clips:
        table.add_row("opened", f"{clip}, with {outcome.directory / CITY_KEY}")
    table.add_row("verified", f"{outcome.authentic} of {len(outcome.sealed)} clips are what the kit signed")
    if outcome.lead_s is not None:
        lead = f"from a key frame {outcome.lead_s:.1f} s before the event (at least {PRE_ROLL_S})"
        table.add_row("", f"plays {outcome.clip_seconds:.1f} s, {lead}")
    for snapshot in outcome.snapshots:
        table.add_row("snapshot", str(snapshot))
    table.add_row(
        "lamp", f"{LAMPS.name}: {outcome.lamp_switches} switches → {outcome.lamp_events} person events"
    )
    complete = "none missing" if not outcome.missing else f"{outcome.missing} MISSING"
    table.add_row("messages", f"{outcome.messages}, {complete}, each above; logs in {outcome.directory}")
    for odd in outcome.odd:
        table.add_row("", f"breaks the contract: {odd}")
    console.print()
    console.print(table)
