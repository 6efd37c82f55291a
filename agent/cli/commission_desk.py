"""What the steps of `stairwell commission` share: the kit, the record, the language, and who takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from agent.app import hatch
from agent.app.asking import asked
from agent.app.commissioning import Commissioning
from agent.app.configured import in_force
from agent.app.status import understood
from agent.cli.language import agreed
from agent.cli.language import language as spoken_in
from agent.cli.options import config_path
from agent.device.account import asker
from agent.device.clock import SystemClock
from agent.errors import StairwellError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.app.status import Status
    from agent.app.steps import Entry, State, Step
    from agent.config import Settings
    from agent.words import Language, Text

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
NOT_PASSED = 2
"""Exit code of a step that did not pass, and of a commissioning of which something is missing."""


def worded(text: str, most: int, hint: str, empty: str) -> str:
    """What was given for an option, without the spaces around it.

    Raises:
        typer.BadParameter: it says nothing (`empty` asks), or is longer than the record takes.
    """
    given = text.strip()
    if not given:
        raise typer.BadParameter(empty, param_hint=hint)
    if len(given) > most:
        raise typer.BadParameter(f"at most {most} characters, please", param_hint=hint)
    return given


@dataclass(frozen=True, slots=True)
class Desk:
    """The kit on which somebody works. With `quiet` nothing is told on the way: the answer will be JSON."""

    path: Path | None
    settings: Settings
    clock: SystemClock
    steps: Commissioning
    language: Language
    quiet: bool = False

    @classmethod
    def open(cls, config: Path | None, lang: str | None, *, quiet: bool = False) -> Desk:
        """The desk for these options.

        Raises:
            ConfigError: the kit's settings are wrong.
            StorageError: the agent never ran here.
        """
        path, clock = config_path(config), SystemClock()
        settings = in_force(path)
        return cls(path, settings, clock, Commissioning(settings, clock), spoken_in(lang), quiet)

    def tell(self, text: Text, style: str = "") -> None:
        """A line for the technician."""
        if not self.quiet:
            Console(highlight=False, soft_wrap=True).print(
                text.told(self.language), style=style, markup=False
            )

    def reply(self, asked: Text, most: int) -> str:
        """What is answered, without the spaces around it; nothing, when the record cannot take it."""
        answer = str(typer.prompt(asked.told(self.language), default="", show_default=False)).strip()
        if len(answer) <= most:
            return answer
        self.tell(say("At most {n} characters, please.", n=most), "red")
        return ""

    def agreed(self, answer: str) -> bool:
        """Whether an answer is a yes, in the technician's language or in English."""
        return agreed(answer, self.language)

    def note(self, step: Step, state: State, found: Mapping[str, Any], why: str | None = None) -> Entry:
        """Keep how a step stands, under the login of who works here."""
        return self.steps.note(step, state, asker(), found, why)

    def status(self) -> Status:
        """What the running agent tells.

        Raises:
            StairwellError: none answers.
        """
        return understood(asked(lambda: hatch.reach(self.settings.state.dir, "status")))

    def answers(self) -> bool:
        """Whether an agent answers."""
        try:
            self.status()
        except StairwellError:
            return False
        return True
