"""The label that is stuck on a kit: whose it is and where it hangs, for eyes and, as a QR code, for programs.

The code holds `stairwell:KIT:FINGERPRINT`: who reads it on the wall knows whether the key that signs this
kit's clips is the one that was there when it was signed for. Nothing of it is a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import cv2
import numpy as np
import segno

from agent.app.sheet import Sheet
from agent.app.typeface import Typeface
from agent.device.identity import KEYS, PUBLIC_NAME, PublicKey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agent.config import Settings

    Image = NDArray[np.uint8]

MODULE = 10  # pixels of a module of the code: sharp at 300 dpi on 4 cm
BORDER = 4  # modules that have to stay white around it (ISO/IEC 18004)
WIDTH_MM, HEIGHT_MM, CODE_MM = 80, 40, 36
POINTS = 72 / 25.4  # of a millimetre
MARGIN = 15.0  # points from the sheet's edge


@dataclass(frozen=True, slots=True)
class Label:
    """What stands on it. `lines` are for people: the kit, its key, its place."""

    kit: str
    code: str
    lines: tuple[str, ...]


def label(settings: Settings) -> Label:
    """The label of the kit that `settings` describe.

    Raises:
        StairwellError: its key cannot be read.
    """
    key = PublicKey.read(settings.state.dir / KEYS / PUBLIC_NAME)
    site = settings.site
    place = [site.city, site.district, site.building, site.entrance]
    floor = [] if site.floor is None else [f"{site.floor}"]
    lines = (settings.kit.id, key.fingerprint, ", ".join(part for part in (*place, *floor) if part))
    return Label(settings.kit.id, f"stairwell:{settings.kit.id}:{key.fingerprint}", lines)


def png(made: Label) -> bytes:
    """The code with the kit's id below it."""
    code = _pixels(made)
    band = np.full((8 * MODULE, code.shape[1]), 255, np.uint8)
    cv2.putText(band, made.kit, (BORDER * MODULE, 5 * MODULE), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (0,), 3)
    return cv2.imencode(".png", np.vstack((code, band)))[1].tobytes()


def svg(made: Label) -> bytes:
    """The whole label, of its size on paper."""
    code = segno.make(made.code, error="m", micro=False)
    modules = code.symbol_size(border=BORDER)[0]
    path = "".join(
        f"M{column} {row}h1v1h-1z"
        for row, line in enumerate(code.matrix_iter(border=BORDER))
        for column, dark in enumerate(line)
        if dark
    )
    texts = "".join(
        f'<text x="{CODE_MM + 2}" y="{10 + 9 * number}" font-size="{5 if number == 0 else 2.6}"'
        f' textLength="{WIDTH_MM - CODE_MM - 5}" lengthAdjust="spacingAndGlyphs">{escape(line)}</text>'
        for number, line in enumerate(made.lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_MM}mm" height="{HEIGHT_MM}mm"'
        f' viewBox="0 0 {WIDTH_MM} {HEIGHT_MM}" font-family="DejaVu Sans, Arial, sans-serif">'
        f'<rect width="{WIDTH_MM}" height="{HEIGHT_MM}" fill="#fff"/>'
        f'<g transform="translate(1 2) scale({CODE_MM / modules:.5f})"><path d="{path}"/></g>{texts}</svg>\n'
    ).encode()


def pdf(made: Label) -> bytes:
    """The whole label in the corner of a sheet, to be cut out."""
    plain, bold = Typeface.shipped("DejaVuSans"), Typeface.shipped("DejaVuSans-Bold")
    sheet = Sheet(made.kit, (plain, bold))
    code = _pixels(made)
    side = CODE_MM * POINTS
    rgb = cv2.cvtColor(code, cv2.COLOR_GRAY2RGB)
    jpeg = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    sheet.picture(jpeg, (code.shape[1], code.shape[0]), MARGIN, MARGIN, side)
    x, y = MARGIN + side + 6, MARGIN + 30
    room = (WIDTH_MM - CODE_MM) * POINTS
    sheet.text(bold, 15, x, y, made.lines[0])
    for line in (part for text in made.lines[1:] for part in plain.lines(text, 7, room)):
        y += 12
        sheet.text(plain, 7, x, y, line)
    return sheet.pdf()


def _pixels(made: Label) -> Image:
    """The code, black on white, with its border."""
    code = segno.make(made.code, error="m", micro=False)
    modules = np.array([list(row) for row in code.matrix_iter(border=BORDER)], np.uint8)
    return np.asarray(np.kron(1 - modules, np.full((MODULE, MODULE), 255, np.uint8)), np.uint8)
