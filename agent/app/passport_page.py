"""A passport as a page: HTML that needs nothing beside it, and PDF of one sheet."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from agent.app.sheet import HEIGHT, WIDTH, Sheet
from agent.app.typeface import Typeface
from agent.words import say

if TYPE_CHECKING:
    from agent.app.passport import Passport, Row
    from agent.words import Language, Text

MARGIN = 45.0
LABEL = 110.0  # width of the column of labels
GAP = 10.0
# The first with which all fits on one sheet is taken; the last is legible still.
SIZES = tuple(half / 2 for half in range(21, 11, -1))
LEADING = 1.35
SIGNED = 95.0  # below: signatures and the foot
GREY, BLACK = 0.45, 0.0

_SIGNATURES = (say("Made by"), say("Answers for the camera"))
_STYLE = """
@page { size: A4; margin: 15mm }
body { font: 10pt/1.4 "DejaVu Sans", "Liberation Sans", Arial, sans-serif; color: #111 }
body { max-width: 180mm; margin: 10mm auto }
h1 { font-size: 17pt; margin: 0 }
p { margin: 1mm 0 3mm; color: #666; font-size: 8.5pt }
img { width: 120mm; border: 1px solid #999; display: block }
table { border-collapse: collapse; width: 100%; margin-top: 3mm }
th, td { text-align: left; vertical-align: top; padding: 1.2mm 2mm 1.2mm 0; border-top: 1px solid #ccc }
td { overflow-wrap: anywhere }
th { width: 38mm; font-weight: bold }
td.lacking::before { content: "⚠ " }
td.lacking { font-weight: bold }
.sign td { padding-top: 12mm; border: 0 }
"""


def html(passport: Passport, language: Language) -> str:
    """The page as a document of its own."""

    def words(text: Text) -> str:
        return escape(text.told(language))

    picture = base64.b64encode(passport.picture).decode("ascii")
    rows = "\n".join(
        f"<tr><th>{words(row.label)}</th>"
        f"<td{' class=lacking' if row.lacking else ''}>{words(row.text)}</td></tr>"
        for row in passport.rows
    )
    signatures = "".join(f"<td>{words(text)}: ____________________</td>" for text in _SIGNATURES)
    return f"""<!DOCTYPE html>
<html lang="{language}">
<head><meta charset="utf-8"><title>{words(passport.title)}</title><style>{_STYLE}</style></head>
<body>
<h1>{words(passport.title)}</h1>
<p>{words(_made(passport))}</p>
<img src="data:image/jpeg;base64,{picture}" alt="{words(passport.caption)}">
<p>{words(passport.caption)}</p>
<table>
{rows}
</table>
<table class="sign"><tr>{signatures}</tr></table>
</body>
</html>
"""


def pdf(passport: Passport, language: Language) -> bytes:
    """The page as PDF; the letters get smaller until all of it is on one sheet."""
    plain, bold = Typeface.shipped("DejaVuSans"), Typeface.shipped("DejaVuSans-Bold")
    sheet = Sheet(passport.title.told(language), (plain, bold))
    y = MARGIN + 12
    sheet.text(bold, 17, MARGIN, y, sheet.title)
    y += 15
    sheet.grey(GREY)
    sheet.text(plain, 8, MARGIN, y, _made(passport).told(language))
    y += 10
    y += sheet.picture(passport.picture, passport.size, MARGIN, y, _picture_width(passport)) + 10
    for line in plain.lines(passport.caption.told(language), 7.5, WIDTH - 2 * MARGIN):
        sheet.text(plain, 7.5, MARGIN, y, line)
        y += 10
    room = HEIGHT - SIGNED - y
    size = next(
        (size for size in SIZES if sum(_height(row, plain, size, language) for row in passport.rows) <= room),
        SIZES[-1],
    )
    for row in passport.rows:
        sheet.grey(0.8)
        sheet.line(MARGIN, y, WIDTH - 2 * MARGIN)
        sheet.grey(BLACK)
        below = y + size * LEADING
        for number, line in enumerate(bold.lines(row.label.told(language), size, LABEL)):
            sheet.text(bold, size, MARGIN, below + number * size * LEADING, line)
        for number, line in enumerate(_lines(row, plain, size, language)):
            face = bold if row.lacking else plain
            sheet.text(face, size, MARGIN + LABEL + GAP, below + number * size * LEADING, line)
        y += _height(row, plain, size, language)
    half = (WIDTH - 2 * MARGIN) / 2
    for number, text in enumerate(_SIGNATURES):
        x = MARGIN + number * half
        sheet.text(plain, 9, x, HEIGHT - MARGIN - 14, text.told(language))
        sheet.line(x, HEIGHT - MARGIN - 28, half - 20)
    return sheet.pdf()


def _made(passport: Passport) -> Text:
    if passport.made is None:
        return say("made by the kit itself; its clock was not set")
    return say("made by the kit itself on {when} UTC", when=passport.made[:16].replace("T", " "))


def _picture_width(passport: Passport) -> float:
    """As wide as it may be without taking more than a third of the sheet."""
    columns, rows = passport.size
    return min(WIDTH - 2 * MARGIN, HEIGHT / 3 * columns / rows)


def _lines(row: Row, face: Typeface, size: float, language: Language) -> list[str]:
    """Bold letters are a tenth wider: what is lacking gets as many lines as it needs."""
    width = (WIDTH - 2 * MARGIN - LABEL - GAP) * (0.88 if row.lacking else 1.0)
    return face.lines(row.text.told(language), size, width)


def _height(row: Row, face: Typeface, size: float, language: Language) -> float:
    labels = len(face.lines(row.label.told(language), size, LABEL * 0.88))
    return max(labels, len(_lines(row, face, size, language))) * size * LEADING + size * 0.6
