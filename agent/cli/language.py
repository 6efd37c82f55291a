"""The technician's language: Ukrainian on a kit, what the terminal says elsewhere."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from agent.words import LANGUAGES, Language, environment_language, say

Lang = Annotated[
    str | None,
    typer.Option("--lang", metavar="uk|en", help="Language; by default the terminal's, on a kit Ukrainian."),
]

YES = say("y")


def language(given: str | None) -> Language:
    """The one given, else the terminal's.

    Raises:
        typer.BadParameter: another one was given.
    """
    if given is None:
        return environment_language()
    if given not in LANGUAGES:
        raise typer.BadParameter(f"{given}: there are {' and '.join(LANGUAGES)}", param_hint="--lang")
    os.environ["LANGUAGE"] = given  # an error that ends this process is told in it, too
    return given


def agreed(answer: str, language: Language) -> bool:
    """Whether an answer is a yes, in this language or in English."""
    return answer.strip().lower() in {YES.en, YES.told(language)}
