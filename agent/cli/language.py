"""The technician's language: Ukrainian on a kit, what the terminal says elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from agent.doctor.registry import Text

Language = Literal["uk", "en"]

Lang = Annotated[
    str | None,
    typer.Option("--lang", metavar="uk|en", help="Language; by default the terminal's, on a kit Ukrainian."),
]


def language(given: str | None) -> Language:
    """The one given, else the terminal's if it is English, else Ukrainian.

    Raises:
        typer.BadParameter: another one was given.
    """
    if given not in {None, "uk", "en"}:
        raise typer.BadParameter(f"{given}: there are uk and en", param_hint="--lang")
    named = given or next((value for name in _NAMES if (value := os.environ.get(name))), "uk")
    return "en" if named.startswith("en") else "uk"


def spoken(text: Text, language: Language) -> str:
    """The text in this language."""
    return text.uk if language == "uk" else text.en


_NAMES = ("LC_ALL", "LC_MESSAGES", "LANG")  # setlocale(3): the first that is set decides
