"""Takes out of a text what nobody outside may know: only what is known to be harmless stays.

Kept are the words of `vocabulary`, short numbers, times, and the random identities of events and clips. All
else becomes a pseudonym that tells its kind (`ip-3f9kq`, `word-72c0d`): the same thing has the same one
everywhere, and in every bundle of the kit, so that what happened can still be followed. What it stands for
cannot be found without the kit's own secret, not even by trying all addresses.

Whole texts that are known to be secret or to tell the place (`literals`) go first, whatever they consist of.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.kitid import ALPHABET
from agent.words import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

DIGITS = 5  # of a pseudonym, 25 bits: among a thousand things two share one in 3 of 200 kits
NUMBER_MAX = 7  # digits: seconds, bytes in MB, lines; a telephone number has more
NUMBERS_MAX = 2  # in one word, as in mmcblk0p2; a key has more
SHORTEST = 3  # characters of a literal: a shorter one would tear everything else apart

_PATTERN = re.compile(
    r"""
      (?P<pem>-----BEGIN[ ][\s\S]*?(?:-----END[ ][^-\n]*-----|\Z))
    | (?P<url>[A-Za-z][A-Za-z0-9+.-]*://[^\s'"<>]+)
    | (?P<mail>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)
    | (?P<time>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?\b)
    | (?P<mac>\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b)
    | (?P<v4>(?<![\w.])[^\W\d]*\d{1,3}(?:(?:\.\d{1,3}){3}|(?:-\d{1,3}){3})(?!\d)(?![\w.]*\.\d))
    | (?P<v6>(?<![\w.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d{1,3}){0,3}(?!\w))
    | (?P<ulid>\b0[0-3][0-9A-HJKMNP-TV-Z]{24}\b)  # of before 2109: no key in base32 has a 0
    | (?P<number>\+?\d(?:[ ()-]{0,2}\d){8,})
    | (?P<word>\w+)
    """,
    re.VERBOSE,
)
_PIECES = re.compile(r"[^\W\d_]+|\d+|_+")
_UNITS = set(
    re.findall(r"\w+", "s ms us ns min h d b kb mb gb kib mib gib fps hz khz mhz ghz dbm db c v w x p")
)
"""What may stand behind a number: units, and `p` of a partition."""
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


class Censor:
    """`key` is the kit's secret for pseudonyms; `known` are harmless words in lower case."""

    def __init__(self, key: bytes, known: Collection[str], literals: Iterable[str] = ()) -> None:
        self._key = key
        self._known = frozenset(known)
        listed = sorted({text for text in literals if len(text) >= SHORTEST}, key=len, reverse=True)
        self._literals = re.compile("|".join(map(re.escape, listed)), re.IGNORECASE) if listed else None
        self.seen: set[str] = set()
        """The pseudonyms that were given."""

    def text(self, text: str) -> str:
        """The text without what it must not tell."""
        if self._literals is not None:
            parts, at = [], 0
            for found in self._literals.finditer(text):
                parts += [self._words(text[at : found.start()]), self.pseudonym("hidden", found[0])]
                at = found.end()
            return "".join([*parts, self._words(text[at:])])
        return self._words(text)

    def told(self, text: Text) -> Text:
        """The same of a lazy text: our sentences stay, in both languages; what fills them is looked at."""
        if text.fixed:
            return replace(text, one=self.text(text.one))
        if text.parts is not None:
            return replace(text, parts=tuple(self.told(part) for part in text.parts))
        return replace(text, values=tuple((name, self._filling(value)) for name, value in text.values))

    def value(self, value: Json) -> Json:
        """The same of JSON, names of members too."""
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.value(item) for item in value]
            case dict():
                return {self.text(key): self.value(item) for key, item in value.items()}
        return value

    def pseudonym(self, kind: str, text: str) -> str:
        """What stands for `text`."""
        digest = hmac.new(self._key, text.casefold().encode(), hashlib.sha256).digest()
        number = int.from_bytes(digest[:8])
        name = f"{kind}-" + "".join(ALPHABET[number >> 5 * digit & 31] for digit in range(DIGITS))
        self.seen.add(name)
        return name

    def _filling(self, value: object) -> object:
        match value:
            case Text():
                return self.told(value)
            case int() | float():  # its place may say how it is written
                return value
        return self.text(str(value))

    def _words(self, text: str) -> str:
        return _PATTERN.sub(self._replaced, text)

    def _replaced(self, found: re.Match[str]) -> str:
        kind, text = found.lastgroup, found[0]
        match kind:
            case "time" | "ulid":
                return text
            case "url":
                return f"{text.split('://')[0]}://{self.pseudonym('url', text)}"
            case "v4":  # in a host's name, too: ip-10-0-0-7
                return self._address(text, re.sub(r"^\D+", "", text).replace("-", "."))
            case "v6":
                return self._address(text, text)
            case "word":
                return text if self._harmless(text) else self.pseudonym("word", text)
        return self.pseudonym(str(kind), text)

    def _address(self, text: str, written: str) -> str:
        try:
            address = ipaddress.ip_address(written)
        except ValueError:  # a version, or a time of day
            return self._pieces(text)
        if address.is_loopback or address.is_unspecified:
            return text
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return self.pseudonym("ip", str(mapped or address))

    def _pieces(self, text: str) -> str:
        return re.sub(r"\w+", lambda word: word[0] if self._harmless(word[0]) else "?", text)

    def _harmless(self, word: str) -> bool:
        """Whether it is made of known words and short numbers; letters and digits mixed are a key sooner."""
        if self._is_known(word):
            return True
        pieces: list[str] = _PIECES.findall(word)
        for before, piece in zip([None, *pieces], pieces, strict=False):
            if piece.isdigit():
                if len(piece) > NUMBER_MAX:
                    return False
            elif not piece.startswith("_") and not self._fits(before, piece):
                return False
        numbers = sum(piece.isdigit() for piece in pieces)
        return numbers <= NUMBERS_MAX + word.count("_")

    def _fits(self, before: str | None, piece: str) -> bool:
        if before is not None and before.isdigit():
            return piece.lower() in _UNITS
        return self._is_known(piece)

    def _is_known(self, piece: str) -> bool:
        if piece.lower() in self._known:
            return True
        parts: list[str] = _CAMEL.findall(piece)
        whole = "".join(parts) == piece and len(parts) > 1
        return whole and all(part.lower() in self._known for part in parts)
