"""The steps of a commissioning (`agent.app.steps`), read and kept beside a running agent or without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.app import steps
from agent.app.archive import Archive
from agent.app.schemas import DATABASE
from agent.doctor.check import Check, Verdict, ok, skip, warn
from agent.words import joined, say, verbatim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.app.steps import Entry, State, Step
    from agent.config import Settings
    from agent.device.clock import Clock


class Commissioning:
    """The steps of the kit that `settings` describe.

    Raises:
        StorageError: there is no database: the agent never ran here.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._archive = Archive(settings, clock)
        self._clock = clock

    def entries(self) -> dict[Step, Entry]:
        """The steps that were taken, in their order.

        Raises:
            StorageError: the database cannot be read.
        """
        return self._archive.read(steps.entries)

    def note(
        self, step: Step, state: State, by: str, found: Mapping[str, Any], why: str | None = None
    ) -> Entry:
        """Keep how a step stands, in place of what was kept of it.

        Raises:
            StorageError: the database cannot be written.
        """
        entry = steps.Entry(step, state, self._clock.stamp(), by, dict(found), why)
        self._archive.ask(lambda tx: steps.keep(tx, entry))
        return entry


def checks(settings: Settings, clock: Clock) -> list[Check]:
    """The doctor's question for it."""
    return [Check("kit.commissioned", say("Commissioned"), lambda: told(settings, clock), ("disk.state",))]


def told(settings: Settings, clock: Clock) -> Verdict:
    """What the doctor says of the steps that are kept."""
    if not (settings.state.dir / DATABASE).exists():
        return skip(say("there is no database yet: the agent never ran"))
    held = Commissioning(settings, clock).entries()
    if missing := steps.missing(held):
        return warn(
            say("not commissioned: {steps}", steps=joined(", ", (step.heading for step in missing))),
            verbatim("sudo stairwell commission"),
        )
    signed = held[steps.Step.SIGN]
    return ok(say("signed by {who} ({when})", who=signed.found.get("by", "?"), when=signed.at.ts or "?"))
