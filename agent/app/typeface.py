"""A TrueType font as a PDF wants it: which glyph each character has, and how wide it is.

The fonts in `agent/fonts/` hold Latin and Cyrillic letters; a character that is not there is shown as a
question mark. Of the tables of the OpenType specification only those are read that this needs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

FONTS = Path(__file__).parent.parent / "fonts"
PER_EM = 1000  # units of a PDF
_UNICODE = (3, 1)  # platform and encoding of a `cmap` of the basic multilingual plane
_SEGMENTS = 4  # its format


@dataclass(frozen=True, slots=True)
class Typeface:
    """Glyph numbers by character, and widths by glyph in thousandths of the font's size."""

    name: str
    data: bytes
    glyphs: dict[str, int]
    widths: tuple[int, ...]
    box: tuple[int, int, int, int]
    ascent: int
    descent: int

    @classmethod
    def shipped(cls, name: str) -> Typeface:
        """The font of this name that comes with the agent (`DejaVuSans`)."""
        data = (FONTS / f"{name}.ttf").read_bytes()
        tables = _tables(data)
        head, hhea = data[tables["head"] :], data[tables["hhea"] :]
        per_em: int = struct.unpack(">H", head[18:20])[0]
        ascent, descent = struct.unpack(">hh", hhea[4:8])
        (count,) = struct.unpack(">H", hhea[34:36])
        hmtx = data[tables["hmtx"] :]
        widths = [struct.unpack(">H", hmtx[4 * n : 4 * n + 2])[0] for n in range(count)]

        def scaled(value: int) -> int:
            return round(value * PER_EM / per_em)

        left, low, right, high = (scaled(value) for value in struct.unpack(">4h", head[36:44]))
        return cls(
            name,
            data,
            _characters(data[tables["cmap"] :]),
            tuple(map(scaled, widths)),
            (left, low, right, high),
            scaled(ascent),
            scaled(descent),
        )

    def glyph(self, character: str) -> int:
        """Its number."""
        return self.glyphs.get(character, self.glyphs["?"])

    def width(self, text: str, size: float) -> float:
        """How wide the text is, in the unit of `size`."""
        return sum(self.widths[self.glyph(character)] for character in text) * size / PER_EM

    def lines(self, text: str, size: float, width: float) -> list[str]:
        """The text in lines that are not wider; a word that is goes over more of them."""
        found: list[str] = []
        for paragraph in text.splitlines() or [""]:
            line = ""
            for word in paragraph.split():
                longer = f"{line} {word}".strip()
                if self.width(longer, size) <= width:
                    line = longer
                    continue
                if line:
                    found.append(line)
                *whole, line = self._cut(word, size, width)
                found += whole
            found.append(line)
        return found

    def _cut(self, word: str, size: float, width: float) -> list[str]:
        parts = [""]
        for character in word:
            if parts[-1] and self.width(parts[-1] + character, size) > width:
                parts.append("")
            parts[-1] += character
        return parts


def _tables(data: bytes) -> dict[str, int]:
    """Where each table begins."""
    (count,) = struct.unpack(">H", data[4:6])
    records = (struct.unpack(">4sIII", data[12 + 16 * n : 28 + 16 * n]) for n in range(count))
    return {tag.decode("ascii"): offset for tag, _, offset, _ in records}


def _characters(cmap: bytes) -> dict[str, int]:
    """The glyph of each character, by the subtable of segments."""
    (count,) = struct.unpack(">H", cmap[2:4])
    records = (struct.unpack(">HHI", cmap[4 + 8 * n : 12 + 8 * n]) for n in range(count))
    table = next(cmap[offset:] for platform, encoding, offset in records if (platform, encoding) == _UNICODE)
    kind, _, _, twice = struct.unpack(">4H", table[:8])
    if kind != _SEGMENTS:
        raise ValueError(f"a cmap of format {kind}: this reads {_SEGMENTS}")

    def column(number: int, form: str = "H") -> tuple[int, ...]:
        begin = 14 + number * twice + (2 if number else 0)
        return struct.unpack(f">{twice // 2}{form}", table[begin : begin + twice])

    found = {}
    ends, starts, deltas, offsets = column(0), column(1), column(2, "h"), column(3)
    for segment, (end, start, delta, offset) in enumerate(zip(ends, starts, deltas, offsets, strict=True)):
        for code in range(start, end + 1):
            glyph = code
            if offset:
                place = 16 + 3 * twice + 2 * segment + offset + 2 * (code - start)
                (glyph,) = struct.unpack(">H", table[place : place + 2])
            if glyph:
                found[chr(code)] = (glyph + delta) & 0xFFFF
    return {character: glyph for character, glyph in found.items() if glyph}
