"""What a technician reads, in two languages. English stands in the code, Ukrainian in the catalogue.

    say("{free} GB free", free=3)            one sentence; its English text is its key in the catalogue
    counted("{n} key", "{n} keys", 3)        one that changes with a number
    verbatim("/dev/mmcblk0")                 a name, a path, another program's words: the same in both
    joined(", ", texts)                      several in one
    given(found.en, found.uk)                what came from elsewhere in both

All are lazy: a `Text` is put into words when somebody reads it, so that one alarm goes out in both languages.
`scripts/words` gathers what stands between those brackets into `locale/uk/LC_MESSAGES/stairwell.po`, and
compiles it. A sentence without a translation is told in English.
"""

from __future__ import annotations

import gettext
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

Language = Literal["uk", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
LOCALE = Path(__file__).parent / "locale"
DOMAIN = "stairwell"


@dataclass(frozen=True, slots=True)
class Text:
    """One text in the technician's languages.

    `one` and `many` are str.format templates; `values` fill their places, each by its name. A value that is
    a Text itself is told in the same language. `count` chooses between the forms for one and for many.
    """

    one: str
    many: str | None = None
    count: int = 1
    values: tuple[tuple[str, object], ...] = ()
    parts: tuple[Text, ...] | None = None
    """Of a joined text, whose `one` stands between them."""
    fixed: bool = False
    """It is not translated, and has no places to fill."""
    ukrainian: str | None = None
    """Of a text that came in both languages: the other one."""

    def told(self, language: Language) -> str:
        """The text in this language."""
        if self.parts is not None:
            return self.one.join(part.told(language) for part in self.parts)
        if self.fixed:
            return self.one if self.ukrainian is None or language == "en" else self.ukrainian
        catalogue = _catalogue(language)
        if self.many is None:
            template = catalogue.gettext(self.one)
        else:
            template = catalogue.ngettext(self.one, self.many, self.count)
        filled = {
            name: value.told(language) if isinstance(value, Text) else value for name, value in self.values
        }
        return template.format(**filled)

    @property
    def uk(self) -> str:
        """In Ukrainian."""
        return self.told("uk")

    @property
    def en(self) -> str:
        """In English."""
        return self.told("en")


def say(sentence: str, /, **values: object) -> Text:
    """A sentence with `{places}` that `values` fill."""
    return Text(sentence, values=tuple(values.items()))


def counted(one: str, many: str, n: int, /, **values: object) -> Text:
    """A sentence that changes with the number `n`, which fills the place `{n}`."""
    return Text(one, many, n, (("n", n), *values.items()))


def verbatim(text: str) -> Text:
    """What is not translated."""
    return Text(text, fixed=True)


def given(en: str, uk: str | None) -> Text:
    """What another process has put into words already; None: in English alone."""
    return Text(en, fixed=True, ukrainian=uk)


def joined(between: str, texts: Iterable[Text]) -> Text:
    """One after the other."""
    return Text(between, parts=tuple(texts))


def environment_language() -> Language:
    """What the terminal asks for; Ukrainian, where it does not ask for English."""
    named = next((value for name in _NAMES if (value := os.environ.get(name))), "uk")
    return "en" if named.startswith("en") else "uk"


_NAMES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # gettext(3): the first that is set decides


@cache
def _catalogue(language: Language) -> gettext.NullTranslations:
    if language == "en":
        return gettext.NullTranslations()
    # A kit whose catalogue was lost is to be examined all the same.
    return gettext.translation(DOMAIN, LOCALE, [language], fallback=True)
